#!/usr/bin/env python3
"""Runs one scenario of the GDB tests: run.py GDB PACKAGE PROGRAM SCENARIO. Exit status 0: everything held."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile

TIMEOUT = 120
SKIPPED = 77


class Scenario:
    def __init__(self, gdb, package, program, folder):
        self.gdb, self.package, self.program, self.folder = gdb, package, program, folder
        self.here = os.path.dirname(os.path.realpath(__file__))
        plain = subprocess.run([program], stdout=subprocess.PIPE, text=True, timeout=60, check=True)
        self.output = os.path.join(folder, "output")
        self.environment = dict(os.environ, ZOO_OUTPUT=self.output, ZOO_RESULT=plain.stdout.split()[-1])

    def run_gdb(self, script, *arguments, load=True, variables=None, expect=", 0 failed"):
        """GDB in batch mode. Its exit status alone proves nothing: an uncaught exception leaves it at 0."""
        command = [self.gdb, "-nx", "-batch", *(["-iex", "set auto-load no"] if load else []), *arguments]
        command += [*(["-x", self.package] if load else []), "-x", os.path.join(self.here, script)]
        # Into a file, not a pipe: a program that GDB detached from would hold the pipe open.
        log = os.path.join(self.folder, "log")
        with open(log, "w", encoding="utf-8") as output:
            status = subprocess.call(command, cwd=self.folder, env={**self.environment, **(variables or {})}, timeout=TIMEOUT,
                                     stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        with open(log, encoding="utf-8", errors="replace") as output:
            text = output.read()
        print(text, end="", flush=True)
        if status != 0:
            sys.exit("%s: exit status %d" % (script, status))
        if expect not in text:
            sys.exit("%s: did not come to its end" % script)
        return text

    def live(self):
        self.run_gdb("live.py", self.program)

    def remote(self):
        server = shutil.which("gdbserver")
        if server is None:
            print("there is no gdbserver: skipped")
            sys.exit(SKIPPED)
        self.run_gdb("live.py", self.program, variables={"ZOO_SERVER": server})

    def guards(self):
        self.run_gdb("guards.py", self.program)

    def views(self):
        self.run_gdb("views.py", self.program)

    def show(self):
        self.run_gdb("show.py", self.program)

    def folding(self):
        self.run_gdb("folding.py", self.program)

    def view(self):
        self.run_gdb("view.py", self.program)
        if shutil.which("gdbserver"):
            self.run_gdb("view.py", self.program, variables={"ZOO_SERVER": shutil.which("gdbserver")})

    def written_core(self):
        """Written live and then from that core, read by a GDB that knows nothing of greenlets."""
        self.run_gdb("write_core.py", self.program, variables={"WRITTEN": "live.core"})
        self.run_gdb("read_written.py", self.program, "live.core", load=False)
        self.run_gdb("write_core.py", self.program, "plain.core", variables={"WRITTEN": "again.core"})
        self.run_gdb("read_written.py", self.program, "again.core", load=False)

    def stops(self):
        self.run_gdb("stops.py", self.program)

    def stops_cpython(self):
        """The program is turns.py, for the system's own CPython."""
        if subprocess.call(["/usr/bin/python3", "-c", "import greenlet"], stderr=subprocess.DEVNULL):
            print("the system's CPython has no greenlet: skipped")
            sys.exit(SKIPPED)
        self.run_gdb("stops_cpython.py", "/usr/bin/python3", variables={"ZOO_SCRIPT": self.program})

    def printing(self):
        self.run_gdb("printing.py", self.program, variables={"COPPICE_GDB": self.package})

    def convenience(self):
        self.run_gdb("convenience.py", self.program)

    def typed(self):
        self.run_gdb("typed.py", self.program)

    def loading(self):
        named = {"COPPICE_GDB": self.package}
        hook = os.path.join(self.folder, "hook.gdb")
        with open(hook, "w", encoding="utf-8") as file:
            file.write("define hook-step\necho mine\nend\n")
        self.run_gdb("loading.py", self.program, "-x", hook, variables=named)
        self.run_gdb("loading.py", self.program, "-x", hook, variables={**named, "COPPICE_INSPECT_LIBRARY": "/nowhere"})
        if "O2" in self.program:  # on the shared runtime: GDB finds the commands beside it by itself
            safe = os.path.dirname(os.path.dirname(self.package))
            self.run_gdb("loading.py", "-iex", "add-auto-load-safe-path " + safe, self.program, "-x", hook, load=False,
                         variables={**named, "ZOO_LOADED_BY_ITSELF": "1"})

    def core(self):
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.run_gdb("record_core.py", self.program, expect="Program terminated with signal SIGABRT")
        made = [name for name in os.listdir(self.folder) if name.startswith("core")]
        with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as pattern:
            piped = pattern.read().startswith(("|", "/"))
        if not made and not piped:
            sys.exit("the kernel left no core")
        if not made:
            print("the kernel's cores go elsewhere here (core_pattern): only gcore's is looked at")
        for core in ["gcore.core"] + made:
            print("== %s" % core)
            self.run_gdb("open_core.py", self.program, core)
            self.run_gdb("view.py", self.program, core)

    def attach(self):
        self.run_gdb("attach.py", self.program, expect="detached")
        with open(self.output, encoding="utf-8") as output:
            pid = output.read().split()[1]
        self.run_gdb("attach.py", "-p", pid)
        for _ in range(100):
            with open(self.output, encoding="utf-8") as output:
                words = output.read().split()
            if "result" in words:
                break
            subprocess.run(["sleep", "0.1"], check=True)
        if words[-1] != self.environment["ZOO_RESULT"]:
            sys.exit("after detaching the program computed %s" % words[-1])


def main():
    gdb, name = sys.argv[1], sys.argv[4]
    package, program = (os.path.realpath(path) for path in sys.argv[2:4])
    with tempfile.TemporaryDirectory() as folder:
        getattr(Scenario(gdb, package, program, folder), name)()


main()
