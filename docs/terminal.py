"""A program on a pseudo-terminal, and the screen that it sees there: enough of both for the pictures in docs."""

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import termios

BLANK = (" ", "")
TAB_WIDTH = 8
TOKEN = re.compile(
    r"""\x1b\[ (?P<parameters>[0-?]*) (?P<final>[^0-?])  # a control sequence
    | \x1b\] .*? (?:\x07|\x1b\\)  # a command to the terminal's window, of which nothing is seen
    | \x1b [^\[\]]  # a short sequence
    | [^\x1b]""",
    re.DOTALL | re.VERBOSE,
)


def start(program, arguments, columns, rows, folder="."):
    """Starts the program in this folder, on a terminal of this size. Its process id, and our end of the terminal."""
    program = os.path.abspath(program)
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.chdir(folder)
        os.environ.update(TERM="xterm-256color")
        for unwanted in ("NO_COLOR", "COLUMNS", "LINES"):
            os.environ.pop(unwanted, None)
        os.execv(program, ["runner"] + arguments)
    return pid, terminal


def read(terminal, seconds):
    """What is written within this time: None where there is nothing yet, no bytes at the end."""
    if not select.select([terminal], [], [], max(seconds, 0))[0]:
        return None
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def exit_code(pid):
    """How the program ended."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Screen:
    """The cells of a terminal, and its cursor. What it does not know is an error, so that no picture is wrong."""

    def __init__(self, columns, rows):
        self.columns = columns
        self.lines = [[BLANK] * columns for _ in range(rows)]
        self.row, self.column, self.pen = 0, 0, ""
        self.kept = (0, 0, "")
        self.decoder = codecs.getincrementaldecoder("utf-8")()
        self.unread = ""

    def feed(self, written):
        """Does what these bytes say. A sequence that is cut off waits for its rest."""
        text, place = self.unread + self.decoder.decode(written), 0
        while token := TOKEN.match(text, place):
            place = token.end()
            if token["final"]:
                self.control(token["final"], token["parameters"])
            else:
                self.character(token[0])
        self.unread = text[place:]

    def control(self, final, parameters):
        if final == "m":
            self.pen = "" if parameters == "0" else parameters
        elif final == "J" and not parameters:
            self.erase_line()
            for line in self.lines[self.row + 1 :]:
                line[:] = [BLANK] * self.columns
        elif final == "K" and not parameters:
            self.erase_line()
        elif final in "ABCD":
            count = int(parameters or "1") or 1
            row = self.row + {"A": -count, "B": count}.get(final, 0)
            column = self.column + {"C": count, "D": -count}.get(final, 0)
            self.row = min(max(row, 0), len(self.lines) - 1)
            self.column = min(max(column, 0), self.columns - 1)
        else:
            raise ValueError(f"unknown control sequence: {parameters}{final}")

    def character(self, token):
        if token == "\r":
            self.column = 0
        elif token in "\n\v":
            self.line_down()
        elif token == "\b":
            self.column = max(self.column - 1, 0)
        elif token == "\t":
            self.column = min((self.column // TAB_WIDTH + 1) * TAB_WIDTH, self.columns - 1)
        elif token == "\x1b7":
            self.kept = (self.row, self.column, self.pen)
        elif token == "\x1b8":
            self.row, self.column, self.pen = self.kept
        elif token.isprintable():
            self.put(token)
        elif not token.startswith("\x1b]"):
            raise ValueError(f"unknown sequence or character: {token!r}")

    def put(self, character):
        if self.column == self.columns:
            self.column = 0
            self.line_down()
        self.lines[self.row][self.column] = (character, self.pen)
        self.column += 1

    def line_down(self):
        if self.row + 1 < len(self.lines):
            self.row += 1
        else:
            self.lines = self.lines[1:] + [[BLANK] * self.columns]

    def erase_line(self):
        self.lines[self.row][self.column :] = [BLANK] * (self.columns - self.column)

    def picture(self, cursor):
        """The lines as text with colours, for `terminal_svg.spans`. This character shows where the cursor is."""
        lines = [list(line) for line in self.lines]
        if self.column < self.columns and lines[self.row][self.column] == BLANK:
            lines[self.row][self.column] = (cursor, "2")
        return tuple(coloured(line) for line in lines)


def coloured(line):
    """The cells of a line as text, with a sequence wherever the colour changes."""
    text, pen = "", ""
    for character, wanted in line:
        if wanted != pen:
            text, pen = f"{text}\x1b[{wanted}m", wanted
        text += character
    return text.rstrip()
