"""How the pictures in docs show a terminal: its colours, its font, and one line of it as SVG."""

import html
import re

LINE_HEIGHT, CHARACTER, MARGIN = 19, 8.4, 16
STYLES = {
    "1;31": "#ff7b72;font-weight:bold",
    "1;33": "#e3b341;font-weight:bold",
    "2": "#8b949e",
    "31": "#ff7b72",
    "32": "#7ee787",
    "33": "#e3b341",
    "36": "#56d4dd",
}


def height_of(rows):
    """The height of a picture of so many lines."""
    return rows * LINE_HEIGHT + 2 * MARGIN


def baseline(row):
    """Where the text of a line stands."""
    return MARGIN + (row + 1) * LINE_HEIGHT - 5


def spans(line):
    """One line as SVG text, its colours kept."""
    parts, style = [], None
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        if piece.startswith("\x1b"):
            style = STYLES.get(piece[2:-1])
        elif piece:
            paint = f' style="fill:{style}"' if style else ""
            parts.append(f"<tspan{paint}>{html.escape(piece)}</tspan>")
    return "".join(parts)


def document(columns, rows, body, rules=""):
    """A whole picture: a terminal of this size with what `body` draws on it, and CSS rules beside its own."""
    width, height = int(columns * CHARACTER + 2 * MARGIN), height_of(rows)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">
<style>text {{ font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #e6edf3; white-space: pre }}{rules}</style>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
{body}
</svg>
"""
