"""What tells of the greenlets together, and of one stack: `greenlet tree` and `greenlet slice`, against the program's own
control blocks, which GDB reads by their debug information."""

import os
import re
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import truth  # noqa: E402

count = truth.Count()


def block(greenlet, field):
    """A field of a greenlet's control block."""
    return int(gdb.parse_and_eval("((coppice_greenlet*)%s)->%s" % (greenlet["address"], field)))


def parents_shown(text):
    """{id: id of its parent or None}, by the indentation of a tree."""
    path, parents = [], {}
    for line in text.splitlines():
        found = re.match(r"[* ] ((?:  )*)(\d+) ", line)
        depth = len(found.group(1)) // 2
        path = path[:depth] + [found.group(2)]
        parents[found.group(2)] = path[-2] if depth else None
    return parents


def ranges(text, title):
    """The ranges of the lines under a title of `greenlet slice`, as (low, high, words before it)."""
    found, at = [], None
    for line in text.splitlines()[1:]:
        at = line[:15].strip() or at
        match = re.search(r"(0x[0-9a-f]+) to (0x[0-9a-f]+), (\d+) bytes?\b", line[15:])
        if at == title and match:
            low, high = int(match.group(1), 16), int(match.group(2), 16)
            count.equal(int(match.group(3)), high - low, "the length in " + line)
            found.append((low, high, line[15:15 + match.start()].strip()))
    return found


truth.prepare()
truth.refuses(count, "greenlet tree", "^There is no process and no core file")
truth.refuses(count, "greenlet slice", "^There is no process and no core file")
gdb.execute("tbreak main")
gdb.execute("run > /dev/null", to_string=True)
truth.says(count, "greenlet tree", r"^No greenlets\.$")
truth.refuses(count, "greenlet slice", "^The selected thread runs no greenlet")
gdb.execute("break zoo_checkpoint if number == 3")
gdb.execute("continue", to_string=True)
everyone = {g["id"]: g for g in truth.snapshot()["greenlets"]}
running = next(g["id"] for g in everyone.values() if g["name"] == "shallow")
outer, orphan, sorter = truth.the("outer"), truth.the("orphan"), truth.the("sorter")

# The tree.
text = truth.says(count, "greenlet tree", r'^\* +%s "shallow" running, in zoo_checkpoint at gdb_zoo\.cpp:\d+$' % running,
                  r'^    %s "sorter" suspended, in .*, waiting for fd 5$' % sorter, r"^  \d+ running \(main\), thread 2 \(LWP \d+\), in ",
                  r'^    %s "orphan" orphaned, in ' % orphan)
shown = parents_shown(text)
wanted = {}
for identifier, greenlet in everyone.items():
    parent = block(greenlet, "parent")
    wanted[identifier] = str(int(gdb.parse_and_eval("((coppice_greenlet*)%d)->id" % parent))) if parent else None
count.equal(shown, wanted, "the tree")
count.check(len(shown) >= 20 and sum(p is None for p in shown.values()) == 3, "the tree has other roots: %s" % shown)
below = parents_shown(truth.says(count, "greenlet tree outer", r'^  %s "outer" suspended, thread 1 ' % outer))
count.equal(below, {**{i: p for i, p in wanted.items() if p == outer}, outer: None}, "the tree below one")
truth.refuses(count, "greenlet tree nobody", "^No greenlet nobody")

# Parents as torn memory may show them: in a circle, unknown, very deep.
from coppice_gdb import tree  # noqa: E402


def drawn(*pairs):
    return [(depth, g["id"], remark) for depth, g, remark in tree.branches([{"id": i, "parent": p} for i, p in pairs])]


count.equal(drawn(("2", "3"), ("3", "2"), ("4", "3"), ("1", None)),
            [(0, "1", ""), (0, "2", "its parents go round in a circle"), (1, "3", ""), (2, "4", "")], "a circle of parents")
count.equal(drawn(("5", "5")), [(0, "5", "its parents go round in a circle")], "its own parent")
count.equal(drawn(("2", "9")), [(0, "2", "its parent 9 is not known")], "an unknown parent")
chain = drawn(*[(str(n), str(n - 1) if n else None) for n in range(20_000)])
count.equal(chain[-1], (19_999, "19999", ""), "a long chain of parents")

