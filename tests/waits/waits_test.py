"""What gldump says each greenlet of a program waits for is what the program knows.

usage: waits_test.py GLDUMP PROGRAM PYTHON...

PROGRAM is the name of one of the programs here: gevent, eventlet, switched."""
import json
import os
import re
import subprocess
import sys
import tempfile

gldump, name, *python = sys.argv[1:]
here = os.path.dirname(os.path.abspath(__file__))
# What the list must say somewhere, and of what kind and size the largest group of `gldump waits` is.
TEXTS = {"gevent": ["(listening)", " in thread ", "-> 127.0.0.1:", "(established)", "read pipe ", "s left", "the end of greenlet 0x"],
         "eventlet": ["(listening)", "-> 127.0.0.1:", "(established)", "write socket", "s left", "the end of greenlet 0x"],
         "switched": ["a switch; its parent is", "awaited by its parent"]}
LARGEST = {"gevent": ("event", 52), "eventlet": ("event", 53), "switched": ("parent", 31)}
failures = []


def compare(how, arguments, expected, live):
    done = subprocess.run([gldump, *arguments], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        failures.append(f"{how}: exit status {done.returncode}: {done.stderr}")
        return
    found = {greenlet["id"]: greenlet for greenlet in json.loads(done.stdout)["greenlets"]}
    compared = 0
    for identity, wait in expected.items():
        if identity not in found:
            failures.append(f"{how}: greenlet {identity} is missing")
            continue
        greenlet, waiting = found[identity], found[identity]["waiting"] or {}
        for field in ("kind", "greenlet"):
            if waiting.get(field) != wait[field]:
                failures.append(f"{how}: {identity} waits for {waiting}, not {wait}")
        if wait["value"] is not None and waiting.get("value") != wait["value"]:
            failures.append(f"{how}: {identity} waits for {waiting}, not {wait}")
        if not re.search(wait.get("detail", ""), waiting.get("detail") or ""):
            failures.append(f"{how}: {identity} waits for {waiting}, not {wait}")
        if wait["name"] is not None and greenlet["name"] != wait["name"]:
            failures.append(f"{how}: {identity} is called {greenlet['name']}, not {wait['name']}")
        if live and wait["kind"] == "timer" and not 900_000 < waiting.get("value", 0) <= 1_000_000:
            failures.append(f"{how}: {identity} has {waiting} left of 1000 s")
        if live and wait["kind"] == "fd" and f" {wait['value']}" not in waiting.get("detail", ""):
            failures.append(f"{how}: {identity} waits for {waiting}")
        compared += 1
    print(f"{how}: {compared} greenlets compared, {len(failures)} differing so far")
    if compared < 60:
        failures.append(f"{how}: only {compared} were compared")


program = subprocess.Popen([*python, os.path.join(here, f"{name}_program.py")], stdout=subprocess.PIPE, text=True)
try:
    expected = json.loads(program.stdout.readline())
    for command in ("list", "bt"):
        compare(f"{command}, live", [command, "-p", str(program.pid), "--json"], expected, True)
    for identity, name_of_one in [(i, wait["name"]) for i, wait in expected.items() if wait["name"]]:
        chosen = subprocess.run([gldump, "bt", name_of_one, "-p", str(program.pid), "--json"], capture_output=True, text=True, timeout=120)
        if [greenlet["id"] for greenlet in json.loads(chosen.stdout or "{}").get("greenlets", [])] != [identity]:
            failures.append(f"bt {name_of_one!r} shows no greenlet or another: {chosen.stdout[:200]} {chosen.stderr}")
    details = subprocess.run([gldump, "list", "-p", str(program.pid)], capture_output=True, text=True, timeout=120).stdout
    for text in TEXTS[name]:
        if text not in details:
            failures.append(f"{text!r} is nowhere in:\n{details}")
    waits = subprocess.run([gldump, "waits", "-p", str(program.pid), "--json"], capture_output=True, text=True, timeout=120)
    document = json.loads(waits.stdout)
    largest = document["waits"][0]
    if (largest["kind"], len(largest["ids"])) != LARGEST[name] or document["cycles"]:
        failures.append(f"the largest group is {largest}, not {LARGEST[name]}; circles: {document['cycles']}")
    with tempfile.TemporaryDirectory() as folder:
        core = os.path.join(folder, "core")
        made = subprocess.run(["gcore", "-o", core, str(program.pid)], capture_output=True, text=True, timeout=120)
        if made.returncode == 0:
            compare("list, core", ["list", "--core", f"{core}.{program.pid}", "--json"], expected, False)
        else:
            failures.append(f"gcore: {made.stderr}")
finally:
    program.terminate()
    program.wait()
for failure in failures:
    print("FAILED", failure)
sys.exit(1 if failures else 0)
