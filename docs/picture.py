#!/usr/bin/env python3
"""Makes docs/timeout.svg: what a terminal shows when a job runs out of time.

Runs the real program on a pseudo-terminal and draws what it wrote. Usage: docs/picture.py path/to/runner
"""

import os
import sys

import terminal
from terminal_svg import MARGIN, baseline, document, spans

COLUMNS, ROWS = 104, 24
SCRIPT = "trap '' TERM; echo 'linking 17 of 40'; sleep 600"
ARGUMENTS = ["exec", "--timeout", "2", "--grace", "1", "--", "sh", "-c", SCRIPT]
PROMPT = "$ runner exec --timeout 2 --grace 1 -- sh -c \"" + SCRIPT + "\""


def run(program):
    """Everything the program writes to its terminal, and its exit code."""
    pid, end = terminal.start(program, ARGUMENTS, COLUMNS, ROWS)
    written = b""
    while chunk := terminal.read(end, 30):
        written += chunk
    return written.decode(), terminal.exit_code(pid)


def main():
    text, code = run(sys.argv[1])
    lines = [PROMPT] + text.replace("\r", "").rstrip("\n").split("\n") + ["$ echo $?", str(code)]
    rows = "\n".join(
        f'<text x="{MARGIN}" y="{baseline(row)}">{spans(line)}</text>'
        for row, line in enumerate(lines)
    )
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "timeout.svg"), "w") as file:
        file.write(document(COLUMNS, len(lines), rows))


main()
