"""Whole lines of `gldump waits`, of greenlets that wait for each other.

usage: deadlock_test.py GLDUMP gevent|eventlet PYTHON..."""
import json
import os
import subprocess
import sys

gldump, name, *python = sys.argv[1:]
program = subprocess.Popen([*python, os.path.join(os.path.dirname(os.path.abspath(__file__)), "deadlock_program.py"), name],
                           stdout=subprocess.PIPE, text=True)
try:
    expected = json.loads(program.stdout.readline())
    run = [gldump, "waits", "-p", str(program.pid)]
    shown = subprocess.run(run, capture_output=True, text=True, timeout=120).stdout.splitlines()
    document = json.loads(subprocess.run([*run, "--json"], capture_output=True, text=True, timeout=120).stdout)
finally:
    program.kill()
    program.wait()


def unordered(line):
    """No contract says in which order greenlets are."""
    if line.startswith("deadlock: "):
        first, second, _ = line[len("deadlock: "):].split(" waits for ")
        return "deadlock: %s waits for %s waits for %s" % (min(first, second), max(first, second), min(first, second))
    return "    " + ", ".join(sorted(line.strip().split(", "))) if line.startswith("    ") else line


shown = [unordered(line) for line in shown]
failures = ["missing: " + line for line in set(expected) - set(shown)] + ["unexpected: " + line for line in set(shown) - set(expected)]
locks = [greenlet["waiting"] for greenlet in document["greenlets"] if (greenlet["waiting"] or {}).get("kind") == "lock"]
if len(locks) != 5 or any(lock["greenlet"] is None for lock in locks):
    failures.append("locks in JSON: %s" % locks)
if [len(cycle) for cycle in document["cycles"]] != [2]:
    failures.append("circles: %s" % document["cycles"])
print("deadlock, %s: %d lines, %d failures" % (name, len(expected), len(failures)), *failures, sep="\n")
sys.exit(1 if failures or len(expected) < 8 else 0)
