"""Every greenlet of a core, compared with what was recorded while the process lived."""

import os
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import truth  # noqa: E402

truth.prepare()
count = truth.Count()
truth.compare(count, truth.load("truth.json"))
with_states = {g["state"] for g in truth.snapshot()["greenlets"]}
count.equal(with_states, {"running", "suspended", "orphaned", "finished", "unstarted"}, "states")
gdb.execute("greenlet 3", to_string=True)
gdb.execute("frame 8", to_string=True)
try:
    gdb.execute("set var mine = 1", to_string=True)
    count.check(False, "a core could be written to")
except gdb.error:
    count.check(True, "")
count.finish(20)
