"""`greenlet view`: each greenlet's thread in the second inferior against what was recorded when it switched out."""

import os
import re
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import truth  # noqa: E402

count = truth.Count()
truth.prepare()


def refuses(command, words):
    try:
        gdb.execute(command, to_string=True)
        count.check(False, "%s was not refused" % command)
    except gdb.error as problem:
        count.check(words in str(problem), "%s: %s" % (command, problem))


def compare(recorded):
    """Every thread of a new view. Returns the number of the view's inferior."""
    asleep = {g["id"]: g for g in truth.stackful()}
    running = [thread.ptid[1] for thread in gdb.selected_inferior().threads()]
    first = gdb.selected_inferior()
    stacks = {i: [f["pc"] for f in g["frames"]] for i, g in asleep.items()}
    said = gdb.execute("greenlet view", to_string=True)
    view = gdb.selected_inferior()
    count.check("has %d greenlets as threads" % len(asleep) in said, said)
    count.check(view != first, "the view is selected")
    truth.prepare()  # for the objfiles of the view
    listed = gdb.execute("info threads", to_string=True)
    lines, seen = 0, set()
    for thread in sorted(view.threads(), key=lambda thread: thread.num):
        if thread.ptid[1] in running:
            running.remove(thread.ptid[1])
            continue
        identifier = thread.name.split()[1]
        seen.add(identifier)
        count.check('"%s"' % thread.name in listed, "%s is not in `info threads`" % thread.name)
        gdb.execute("thread %d.%d" % (view.num, thread.num), to_string=True)
        got = truth.comparable(truth.renumbered(gdb.execute("bt -full -no-filters", to_string=True)))
        # Behind gdbserver the program's libraries are read through it, the view's from here.
        wanted = [line.replace(" from target:/", " from /") for line in truth.comparable(recorded[identifier])]
        lines += len(wanted)
        # Whichever stack is in its place, the commands for greenlets read the threads' own.
        truth.forget()
        count.equal({g["id"]: [f["pc"] for f in g["frames"]] for g in truth.stackful()}, stacks, "frames, by the library")
        for number in range(max(len(got), len(wanted))):
            pair = [x[number] if number < len(x) else "<nothing>" for x in (got, wanted)]
            if not count.check(pair[0] == pair[1], "greenlet %s in the view, line %d" % (identifier, number)):
                print("  got    %s\n  wanted %s" % tuple(pair))
    count.equal(seen, set(asleep), "greenlets in the view")
    count.equal(running, [], "threads that the view has not")
    count.check(lines >= 20 * len(seen), "%d lines compared" % lines)
    # All at once, from thread to thread and back.
    everyone = gdb.execute("thread apply all bt", to_string=True)
    count.check(everyone.count("coppice_entry") >= len(seen) - 1, everyone)
    return view


def go_back():
    gdb.execute("inferior 1", to_string=True)


if gdb.selected_inferior().pid:  # a core
    compare(truth.load("truth.json"))
    refuses("greenlet view", "This is the view")
    gdb.execute("greenlet view -close", to_string=True)
    count.equal(len(gdb.inferiors()), 1, "inferiors after -close")
    count.finish(300)

text = gdb.execute("help greenlet view", to_string=True)
count.check(re.search(r"Usage: greenlet view", text) and re.search(r"Example:\n +\(gdb\) ", text), text)
count.check("greenlet view -close" in gdb.execute("complete greenlet view -c", to_string=True), "completion")
refuses("greenlet view", "There is no process and no core file")
refuses("greenlet view -close", "There is no view")
refuses("greenlet view of what", "Usage: greenlet view")
gdb.execute("tbreak main")
server = os.environ.get("ZOO_SERVER")
if server:
    gdb.execute("target remote | exec %s --once stdio %s 2> %s" % (
        server, gdb.current_progspace().filename, os.environ["ZOO_OUTPUT"]))
    gdb.execute("continue", to_string=True)
else:
    gdb.execute("run > %s" % os.environ["ZOO_OUTPUT"], to_string=True)
refuses("greenlet view", "No greenlet sleeps here")
recorder = truth.Recorder()
gdb.execute("break zoo_checkpoint")
gdb.execute("break *coppice_arrive if 0", to_string=True)
for stop in (1, 2, 3):
    gdb.execute("continue", to_string=True)
    # A selection ends with it; the second inferior does not outlive the stop.
    gdb.execute("greenlet " + truth.stackful()[0]["id"], to_string=True)
    compare(recorder.truth)
    for command in ("continue", "kill", "step"):
        refuses(command, "This is a view of inferior 1")
    go_back()
    # GDB does not tell of internal breakpoints, which `greenlet view` would keep enabled like others.
    recorder.enabled = True
    count.check(all(breakpoint.enabled for breakpoint in gdb.breakpoints()), "breakpoints are disabled")
    gdb.execute("greenlet " + truth.the("orphan"), to_string=True)
    count.check("descend" in gdb.execute("bt", to_string=True), "a selection beside the view")
    gdb.execute("info greenlets", to_string=True)
    count.check("descend" in gdb.execute("bt", to_string=True), "a selection beside the view, later")
    gdb.execute("next", to_string=True)
    count.equal(len(gdb.inferiors()), 1, "inferiors after the program went on")
gdb.execute("delete")
gdb.execute("continue", to_string=True)
with open(os.environ["ZOO_OUTPUT"], encoding="utf-8") as output:
    words = output.read().split()
    count.equal(words[words.index("result") + 1], os.environ["ZOO_RESULT"], "the program's result")
count.finish(900)
