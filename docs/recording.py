#!/usr/bin/env python3
"""Makes docs/bars.svg: a recording of the bar below a job's output, from its start until it is out of time.

Runs the real program on a pseudo-terminal, looks at its screen ten times a second, and puts what it saw into one SVG
that moves by itself. Usage: docs/recording.py path/to/runner
"""

import os
import sys
import tempfile
import time

import terminal
from terminal_svg import MARGIN, baseline, document, height_of, spans

COLUMNS, ROWS = 92, 17
ARGUMENTS = "exec --progress bar --timeout 8 --grace 2 --name build -- ./build".split()
PROMPT = "$ "
CURSOR = "█"
JOB = """#!/bin/sh
trap '' TERM
done=0
step() {
    done=$((done + 1))
    runner notify --progress "$done/12" --message "$1"
    sleep 0.45
}
echo 'reading build.toml'
sleep 1.2
for file in lexer.c parser.c types.c emit.c; do
    echo "compiling $file"
    step "parsing $file"
    step "optimising $file"
done
printf 'linking build '
step 'linking'
while :; do
    printf .
    sleep 0.4
done
"""
FRAME_SECONDS = 0.1
LAST_FRAME_SECONDS = 2
# What is shown where nothing moves: a bar late in its time.
STILL_SECONDS = 7


def prepare(folder, program):
    """Puts the job into this folder, and a place where it finds the program by its name."""
    job = os.path.join(folder, "build")
    with open(job, "w") as file:
        file.write(JOB)
    os.chmod(job, 0o755)
    tools = os.path.join(folder, "tools")
    os.mkdir(tools)
    os.symlink(os.path.abspath(program), os.path.join(tools, "runner"))
    os.environ["PATH"] = tools + os.pathsep + os.environ["PATH"]


def record(program, folder):
    """The screen at every frame: seconds since the start, and its lines."""
    screen = terminal.Screen(COLUMNS, ROWS)
    screen.feed(f"{PROMPT}runner {' '.join(ARGUMENTS)}\r\n".encode())
    frames = [(0.0, screen.picture(CURSOR))]
    pid, end = terminal.start(program, ARGUMENTS, COLUMNS, ROWS, folder)
    start = time.monotonic()
    chunk = None
    while chunk != b"":
        left = start + len(frames) * FRAME_SECONDS - time.monotonic()
        chunk = terminal.read(end, left)
        if chunk:
            screen.feed(chunk)
        elif chunk is None:
            frames.append((len(frames) * FRAME_SECONDS, screen.picture(CURSOR)))
    code = terminal.exit_code(pid)
    if code != 124:
        raise SystemExit(f"the job should run out of time, but the exit code is {code}")
    screen.feed(PROMPT.encode())
    return frames + [(time.monotonic() - start, screen.picture(CURSOR))]


def without_repeats(frames):
    """Only the frames that differ from the one before."""
    return [frame for place, frame in enumerate(frames) if place == 0 or frame[1] != frames[place - 1][1]]


def film(frames):
    """The frames, one below the other, as one picture that jumps from frame to frame in time and starts over."""
    names, strip, moves = {}, [], []
    seconds = frames[-1][0] + LAST_FRAME_SECONDS
    for place, (begin, lines) in enumerate(frames):
        top = place * height_of(ROWS)
        strip += [
            f'<use href="#{names.setdefault(line, f"l{len(names)}")}" y="{top + baseline(row)}"/>'
            for row, line in enumerate(lines)
            if line
        ]
        moves.append(f"{begin / seconds:.2%} {{ transform: translateY({-top}px) }}")
    still = sum(begin <= STILL_SECONDS for begin, _ in frames) - 1
    rules = f"""
@keyframes film {{ {" ".join(moves)} }}
g {{ animation: film {seconds:.1f}s step-end infinite }}
@media (prefers-reduced-motion: reduce) {{ g {{ animation: none }} }}
"""
    # Not every viewer heeds the rule that keeps spaces; the attribute they all do.
    texts = "\n".join(
        f'<text id="{name}" x="{MARGIN}" xml:space="preserve">{spans(line)}</text>' for line, name in names.items()
    )
    shown = f'<g transform="translate(0 {-still * height_of(ROWS)})">\n' + "\n".join(strip) + "\n</g>"
    return document(COLUMNS, ROWS, f"<defs>\n{texts}\n</defs>\n{shown}", rules)


def main():
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder, sys.argv[1])
        frames = without_repeats(record(sys.argv[1], folder))
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "bars.svg"), "w") as file:
        file.write(film(frames))


main()
