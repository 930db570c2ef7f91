"""What gldump bt says gevent's greenlets run, and who spawned them, is what gevent knows.

usage: origins_test.py GLDUMP PYTHON..."""
import json
import os
import subprocess
import sys
import tempfile

gldump, *python = sys.argv[1:]
here = os.path.dirname(os.path.abspath(__file__))
failures = []


def compare(how, *target):
    done = subprocess.run([gldump, "bt", "--json", *target], capture_output=True, text=True, timeout=120)
    found = {greenlet["id"]: greenlet for greenlet in json.loads(done.stdout)["greenlets"]}
    frames = 0
    for identity, wanted in expected.items():
        greenlet = found[identity]
        shown = {key: greenlet[key] for key in ("function", "arguments", "minimal_ident", "spawner")}
        shown["stack"] = [[frame["function"], frame["file"], frame["line"]] for frame in greenlet["spawn_stack"] or []]
        frames += len(shown["stack"])
        if shown != wanted:
            failures.append("%s: %s is\n  %s, not\n  %s" % (how, identity, shown, wanted))
    print("%s: %d greenlets, %d frames compared" % (how, len(expected), frames))
    idents = sorted(g["minimal_ident"] for g in found.values() if g["minimal_ident"] is not None)
    if idents != [0, 1, 2]:
        failures.append("%s: the numbers of three that were asked for them are %s" % (how, idents))
    if len(expected) < 40 or frames < 60:
        failures.append("%s: too few" % how)


program = subprocess.Popen([*python, os.path.join(here, "origins_program.py")], stdout=subprocess.PIPE, text=True)
try:
    expected = json.loads(program.stdout.readline())
    compare("live", "-p", str(program.pid))
    identity, wanted = next((i, w) for i, w in expected.items() if w["arguments"].startswith("1, "))
    text = subprocess.run([gldump, "bt", identity, "-p", str(program.pid)], capture_output=True, text=True, timeout=120).stdout
    function, file, line = wanted["stack"][0]
    for said in ("    runs forever(%s)\n" % wanted["arguments"],
                 "    spawned by greenlet %s at %s:%d in %s\n" % (wanted["spawner"], file, line, function)):
        if said not in text:
            failures.append("%r is not in\n%s" % (said, text))
    with tempfile.TemporaryDirectory() as folder:
        core = os.path.join(folder, "core")
        subprocess.run(["gcore", "-o", core, str(program.pid)], capture_output=True, timeout=120, check=True)
        compare("core", "--core", "%s.%d" % (core, program.pid))
finally:
    program.kill()
    program.wait()
print("origins: %d failures" % len(failures), *failures[:6], sep="\n")
sys.exit(1 if failures else 0)
