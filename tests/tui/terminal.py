"""A terminal for tests: a program runs in tmux, keys are sent, the screen is read.

Nothing here depends on how fast the machine is: every expectation is waited for, and only its absence for a very
long time (PATIENCE seconds) is a failure.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

PATIENCE = 60
ENVIRONMENT = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
ENVIRONMENT.pop("NO_COLOR", None)
ENVIRONMENT.pop("TMUX", None)

_checked = 0


def check(condition, what):
    """Counts a check; on failure says what was expected and ends the test."""
    global _checked
    if not condition:
        raise AssertionError(what)
    _checked += 1


def finish(tests):
    """Runs the functions, each in the clear; exits non-zero when any failed or nothing was checked."""
    wanted = sys.argv[2:]
    failed = []
    for test in tests:
        if wanted and test.__name__ not in wanted:
            continue
        before = _checked
        try:
            test()
        except AssertionError as error:
            failed.append(test.__name__)
            print(f"FAILED  {test.__name__}: {error}", flush=True)
        else:
            print(f"ok      {test.__name__} ({_checked - before} checks)", flush=True)
            if _checked == before:
                failed.append(test.__name__)
                print(f"FAILED  {test.__name__}: checked nothing", flush=True)
    print(f"{_checked} checks, {len(failed)} failed")
    sys.exit(1 if failed or _checked == 0 else 0)


class Terminal:
    """A terminal of its own (tmux server, session, shell) in which one program at a time runs."""

    def __init__(self, columns=100, rows=30):
        self.folder = tempfile.mkdtemp(prefix="gltop-test-")
        self.socket = os.path.join(self.folder, "tmux")
        self.columns, self.rows = columns, rows
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows),
                   "env PS1='READY ' bash --norc --noprofile")
        # A window of this size whatever client looks at it.
        self._tmux("set-option", "-g", "window-size", "manual")
        self._tmux("set-option", "-g", "escape-time", "0")
        self.wait_for("READY")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _tmux(self, *arguments):
        done = subprocess.run(["tmux", "-S", self.socket, *arguments], capture_output=True, text=True,
                              env=ENVIRONMENT, check=False)
        if done.returncode != 0:
            raise AssertionError(f"tmux {arguments}: {done.stderr}")
        return done.stdout

    def start(self, *command, environment=""):
        """Runs a program in the foreground of the shell. Afterwards the shell tells its status."""
        for name in ("before", "after", "pid", "stderr"):
            path = os.path.join(self.folder, name)
            if os.path.exists(path):
                os.remove(path)
        program = " ".join(shlex.quote(word) for word in command)
        inner = f"echo $$ > {self.folder}/pid; exec env {environment} {program} 2> {self.folder}/stderr"
        script = os.path.join(self.folder, "script")
        with open(script, "w", encoding="utf-8") as file:
            # Without traps the shell would give up the script when the program dies of ^C.
            file.write(f"trap : INT QUIT\nstty -a > {self.folder}/before\n(sh -c {shlex.quote(inner)})\n"
                       f"status=$?\nstty -a > {self.folder}/after\necho \"status=$status.\"\n")
        self.keys("clear", "Enter")
        self.wait(lambda: "clear" not in self.screen(), "a clear screen")
        self.keys(f". {script}", "Enter")

    def pid(self):
        path = os.path.join(self.folder, "pid")
        self.wait(lambda: os.path.exists(path) and open(path, encoding="utf-8").read().strip(), "the program's pid")
        return int(open(path, encoding="utf-8").read())

    def stderr(self):
        return open(os.path.join(self.folder, "stderr"), encoding="utf-8").read()

    def keys(self, *keys):
        """Sends keys by tmux's names ("F6", "Down", "C-z"); other words are typed."""
        for key in keys:
            self._tmux("send-keys", key)

    def type(self, text):
        self._tmux("send-keys", "-l", text)

    def resize(self, columns, rows):
        self.columns, self.rows = columns, rows
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def screen(self, escapes=False):
        return self._tmux("capture-pane", "-p", *(["-e"] if escapes else []))

    def lines(self):
        return self.screen().split("\n")[:self.rows]

    def state(self, variable):
        return self._tmux("display-message", "-p", "#{" + variable + "}").strip()

    def wait(self, condition, what):
        """Waits until the condition holds, however long that takes (within reason), and counts it as a check."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain for {what}; the screen is\n{self.screen()}")
            time.sleep(0.02)
        check(True, what)

    def wait_for(self, pattern):
        """Waits until the screen matches a regular expression; returns the match."""
        self.wait(lambda: re.search(pattern, self.screen(), re.M), f"/{pattern}/")
        return re.search(pattern, self.screen(), re.M)

    def wait_without(self, pattern):
        self.wait(lambda: not re.search(pattern, self.screen(), re.M), f"the absence of /{pattern}/")

    def selected(self):
        """The text of the row with a cyan background: what is selected in the list or menu that has the keys."""
        background = 49  # carried on from line to line
        for line in self.screen(escapes=True).split("\n")[:-2]:
            plain, first_background = "", None
            for piece in re.split(r"(\x1b\[[0-9;:]*m)", line):
                if piece.startswith("\x1b["):
                    for code in (int(c or 0) for c in piece[2:-1].split(";")):
                        background = 49 if code == 0 else code if 40 <= code <= 49 else background
                    continue
                if first_background is None and piece.strip():
                    first_background = background
                plain += piece
            # Titles of columns and panes may have this colour as well.
            if first_background == 46 and not re.search(r"TOP FRAMES|^Sort by|^greenlet", plain):
                return plain.strip()
        return None

    def expect_end(self, status):
        """The program has ended with a status, and the terminal is as it was before."""
        self.wait_for(r"^status=")
        self.wait_for(r"READY $|READY$")
        check(re.search(r"^status=(\d+)\.", self.screen(), re.M).group(1) == str(status),
              f"status {status}, not\n{self.screen()}{self.stderr()}")
        before = open(os.path.join(self.folder, "before"), encoding="utf-8").read()
        after = open(os.path.join(self.folder, "after"), encoding="utf-8").read()
        check(before == after and "baud" in before, f"the terminal's modes changed:\n{before}\nto\n{after}")
        check(self.state("alternate_on") == "0", "the alternate screen was not left")
        check(self.state("cursor_flag") == "1", "the cursor is still hidden")
        check(self.state("keypad_cursor_flag") == "0", "the arrow keys are still in application mode")
