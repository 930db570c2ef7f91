"""`greenlet break` and `catch greenlet-switch` stop where that greenlet runs, each time and nowhere else."""

import os
import re
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import truth  # noqa: E402

count = truth.Count()
truth.prepare()
gdb.execute("set breakpoint pending on")


def refuses(command, words):
    try:
        gdb.execute(command, to_string=True)
        count.check(False, "%s was not refused" % command)
    except gdb.error as problem:
        count.check(words in str(problem), "%s: %s" % (command, problem))


def on_cpu():
    """Which greenlet runs, by the runtime's own variables."""
    return str(int(gdb.parse_and_eval("'coppice::internal::thread_state_or_null'->current->id")))


def go_on():
    """(stopped, what GDB said)"""
    text = gdb.execute("continue", to_string=True)
    return gdb.selected_inferior().pid != 0, text


def begin():
    gdb.execute("delete")
    gdb.execute("tbreak zoo_checkpoint")
    gdb.execute("run > %s" % os.environ["ZOO_OUTPUT"], to_string=True)


def end(what):
    """The program noticed nothing."""
    with open(os.environ["ZOO_OUTPUT"], encoding="utf-8") as output:
        count.equal(output.read().split()[-2:], ["result", os.environ["ZOO_RESULT"]], what)


class Silent(gdb.Breakpoint):
    """Counts by whom a place is passed."""

    def __init__(self, where):
        super().__init__(where, internal=True)
        self.passed = []

    def stop(self):
        self.passed.append(on_cpu())
        return False


# Before there is a process.
refuses("greenlet break zoo_checkpoint greenlet 3", "There is no process")
gdb.execute("catch greenlet-switch", to_string=True)
gdb.execute("run > %s" % os.environ["ZOO_OUTPUT"], to_string=True)
count.check(gdb.selected_frame().pc() == int(gdb.parse_and_eval("(unsigned long) &coppice_entry")), "the first switch")
count.equal(on_cpu(), "2", "the first greenlet that was switched to")
said = gdb.execute("info breakpoints", to_string=True)
count.check("coppice_entry" in said or "coppice:switch" in said, said)

# One place, one greenlet of many.
begin()
one, other = truth.the("deep-5"), truth.the("lambda")
everyone = Silent("pause_here")
gdb.execute('greenlet break pause_here greenlet "%s"' % one, to_string=True)
gdb.execute("greenlet break zoo_checkpoint greenlet %s if number == 4711" % truth.the("deep-1"), to_string=True)
hits = 0
while True:
    stopped, _ = go_on()
    if not stopped:
        break
    count.equal(on_cpu(), one, "who runs at a breakpoint of greenlet %s" % one)
    count.check("pause_here" in gdb.selected_frame().name(), gdb.selected_frame().name())
    hits += 1
count.equal(hits, everyone.passed.count(one), "stops of greenlet %s" % one)
count.check(hits == 1 and len(everyone.passed) > 5, "passed by %s" % everyone.passed)
end("greenlet break")

# Without a place: where the selected frame continues.
begin()
gdb.execute("greenlet " + one, to_string=True)
while "pause_here" not in gdb.selected_frame().name():
    gdb.execute("up", to_string=True)
where = gdb.selected_frame().pc()
gdb.execute("greenlet break greenlet " + one, to_string=True)
stopped, text = go_on()
count.equal((gdb.selected_frame().pc(), on_cpu()), (where, one), "where the selected frame continues")

# Each time that it is switched to.
begin()
gdb.execute("catch greenlet-switch " + other, to_string=True)
before = int(gdb.parse_and_eval("((coppice_greenlet*)%s)->switches" % next(
    g["address"] for g in truth.snapshot()["greenlets"] if g["id"] == other)))
hits = 0
while True:
    stopped, text = go_on()
    if not stopped:
        break
    hits += 1
    count.check('[Switched to greenlet %s "lambda"]' % other in text, text)
    count.equal(on_cpu(), other, "who runs after a switch to greenlet %s" % other)
    count.equal(int(gdb.parse_and_eval("'coppice::internal::thread_state_or_null'->current->switches")), before + hits,
                "switches to it")
    names = gdb.execute("bt", to_string=True)
    count.check("pause_here" in names and "coppice_entry" in names, "its frames: " + names)
count.check(hits == 1, "%d stops" % hits)
end("catch greenlet-switch")

# Everyone, from a known place on.
begin()
catch = gdb.execute("catch greenlet-switch", to_string=True)
arrived = []
for _ in range(6):
    go_on()
    arrived.append(on_cpu())
count.check(all(a != b for a, b in zip(arrived, arrived[1:])), "switches: %s" % arrived)
gdb.execute("delete " + re.search(r"point (\d+)", catch).group(1))
go_on()

# What is refused.
begin()
refuses("greenlet break", "Usage: greenlet break")
refuses("greenlet break pause_here", "Usage: greenlet break")
refuses("greenlet break pause_here greenlet 4711", "No greenlet 4711")
refuses("greenlet break pause_here greenlet deep-5", '2 greenlets are named "deep-5"')
refuses("greenlet break pause_here greenlet finished", "is finished: it never runs again")
refuses("catch greenlet-switch orphan", "is orphaned: it never runs again")
count.equal(int(gdb.parse_and_eval('$_greenlet_runs("%s")' % on_cpu())), 1, "$_greenlet_runs of the one that does")
count.equal(int(gdb.parse_and_eval("$_greenlet_runs(%s)" % one)), 0, "$_greenlet_runs of another")
count.equal(int(gdb.parse_and_eval("$_greenlet_runs(4711)")), 0, "$_greenlet_runs of none")
for command in ("greenlet break", "catch greenlet-switch"):
    text = gdb.execute("help " + command, to_string=True)
    count.check(re.search("Usage: " + command, text) and re.search(r"Example.*:\n +\(gdb\) ", text), text)
for text in ("greenlet break pause_here greenlet sor", "catch greenlet-switch sor"):
    count.check(text + "ter" in gdb.execute("complete " + text, to_string=True).splitlines(), "completion of " + text)
text = gdb.execute("complete greenlet break zoo_chec", to_string=True)
count.check("zoo_checkpoint" in text, "completion of a place: " + text)
count.finish(31)
