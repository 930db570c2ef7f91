"""Whatever is typed while a greenlet is selected says what it said when the greenlet itself ran, or refuses; threads are shown
as they are."""

import os
import re
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import truth  # noqa: E402

count = truth.Count()
KEPT = ("rip", "rsp", "rbp", "rbx", "r12", "r13", "r14", "r15")
# Of descend's frame, in this order: each may move the selected frame.
COMMANDS = ["frame function descend", "frame", "info args", "info locals", "info frame", "print point", "print *here", "ptype point",
            "ptype here", "whatis mine", "print &mine", "x/s point.label", "x/4gx &point", "x/4i $pc", "info line", "info symbol $pc",
            "info registers " + " ".join(KEPT), "print $_", "up", "info args", "info locals", "print $rsp", "down", "frame",
            "frame function pause_here", "info args", "print/x value", "x/2gx $sp", "select-frame function descend", "frame",
            "up 2", "frame", "info locals", "print depth", "output depth", "printf \"%d\\n\", depth", "list"]


# Instead of a source line, where GDB does not find the file: in other words the first time.
NO_SOURCE = re.compile(r"^(warning: )?\d+\t(.*No such file or directory|in \S+)\n", re.MULTILINE)


def say(command):
    try:
        return NO_SOURCE.sub("", re.sub(r"^\$\d+ = ", "", gdb.execute(command, to_string=True)))
    except gdb.error as problem:
        return "error: %s" % problem


def selected():
    import coppice_gdb
    return coppice_gdb._selection.selected


def start(stop):
    gdb.execute("delete")
    gdb.execute("tbreak zoo_checkpoint if number == %d" % stop)
    gdb.execute("run > %s" % os.environ["ZOO_OUTPUT"], to_string=True)


def end(what):
    gdb.execute("delete")
    gdb.execute("continue", to_string=True)
    with open(os.environ["ZOO_OUTPUT"], encoding="utf-8") as output:
        count.equal(output.read().split()[-2:], ["result", os.environ["ZOO_RESULT"]], what)


truth.prepare()
start(1)
identifier = truth.the("deep-5")

# The truth: the same commands where that greenlet is about to leave.
gdb.execute("tbreak main")
gdb.execute("run > %s" % os.environ["ZOO_OUTPUT"], to_string=True)
gdb.execute("tbreak *coppice_depart if ((coppice::internal::ThreadState*)$rdi)->current->id == %s" % identifier)
gdb.execute("continue", to_string=True)
count.check("coppice_depart" in gdb.selected_frame().name(), "the truth is taken in %s" % gdb.selected_frame().name())
wanted = [say(command) for command in COMMANDS]
gdb.execute("tbreak zoo_checkpoint if number == 2")
gdb.execute("continue", to_string=True)
gdb.execute("greenlet " + identifier, to_string=True)
for command, what in zip(COMMANDS, wanted):
    count.equal(say(command), what, command)
    count.check(selected() is not None, "%s lost the selection" % command)
count.check(sum(not what.startswith("error: ") for what in wanted) >= len(COMMANDS) - 2, "too many errors: %s" % wanted)
count.check("descend" in wanted[1] and "depth = " in wanted[2], "nothing compared: %s" % wanted[:3])

# Threads are shown as they really stand, meanwhile and afterwards.
before = say("frame")
own = r"zoo_checkpoint \(number=(number@entry=)?2\)"
truth.says(count, "info threads", r"^\* 1 .* %s at " % own, r"^  2 ")
for command in ("thread apply all bt 1", "thread apply 2 1 bt 1", "taas bt 1"):
    text = truth.says(count, command, r"^#0 +%s at " % own)
    count.equal(len(re.findall(r"^#0 ", text, re.MULTILINE)), 2, "frames by " + command)
    count.equal(say("frame"), before, "the frame after " + command)
truth.says(count, "thread", r"^\[Current thread is 1 ")
truth.says(count, "thread find gdb_zoo", "^Thread 1 has ")
count.equal(say("frame"), before, "the frame after `thread`")
truth.says(count, "greenlet", "^.Current greenlet is %s " % identifier)
for command in ("thread 1", "frame level 0", "frame function zoo_checkpoint", "select-frame level 0"):
    gdb.execute("greenlet " + identifier, to_string=True)
    say(command)
    count.check(selected() is None, "%s kept the selection" % command)
    truth.says(count, "frame", r"^#0 +%s" % own)
# What fails leaves nothing half selected; the next prompt puts it back.
for command, words in (("thread 99", "Unknown thread 99"), ("thread apply all print no_such", "No symbol")):
    gdb.execute("greenlet " + identifier, to_string=True)
    gdb.execute("frame function descend", to_string=True)
    before = say("frame")
    truth.refuses(count, command, words)
    if selected() is None:
        count.equal(gdb.parameter("may-call-functions"), True, "may-call-functions after " + command)
        import coppice_gdb.guards
        coppice_gdb.guards._come_back("thread")
    count.equal(say("frame"), before, "the frame after " + command)
# Not, if the program has run meanwhile.
truth.refuses(count, "thread 99", "Unknown thread 99")
gdb.execute("next", to_string=True)
coppice_gdb.guards._come_back("thread")
count.check(selected() is None, "the selection came back after a step")
end("what was typed")

# An orphan: its own frames, no registers of its own.
start(2)
text = truth.says(count, "greenlet orphan", r"its thread has exited: registers and thread-local variables are those of thread \d")
truth.says(count, "info locals")
gdb.execute("frame function descend", to_string=True)
truth.says(count, "frame", r"descend \(depth=(depth@entry=)?0, ")
truth.refuses(count, "finish", r"^Greenlet \d+ is orphaned: its thread has exited, it never goes on\.$")
for command in ("return", "jump zoo_checkpoint", "call zoo_callable(1)"):
    truth.refuses(count, command, "not the greenlet|may-call-functions is off")
end("an orphan")

# In non-stop mode others run on meanwhile: a write could not be taken back before they see it.
gdb.execute("set non-stop on")
start(2)
gdb.execute("greenlet " + truth.the("deep-5"), to_string=True)
gdb.execute("frame function descend", to_string=True)
truth.refuses(count, "set var mine = 1", "^Writing to memory is not allowed")
truth.refuses(count, "print mine = 1", "^Writing to memory is not allowed")
truth.refuses(count, "set var $rbx = 1", "not allowed")
truth.refuses(count, "greenlet 3", r"^Thread 2 is running: stop it first \(interrupt\)\.$")
gdb.execute("thread 1", to_string=True)
count.equal(gdb.parameter("may-write-memory"), True, "may-write-memory afterwards")
end("non-stop")
count.finish(120)
