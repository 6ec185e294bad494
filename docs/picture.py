#!/usr/bin/env python3
"""Makes docs/timeout.svg: what a terminal shows when a job runs out of time.

Runs the real program on a pseudo-terminal and draws what it wrote. Usage: docs/picture.py path/to/runner
"""

import html
import os
import pty
import re
import select
import sys

COLUMNS, LINE_HEIGHT, CHARACTER, MARGIN = 104, 19, 8.4, 16
SCRIPT = "trap '' TERM; echo 'linking 17 of 40'; sleep 600"
ARGUMENTS = ["exec", "--timeout", "2", "--grace", "1", "--", "sh", "-c", SCRIPT]
PROMPT = "$ runner exec --timeout 2 --grace 1 -- sh -c \"" + SCRIPT + "\""
STYLES = {"1;31": "#ff7b72;font-weight:bold", "1;33": "#e3b341;font-weight:bold", "32": "#7ee787", "2": "#8b949e"}


def run(program):
    """Everything the program writes to its terminal, and its exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS=str(COLUMNS))
        os.environ.pop("NO_COLOR", None)
        os.execv(program, ["runner"] + ARGUMENTS)
    written = b""
    while select.select([terminal], [], [], 30)[0]:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:
            break
        if not chunk:
            break
        written += chunk
    return written.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


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


def main():
    text, code = run(sys.argv[1])
    lines = [PROMPT] + text.replace("\r", "").rstrip("\n").split("\n") + ["$ echo $?", str(code)]
    width = int(COLUMNS * CHARACTER + 2 * MARGIN)
    height = len(lines) * LINE_HEIGHT + 2 * MARGIN
    rows = "\n".join(
        f'<text x="{MARGIN}" y="{MARGIN + (row + 1) * LINE_HEIGHT - 5}">{spans(line)}</text>'
        for row, line in enumerate(lines)
    )
    picture = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">
<style>text {{ font: 14px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #e6edf3; white-space: pre }}</style>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
{rows}
</svg>
"""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "timeout.svg"), "w") as file:
        file.write(picture)


main()