# The slice: what is saved and what is not, by the control block; who lies over it, by GDB's own sp.
gdb.execute("thread 1", to_string=True)
sp = int(gdb.parse_and_eval("(unsigned long) $sp"))
for identifier, greenlet in everyone.items():
    if greenlet["state"] not in ("suspended", "orphaned"):
        continue
    text = gdb.execute("greenlet slice " + identifier, to_string=True)
    start, stop, saved, copy = (block(greenlet, f) for f in ("start", "stop", "slice.saved_", "slice.copy_"))
    if not greenlet["main"]:
        count.equal(ranges(text, "stack"), [(start, stop, "")], "stack of " + identifier)
    count.equal(ranges(text, "in the heap"), [(start, start + saved, "")] if saved else [], "in the heap of " + identifier)
    count.check(not saved or "copied to 0x%x\n" % copy in text, "the copy of %s: %s" % (identifier, text))
    if not greenlet["main"]:
        count.equal(ranges(text, "on the stack"), [(start + saved, stop, "")] if start + saved < stop else [],
                    "on the stack of " + identifier)
    count.check(re.search(r"^  continues at +0x[0-9a-f]+ <coppice_switch_stacks\+\d+>.*, with sp 0x%x$" % start, text, re.MULTILINE),
                "where %s continues: %s" % (identifier, text))
    over = ranges(text, "over it")
    if identifier != orphan:
        covered = [edge for low, high, _ in over for edge in (low, high)]
        count.check(not saved or covered[:1] + covered[-1:] == [start, start + saved], "over %s is not all told: %s" % (identifier, text))
        count.equal(covered[1:-1:2], covered[2::2], "gaps over " + identifier)
        mine = [(low, high) for low, high, who in over if who == 'greenlet %s "shallow" (running):' % running]
        base = block(everyone[running], "stop")
        reached = greenlet["tid"] == everyone[running]["tid"] and start < base and start + saved > sp
        count.equal(mine, [(max(start, sp), min(start + saved, base))] if reached else [], "the running one over " + identifier)
        if greenlet["tid"] == everyone[running]["tid"] and start < sp:
            count.check(over[0][2] == "nobody:" and over[0][1] <= sp, "below sp somebody lies over %s: %s" % (identifier, text))
truth.says(count, "greenlet slice outer", r"^Greenlet %s \"outer\" \(suspended\)$" % outer)
count.equal(len(ranges(gdb.execute("greenlet slice outer", to_string=True), "on the stack")), 1, "what outer has on the stack")
truth.says(count, "greenlet slice " + truth.the("big"),
           r'greenlet %s "outer" \(suspended\): 0x' % outer, r"greenlet \d+ \(suspended\): 0x")
truth.says(count, "greenlet slice orphan", r"^  over it +not known: its thread has exited$")
truth.says(count, "greenlet slice", r'^Greenlet %s "shallow" \(running\)$' % running, r"^  in the heap +nothing: it runs$",
           r"^  on the stack +0x%x to 0x%x, " % (sp, block(everyone[running], "stop")))
gdb.execute("greenlet " + sorter, to_string=True)
truth.says(count, "greenlet slice", r'^Greenlet %s "sorter" \(suspended\)$' % sorter)
truth.says(count, "greenlet slice shallow", r"^  on the stack +0x%x to " % sp)
truth.says(count, "greenlet", '"sorter"')  # looking has not changed what is selected
truth.refuses(count, "greenlet slice unstarted", r'^Greenlet \d+ "unstarted" is unstarted: it has no stack\.$')
truth.refuses(count, "greenlet slice finished", r"is finished: it has no stack\.$")
truth.refuses(count, "greenlet slice 4711", "^No greenlet 4711")

for command in ("greenlet tree", "greenlet slice"):
    truth.says(count, "help " + command, "Usage: " + command, r"Examples?:\n +\(gdb\) ")
    truth.says(count, "complete %s sor" % command, "^%s sorter$" % command)
count.finish(120)
