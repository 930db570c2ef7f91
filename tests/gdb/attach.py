"""First visit: records the truth and detaches in the midst of a selection. Second visit: attaches and compares."""

import os
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import truth  # noqa: E402

truth.prepare()
count = truth.Count()
if not os.path.exists("truth.json"):
    gdb.execute("tbreak main")
    gdb.execute("run wait > %s" % os.environ["ZOO_OUTPUT"])
    recorder = truth.Recorder()
    gdb.execute("break zoo_checkpoint")
    gdb.execute("continue")
    gdb.execute("greenlet 4", to_string=True)
    recorder.save("truth.json")
    gdb.execute("delete")
    gdb.execute("detach")
    gdb.execute("quit 0")
else:
    truth.compare(count, truth.load("truth.json"))
    gdb.execute("greenlet 4", to_string=True)
    gdb.execute("thread 1", to_string=True)
    gdb.execute("set var go = 1")
    gdb.execute("greenlet 5", to_string=True)
    gdb.execute("detach")
    count.check(count.checks > 0, "nothing compared")
    count.finish(10)
