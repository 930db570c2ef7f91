"""Everything is recorded, then every greenlet is looked at, at three stops of one run; the program notices nothing."""

import os
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import truth  # noqa: E402

truth.prepare()
count = truth.Count()
gdb.execute("tbreak main")
server = os.environ.get("ZOO_SERVER")
if server:
    # The program's output goes where the server's errors go.
    gdb.execute("target remote | exec %s --once stdio %s 2> %s" % (
        server, gdb.current_progspace().filename, os.environ["ZOO_OUTPUT"]))
    gdb.execute("continue")
else:
    gdb.execute("run > %s" % os.environ["ZOO_OUTPUT"])
recorder = truth.Recorder()
gdb.execute("break zoo_checkpoint")
for stop in (1, 2, 3):
    gdb.execute("continue")
    truth.prepare()
    count.equal(int(gdb.parse_and_eval("number")), stop, "checkpoint")
    truth.compare(count, recorder.truth)
    gdb.execute("greenlet apply all bt 1", to_string=True)
count.check(recorder.taken >= 30, "only %d switch-outs recorded" % recorder.taken)
gdb.execute("continue")
count.equal(int(gdb.parse_and_eval("$_exitcode")), 0, "exit status")
with open(os.environ["ZOO_OUTPUT"], encoding="utf-8") as output:
    words = output.read().split()
    count.equal(words[words.index("result") + 1], os.environ["ZOO_RESULT"], "the program's result")
count.finish(80)
