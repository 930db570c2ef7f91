"""The local variables that gldump shows are those the program has: subject.py, live, running and as a core.

usage: locals_test.py GLDUMP PYTHON..."""
import json
import os
import subprocess
import sys
import tempfile

gldump, *python = sys.argv[1:]
here = os.path.dirname(os.path.abspath(__file__))
failures = []


def expect(holds, what):
    if not holds:
        failures.append(what)


def run(*arguments):
    done = subprocess.run([gldump, "bt", *arguments], capture_output=True, text=True, timeout=120)
    expect(done.returncode in (0, 3), "%s: exit status %d: %s" % (arguments, done.returncode, done.stderr))
    return done.stdout


def compare(how, target, identity, expected):
    document = json.loads(run(*target, "--json", "--locals", identity))
    frames = document["greenlets"][0]["frames"]
    found = [frame for frame in frames if frame["function"] == "with_locals"]
    expect(len(found) == 1, "%s: %d frames of with_locals" % (how, len(found)))
    for frame in frames:
        expect(("locals" in frame) == (frame["kind"] == "python"), "%s: %s" % (how, frame))
    for frame in found:
        expect(frame["locals_error"] is None and frame["locals_left_out"] == 0, "%s: %s" % (how, frame))
        shown = {local["name"]: local["value"] for local in frame["locals"] or []}
        expect(shown.pop("path", None) == "[]", "%s: path" % how)
        for name in sorted(expected.keys() | shown.keys()):
            expect(shown.get(name) == expected.get(name), "%s: %s is %s, not %s" % (how, name, shown.get(name), expected.get(name)))
        print("%s: %d variables compared" % (how, len(shown)))
        expect(len(shown) >= 25, "%s: too few" % how)
    with_text = run(*target, "--locals", identity)
    expect("\n        integer = 42\n" in with_text, "%s, as text:\n%s" % (how, with_text))


program = subprocess.Popen([*python, os.path.join(here, "subject.py"), "1", "20", "alone"], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, text=True)
try:
    report = json.loads(program.stdout.readline())
    subject = next(entry for entry in report["greenlets"] if "locals" in entry)
    expected = {name: bytes.fromhex(text).decode() for name, text in subject["locals"].items()}
    live = ["-p", str(program.pid)]
    compare("live", live, subject["id"], expected)
    without = run(*live, "--json", subject["id"])
    expect('"locals' not in without, "locals that nobody asked for")
    everything = json.loads(run(*live, "--json", "--locals"))
    texts = [local["value"] for greenlet in everything["greenlets"] for frame in greenlet["frames"] for local in frame.get("locals") or []]
    print("all: %d variables" % len(texts))
    expect(len(texts) > 1000, "only %d variables in all" % len(texts))
    expect(not any("unreadable" in text for text in texts), "some are unreadable")
    with tempfile.TemporaryDirectory() as folder:
        core = os.path.join(folder, "core")
        subprocess.run(["gcore", "-o", core, str(program.pid)], capture_output=True, timeout=120, check=True)
        compare("core", ["--core", "%s.%d" % (core, program.pid)], subject["id"], expected)
finally:
    program.kill()
    program.wait()
print("CPython %x, greenlet %s: %d failures" % (report["hex"], report["greenlet"], len(failures)), *failures, sep="\n")
sys.exit(1 if failures else 0)
