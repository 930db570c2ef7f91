"""A core that `greenlet core` wrote, in a GDB that knows nothing of greenlets: threads have the stacks of greenlets."""

import json
import os
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import truth  # noqa: E402

count = truth.Count()
for setting in ("pagination off", "confirm off", "width 0", "height 0", "print elements 100", "debuginfod enabled off"):
    gdb.execute("set " + setting)
gdb.execute("disable pretty-printer", to_string=True)  # those of the C++ library, found by themselves here
recorded = truth.load("truth.json")
(_, expected), = truth.load("expected.json").items()
lines = 0
for thread in gdb.selected_inferior().threads():
    identifier = expected.pop(str(thread.ptid[1]), None)
    if identifier is None:
        continue
    thread.switch()
    got, wanted = truth.comparable(truth.renumbered(truth.backtrace())), truth.comparable(recorded[identifier])
    lines += len(wanted)
    for number in range(max(len(got), len(wanted))):
        pair = [x[number] if number < len(x) else "<nothing>" for x in (got, wanted)]
        if not count.check(pair[0] == pair[1], "greenlet %s, line %d" % (identifier, number)):
            print("  got    %s\n  wanted %s" % tuple(pair))
count.equal(expected, {}, "greenlets that are no thread")
count.finish(60)
