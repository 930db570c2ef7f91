"""What gldump bt says a greenlet runs is what its stack shows, in a program where it may be another greenlet a moment later.

usage: busy_test.py GLDUMP PYTHON..."""
import json
import os
import subprocess
import sys
import time

gldump, *python = sys.argv[1:]
compared, dropped, failures = 0, 0, []
program = subprocess.Popen([*python, os.path.join(os.path.dirname(os.path.abspath(__file__)), "busy_program.py")],
                           stdout=subprocess.PIPE, text=True)
try:
    program.stdout.readline()
    end = time.monotonic() + 20
    while (compared < 2000 or dropped < 20) and time.monotonic() < end:
        done = subprocess.run([gldump, "bt", "--json", "--python", "-p", str(program.pid)], capture_output=True, text=True, timeout=120)
        for greenlet in json.loads(done.stdout)["greenlets"]:
            stack = [frame["function"] for frame in greenlet["frames"]]
            works = [name for name in stack if name.startswith("work_")]
            if greenlet["state"] != "suspended" or not works:
                continue
            if greenlet["origin_error"] is not None:
                dropped += 1
                wrong = greenlet["origin_error"]["code"] != "torn" or any(
                    greenlet[key] is not None for key in ("function", "arguments", "spawner", "spawn_stack"))
            else:
                compared += 1
                wrong = greenlet["function"] != works[-1] or greenlet["arguments"] != works[-1][len("work_"):]
            if wrong:
                failures.append("%s runs %s(%s) by its origin (%s), and its stack is %s" % (
                    greenlet["id"], greenlet["function"], greenlet["arguments"], greenlet["origin_error"], stack))
finally:
    program.kill()
    program.wait()
print("busy: %d compared, %d dropped, %d failures" % (compared, dropped, len(failures)), *failures[:5], sep="\n")
sys.exit(1 if failures or compared < 500 else 0)
