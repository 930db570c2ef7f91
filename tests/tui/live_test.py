#!/usr/bin/env python3
"""gltop on real processes that use our runtime.

Usage: live_test.py GLTOP SLEEPERS [TEST ...]
"""

import os
import re
import signal
import subprocess
import sys
import time

from terminal import ENVIRONMENT, Terminal, check, finish

GLTOP, SLEEPERS = sys.argv[1:3]
del sys.argv[2]  # finish() looks for names of tests from the second argument on


class Sleepers:
    """A running SLEEPERS and what it said of itself: {id: (name, state, function)}."""

    def __init__(self, count=20):
        self.process = subprocess.Popen([SLEEPERS, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.greenlets = {}
        for line in self.process.stdout:
            if line.strip() == "ready":
                break
            number, name, state, function = line.split()
            self.greenlets[number] = (name, state, function)
        check(len(self.greenlets) == count + 2, f"{count + 2} greenlets told of themselves")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    @property
    def pid(self):
        return self.process.pid


def run(*arguments, status=0, environment=None):
    """Runs gltop without a terminal; returns what it printed to both."""
    done = subprocess.run([GLTOP, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
                          env={**ENVIRONMENT, **(environment or {})})
    check(done.returncode == status, f"gltop {arguments}: status {done.returncode}, not {status}: {done.stderr}")
    return done.stdout, done.stderr


def rows(text):
    """The rows of the list: {id: row}."""
    listed = text.split("TOP FRAMES", 1)[1].split("\n\n", 1)[0]
    return {line.split()[0]: line for line in listed.split("\n")[1:] if line.strip()}


def prints_what_the_program_says_of_itself():
    with Sleepers() as program:
        text, errors = run("--once", "-p", str(program.pid), "-s", "id")
        check(errors == "", f"nothing to complain about: {errors}")
        check("\x1b" not in text, "no escapes in plain text")
        listed = rows(text)
        for number, (name, state, function) in program.greenlets.items():
            check(number in listed, f"greenlet {number} in\n{text}")
            check(re.search(rf"^ *{number} {name} +{state}", listed[number]), f"{name} {state}: {listed[number]}")
            check(function == "-" or function in listed[number] or "sleep_in_the_shallows" in listed[number],
                  f"{function}: {listed[number]}")
            waiting = re.search(r"sleeper-(\d+)", name)
            if waiting:
                value = int(waiting.group(1)) + 100
                kind = "pearl" if int(waiting.group(1)) % 2 else "shell"
                check(f" {kind} {value} " in listed[number], f"waiting for {kind} {value}: {listed[number]}")
        others = set(listed) - set(program.greenlets)
        check(len(others) == 1 and "running*" in listed[others.pop()], "besides, only the main greenlet")
        check(re.search(rf"^Greenlets {len(listed)} ", text, re.M), "their number in the header")
        check(re.search(r"^Switches [\d.]+k?/s", text, re.M), "a rate")
        check(os.path.basename(SLEEPERS) + f" {program.pid} " in text, "the process in the header")


def prints_the_backtrace_of_the_first():
    with Sleepers() as program:
        text, _ = run("--once", "-p", str(program.pid), "-F", "sleeper-7", "--nonblocking")
        check(list(rows(text)) == [n for n, g in program.greenlets.items() if g[0] == "sleeper-7"], "filtered:\n" + text)
        backtrace = text.rsplit("\n\n", 1)[1]
        check('"sleeper-7", suspended, waiting for pearl 107' in backtrace, backtrace)
        check(len(re.findall(r"^#\d+ .*sleep_in_the_depths\(int\)", backtrace, re.M)) == 11, "every recursion:\n" + text)
        check(backtrace.rstrip().split("\n")[-1] == "base", "to its base:\n" + backtrace)


def says_what_is_wrong():
    text, errors = run("-p", "4194303", status=1)
    check(text == "" and errors.count("\n") == 1 and "4194303" in errors, f"no such process: {errors}")
    for wrong in (["-p", "zero"], ["-p", "0"], ["--frobnicate"], ["-d", "0"], ["-s", "weight"], ["1234"]):
        text, errors = run(*wrong, status=2)
        check(text == "" and errors.count("\n") == 1 and errors.startswith("gltop: "), f"{wrong}: {errors}")
    with subprocess.Popen(["sleep", "1000"]) as nobody:
        text, errors = run("--once", "-p", str(nobody.pid))
        check("Greenlets 0" in text and "no greenlets in" in errors, f"a process without greenlets: {errors}")
        nobody.kill()
    text, _ = run("--help")
    check("Examples:" in text and "Exit status" in text, "a help that teaches")
    text, _ = run("--version")
    check(re.fullmatch(r"gltop \d+\.\d+\.\d+\n", text), "a version")


def lists_processes():
    with Sleepers(5) as one, Sleepers(7) as other:
        text, errors = run("--once")
        check(re.search(rf"^ *{one.pid} \S+ +coppice +8 .*{os.path.basename(SLEEPERS)} 5$", text, re.M), text + errors)
        check(re.search(rf"^ *{other.pid} \S+ +coppice +10 .*{os.path.basename(SLEEPERS)} 7$", text, re.M), text)
        check(re.search(r"processes with greenlets; \d+ looked into", text), "how many were looked into")
        piped, _ = run()
        check(str(one.pid) in piped, "without a terminal the same as --once")


def watches_a_process():
    with Sleepers() as program, Terminal(columns=120) as t:
        t.start(GLTOP, "-p", str(program.pid), "-d", "0.2")
        t.wait_for(r"Greenlets 23 .*1 running +21 suspended +1 unstarted")
        t.wait_for(r"busy +suspended")
        t.wait(lambda: "busy" in (t.selected() or ""), "the busiest greenlet on top")
        t.keys("/")
        t.type("sleeper-13")
        t.wait_for(r'greenlet \d+ "sleeper-13", suspended, waiting for pearl 113')
        t.keys("Enter", "Enter")
        t.wait_for(r"^#\d+ .*sleep_in_the_depths")
        t.keys("End")
        t.wait_for(r"^base")
        t.keys("Escape")
        t.wait_for("TOP FRAMES")
        os.kill(program.pid, signal.SIGKILL)
        program.process.wait()
        t.wait_for(r"The process has exited; this is the last view of it")
        t.wait_for(r"sleeper-13 +suspended")
        t.keys("q")
        t.expect_end(0)


def opens_a_process_from_the_list():
    with Sleepers() as program, Terminal(columns=120) as t:
        t.start(GLTOP, "-d", "0.2")
        t.wait_for(rf"^ *{program.pid} ")
        for _ in range(50):
            if (t.selected() or "").startswith(str(program.pid)):
                break
            t.keys("Down")
            t.wait(lambda: t.selected(), "a selection")
        t.wait(lambda: (t.selected() or "").startswith(str(program.pid)), "the process selected")
        t.keys("Enter")
        t.wait_for(r"Greenlets 23 ")
        t.keys("Escape")
        t.wait_for(r"GREENLETS COMMAND")
        t.keys("q")
        t.expect_end(0)


def survives_a_target_that_dies_at_any_time():
    for attempt in range(20):
        with Sleepers(300) as program:
            gltop = subprocess.Popen([GLTOP, "--once", "-d", "0.1", "-p", str(program.pid)], stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
            time.sleep(attempt * 0.01)  # --once takes two snapshots within the 0.2 s that these span
            os.kill(program.pid, signal.SIGKILL)
            text, errors = gltop.communicate()
            check(gltop.returncode in (0, 1, 3), f"status {gltop.returncode}: {errors}")
            check((gltop.returncode == 1) == (text == ""), "output unless it could not")
            check(gltop.returncode == 0 or errors, "says what happened")


finish([prints_what_the_program_says_of_itself, prints_the_backtrace_of_the_first, says_what_is_wrong, lists_processes,
        watches_a_process, opens_a_process_from_the_list, survives_a_target_that_dies_at_any_time])
