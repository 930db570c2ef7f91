"""Running a zoo, and gldump on it. A Zoo is a process that said what it is (zoo.publish) and now sleeps."""
import glob
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from compare import Comparison

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TIME_LIMIT = 240  # seconds, of any one program


class Failure(Exception):
    """Of the test itself: nothing can be said of gldump."""


class Refused(Exception):
    """gldump could not, and said why."""


def build_probe(directory):
    """Compiles probe.c, once for all interpreters, with the headers of any CPython; returns the folder it is in."""
    probe = Path(directory) / "probe.abi3.so"
    if probe.exists() and probe.stat().st_mtime > (HERE / "probe.c").stat().st_mtime:
        return probe.parent
    headers = sorted(glob.glob("/usr/include/python3*/Python.h")) + sorted(glob.glob(str(Path.home() / ".pyenv/versions/3.*/include/*/Python.h")))
    if not headers:
        raise Failure("there are no headers of CPython to build the probe with (python3-dev)")
    probe.parent.mkdir(parents=True, exist_ok=True)
    # Written aside first: two cells may build it at the same time.
    aside = "%s.%d" % (probe, os.getpid())
    subprocess.run([os.environ.get("CC", "gcc"), "-O2", "-g", "-fPIC", "-shared", "-Wall", "-I" + os.path.dirname(headers[0]),
                    HERE / "probe.c", "-o", aside], check=True)
    os.replace(aside, probe)
    return probe.parent


class Zoo:
    """A running zoo.py and what it said about itself. Killed on leaving the with block."""

    def __init__(self, options, arguments):
        self.root = Path(options.root or "/")
        # Also the working directory, where the kernel leaves a core.
        self.folder = Path(tempfile.mkdtemp(prefix="coppice-zoo.", dir=self.root / "tmp"))
        inside = Path("/") / self.folder.relative_to(self.root)
        for file in [*HERE.glob("*.py"), options.probe / "probe.abi3.so"]:
            shutil.copy(file, self.folder)
        path = ":".join(filter(None, [str(options.path or ""), str(inside)]))
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}
        command = self.command(inside, [options.python, str(inside / options.program), "--probe", str(inside), "--greenlets",
                                        str(options.greenlets), "--seed", str(options.seed), *arguments])

        def enter():
            if options.root:
                os.chroot(options.root)
            os.chdir(inside)

        self.errors = open(self.folder / "stderr", "w+")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, preexec_fn=enter,
                                        env=environment)
        self.pid = self.process.pid
        try:
            self.expected = json.loads(self.read_line())
            self.settle()
            if "--busy" not in arguments:
                self.wait_until_asleep()
        except BaseException:
            self.__exit__()
            raise

    def command(self, folder, command):
        """What is really run, for places that need more than the program itself."""
        return command

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            try:
                stream.close()
            except BrokenPipeError:
                pass
        shutil.rmtree(self.folder, ignore_errors=True)

    def read_line(self):
        line = b""
        end = time.monotonic() + TIME_LIMIT
        while not line.endswith(b"\n"):
            if not select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                raise Failure("the zoo did not get ready in %d s" % TIME_LIMIT)
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
            if not piece:
                status = self.process.wait()
                self.errors.seek(0)
                raise Failure("the zoo ended with status %d: %s" % (status, self.errors.read()[-2000:].strip()))
            line += piece
        return line

    def settle(self):
        """Called once the program has said what it is, before it is waited for."""

    def tasks(self, file):
        return {task: Path("/proc/%d/task/%s/%s" % (self.pid, task, file)).read_text() for task in os.listdir("/proc/%d/task" % self.pid)}

    def wait_until_asleep(self):
        calm = 0
        for _ in range(500):
            calm = calm + 1 if all(text.rsplit(")", 1)[1].split()[0] == "S" for text in self.tasks("stat").values()) else 0
            if calm == 5:
                return
            time.sleep(0.02)
        raise Failure("the zoo does not come to rest")

    def switches(self):
        """Context switches of each thread: they tell whether it was woken or stopped."""
        return {task: [line for line in text.splitlines() if "ctxt" in line] for task, text in self.tasks("status").items()}

    def resume(self):
        """Lets it go on; it checks by itself that it is unharmed. Returns what is wrong, or an empty string."""
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        said = self.read_line().decode()
        status = self.process.wait(TIME_LIMIT)
        if status == 0 and said.startswith("resumed ") and int(said.split()[1]) > 0:
            return ""
        self.errors.seek(0)
        return "after being looked at the program said %r and ended with %d: %s" % (said, status, self.errors.read()[-1000:])


def gldump(options, target, *arguments):
    command = [*getattr(options, "through", []), str(options.gldump), "bt", *arguments, "--json", *target]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIME_LIMIT, stdin=subprocess.DEVNULL)
    errors = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode == 1:
        raise Refused(errors)
    if done.returncode not in (0, 3):
        raise Failure("gldump %s ended with status %d: %s" % (" ".join(arguments), done.returncode, errors[-500:]))
    return json.loads(done.stdout)


def inspect(options, zoo, target, way):
    """Runs gldump in all its views and compares; returns the Comparison."""
    comparison = Comparison(zoo.expected, way)
    before = zoo.switches() if way == "live" else None
    documents = [gldump(options, target, *view) for view in (["--native"], ["--python"], [])]
    unread = [warning for warning in documents[0]["warnings"] if "is not read" in warning]
    if unread:
        raise Refused(unread[0])
    if before is not None and zoo.switches() != before:
        comparison.differ("process", "its threads were woken or stopped, though all slept")
    comparison.documents(*documents)
    return comparison


def make_gcore(zoo, folder):
    if shutil.which("gcore") is None:
        return None, "there is no gcore"
    subprocess.run(["gcore", "-o", folder / "gcore", str(zoo.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   stdin=subprocess.DEVNULL, timeout=TIME_LIMIT)
    made = folder / ("gcore.%d" % zoo.pid)
    return (made, "") if made.exists() else (None, "gcore made no core")


def make_kernel_core(zoo):
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern.startswith(("|", "/")):
        return None, "the kernel's cores go elsewhere here (core_pattern %s)" % pattern
    os.kill(zoo.pid, signal.SIGABRT)
    zoo.process.wait(TIME_LIMIT)
    made = list(zoo.folder.glob("core*"))
    return (made[0], "") if made else (None, "the kernel left no core (ulimit -c)")
