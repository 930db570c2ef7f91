"""`greenlet break` on an unmodified CPython: umask's argument tells who really calls it."""

import os
import re
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import truth  # noqa: E402

count = truth.Count()
truth.prepare()
gdb.execute("set breakpoint pending on")
gdb.execute("break getppid")
gdb.execute("run %s > %s" % (os.environ["ZOO_SCRIPT"], os.environ["ZOO_OUTPUT"]), to_string=True)
with open(os.environ["ZOO_OUTPUT"], encoding="utf-8") as output:
    places = {int(number): address for number, address in re.findall(r"greenlet (\d+) (0x\w+)", output.read())}
gdb.execute("delete")
for number in (0, 17):
    gdb.execute("greenlet break umask greenlet " + places[number], to_string=True)
passed = []
while True:
    gdb.execute("continue", to_string=True)
    if not gdb.selected_inferior().pid:
        break
    caller = int(gdb.parse_and_eval("$edi"))
    passed.append(caller)
    count.check(places[caller] in gdb.execute("greenlet", to_string=True), "greenlet at a stop of %d" % caller)
    if len(passed) == 1:
        try:
            gdb.execute("catch greenlet-switch")
            count.check(False, "switches of CPython are caught")
        except gdb.error as problem:
            count.check("no libcoppice with the probe" in str(problem), str(problem))
count.equal(passed, [0, 17, 0, 17], "who called umask at the stops")
with open(os.environ["ZOO_OUTPUT"], encoding="utf-8") as output:
    count.equal(output.read().split()[-2:], ["result", os.environ["ZOO_RESULT"]], "the program's result")
count.finish(7)
