#!/usr/bin/env python3
"""What gltop writes to a terminal, byte for byte: no flicker, no colours where none are wanted, no hanging.

Usage: output_test.py MADE_UP_GLTOP [TEST ...]
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

from terminal import ENVIRONMENT, PATIENCE, check, finish

PROGRAM = sys.argv[1]
ROWS, COLUMNS = 30, 100


class Process:
    """A program whose terminal is us."""

    def __init__(self, *arguments, environment=None, rows=ROWS, columns=COLUMNS):
        self.output = b""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execve(PROGRAM, [PROGRAM, *arguments], {**ENVIRONMENT, **(environment or {})})

    def read_until(self, wanted, what):
        """Reads what is written until `wanted(all of it)` holds."""
        end = time.monotonic() + PATIENCE
        while not wanted(self.output):
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain for {what}: {self.output[-2000:]!r}")
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.output += os.read(self.master, 65536)
                except OSError:  # the program has ended
                    check(wanted(self.output), what)
                    return
        check(True, what)

    def write(self, keys):
        os.write(self.master, keys)

    def end(self):
        """Waits for the end; returns the status as a shell would tell it."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid == self.pid:
                self.drain()
                return os.waitstatus_to_exitcode(status)
            if self.master >= 0 and select.select([self.master], [], [], 0.02)[0]:
                try:
                    self.output += os.read(self.master, 65536)
                except OSError:
                    time.sleep(0.02)
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError("the program does not end")

    def drain(self):
        """Reads what an ended program has left in the terminal."""
        while self.master >= 0 and select.select([self.master], [], [], 0)[0]:
            try:
                self.output += os.read(self.master, 65536)
            except OSError:  # all of it has been read
                return

    def close(self):
        os.close(self.master)
        self.master = -1


def plain(output):
    return re.sub(rb"\x1b[\[(][0-9;?]*[A-Za-z]", b"", output)


def refreshes_write_only_what_changed():
    process = Process("-d", "0.1")
    process.read_until(lambda out: b"F1" in out and b"7.2k" in out, "the second picture")
    first = len(process.output)
    process.read_until(lambda out: len(re.findall(rb"of|\x1b\[\d+;\d+H", out[first:])) > 200, "many more refreshes")
    later = process.output[first:]
    check(not re.search(rb"\x1b\[[23]?J", later), "nothing is ever cleared")
    check(b"connection-38" not in later, "what stays the same is not written again")
    check(b"\x1b[?1049" not in later, "the alternate screen is entered once")
    process.write(b"q")
    check(process.end() == 0, "q quits")
    check(process.output.count(b"\x1b[?1049h") == 1 and process.output.count(b"\x1b[?1049l") == 1, "once in, once out")


def colors_can_be_refused():
    def sequences(**environment):
        process = Process(environment=environment)
        process.read_until(lambda out: b"7.2k" in out, "a picture")
        process.write(b"q")
        check(process.end() == 0, "q quits")
        return re.findall(rb"\x1b\[([0-9;]*)m", process.output)

    def colored(found):
        return [s for s in found if any(re.fullmatch(rb"[349]\d", code) and code not in (b"39", b"49")
                                        for code in s.split(b";"))]

    check(colored(sequences()), "colours by default")
    check(colored(sequences(NO_COLOR="")), "an empty NO_COLOR means nothing")
    check(not colored(sequences(NO_COLOR="1")), "none with NO_COLOR")
    monochrome = sequences(TERM="vt100")
    check(monochrome and not colored(monochrome), "attributes only on a monochrome terminal")


def ascii_terminals_get_ascii():
    process = Process(environment={"LC_ALL": "C"})
    process.read_until(lambda out: b"7.2k" in out, "a picture")
    process.write(b"q")
    check(process.end() == 0, "q quits")
    check(all(byte < 0x80 for byte in process.output), "nothing but ASCII")
    process = Process(environment={"LC_ALL": "C.UTF-8"})
    process.read_until(lambda out: "▽".encode() in out, "UTF-8 where it can be shown")
    process.write(b"q")
    check(process.end() == 0, "q quits")


def ends_with_its_terminal():
    process = Process()
    process.read_until(lambda out: b"F1" in out, "a picture")
    process.close()
    check(process.end() in (0, -signal.SIGHUP), "a closed terminal ends it")


def survives_keys_that_are_none():
    process = Process()
    process.read_until(lambda out: b"7.2k" in out, "a picture")
    process.write(b"\x1b[A\x1bOA\x1b[999;999R\x00\x1b[200~\xff\xfe")
    seen = len(process.output)
    process.read_until(lambda out: out.count(b"\x1b[4;", seen) > 2, "more refreshes")
    process.write(b"q")
    check(process.end() == 0, "still answers q")


def text_has_escapes_only_on_a_terminal():
    process = Process("--once")
    status = process.end()
    check(status == 3, f"some made-up backtraces are incomplete: {status}")
    check(b"\x1b[" in process.output and b"\x1b[?1049h" not in process.output, "styled, but no full screen")
    lines = plain(process.output).replace(b"\r", b"").split(b"\n")
    check(len(lines) > 45, "every greenlet is printed")
    check(max(len(line.decode()) for line in lines) <= COLUMNS, "lines fit the terminal")
    for arguments in (["--once"], []):
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, env=ENVIRONMENT, check=False)
        check(done.returncode == 3 and done.stderr == b"", f"printed: {done.stderr}")
        check(b"\x1b" not in done.stdout and b"connection-39" in done.stdout, "plain text")
    done = subprocess.run([PROGRAM, "--once", "--fail-after", "1"], capture_output=True, env=ENVIRONMENT, check=False)
    check(done.returncode == 3 and b"connection-39" in done.stdout, "what was read before the end is printed")
    check(b"ended meanwhile" in done.stderr, "and that it ended is told")


def errors_leave_standard_output_empty():
    process = subprocess.run([PROGRAM, "--once", "--throw-after", "1"], capture_output=True, env=ENVIRONMENT, check=False)
    check(process.returncode == 1 and process.stdout == b"", "nothing printed")
    check(process.stderr == b"gltop: made up\n", "one line says why")


finish([refreshes_write_only_what_changed, colors_can_be_refused, ascii_terminals_get_ascii, ends_with_its_terminal, survives_keys_that_are_none,
        text_has_escapes_only_on_a_terminal, errors_leave_standard_output_empty])
