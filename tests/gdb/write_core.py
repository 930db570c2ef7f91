"""`greenlet core`: writes cores with a greenlet of each thread, and what must be in them."""

import json
import os
import re
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import truth  # noqa: E402

count = truth.Count()
truth.prepare()
written = os.environ["WRITTEN"]


def refuses(command, words):
    try:
        gdb.execute(command, to_string=True)
        count.check(False, "%s was not refused" % command)
    except gdb.error as problem:
        count.check(words in str(problem), "%s: %s" % (command, problem))


if not gdb.selected_inferior().pid:
    refuses("greenlet core x.core 3", "There is no process and no core file")
    gdb.execute("tbreak main")
    gdb.execute("run > /dev/null", to_string=True)
    recorder = truth.Recorder()
    gdb.execute("break zoo_checkpoint", to_string=True)
    gdb.execute("continue", to_string=True)
    recorder.save("truth.json")
    gdb.execute("generate-core-file plain.core", to_string=True)

first, second, third = truth.the("deep-12"), truth.the("deep-5", 2), truth.the("sorter")
refuses("greenlet core", "Usage: greenlet core FILE")
refuses("greenlet core x.core", "Say which greenlets")
refuses("greenlet core x.core %s %s" % (first, third), "belong to one thread")
refuses("greenlet core x.core orphan", "has exited: no thread's place is its own")
refuses("greenlet core x.core unstarted", "is unstarted: only one that sleeps")
refuses("greenlet core x.core 4711", "No greenlet 4711")
refuses("greenlet core /nowhere/x.core " + first, "/nowhere/x.core")
refuses("greenlet core truth.json " + first, "truth.json exists")
count.check(not os.path.exists("x.core"), "a refused core is left behind")
before = truth.backtrace()
said = gdb.execute("greenlet core %s %s %s" % (written, first, second), to_string=True)
count.check(re.search(r'has greenlet %s "deep-12" and greenlet %s "deep-5" in the place of LWP \d+ and LWP \d+\]' % (first, second),
                      said), said)
count.equal(truth.backtrace(), before, "the thread itself")
gdb.execute("greenlet " + third, to_string=True)
gdb.execute("greenlet core selected.core." + written, to_string=True)
count.check(os.path.getsize("selected.core." + written) > 10_000, "the selected greenlet's core")
tids = {g["id"]: g["tid"] for g in truth.snapshot()["greenlets"]}
with open("expected.json", "w", encoding="utf-8") as file:
    json.dump({written: {tids[first]: first, tids[second]: second}}, file)
text = gdb.execute("help greenlet core", to_string=True)
count.check(re.search("Usage: greenlet core", text) and re.search(r"Example:\n +\(gdb\) ", text), text)
count.check("greenlet core x.core sorter" in gdb.execute("complete greenlet core x.core sor", to_string=True), "completion")
count.finish(13)
