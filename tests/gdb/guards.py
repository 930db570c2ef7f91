"""A selection never reaches the program: whatever is typed while a greenlet is selected, it computes the same."""

import os
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import truth  # noqa: E402

count = truth.Count()
truth.prepare()


def start():
    """A fresh run, stopped at the first checkpoint."""
    gdb.execute("delete")
    gdb.execute("tbreak zoo_checkpoint")
    gdb.execute("run > %s" % os.environ["ZOO_OUTPUT"], to_string=True)


def end(what, wanted=None):
    """Lets the program run to its end and compares what it computed."""
    gdb.execute("delete")
    gdb.execute("continue", to_string=True)
    with open(os.environ["ZOO_OUTPUT"], encoding="utf-8") as output:
        words = output.read().split()
    count.equal(words[-2:], ["result", wanted or os.environ["ZOO_RESULT"]], what)


def refuses(command, words):
    try:
        gdb.execute(command, to_string=True)
        count.check(False, "%s was not refused" % command)
    except gdb.error as problem:
        count.check(words in str(problem), "%s: %s" % (command, problem))


def memory_of(address, size):
    """The program's own bytes, whatever GDB shows."""
    with open("/proc/%d/mem" % gdb.selected_inferior().pid, "rb") as memory:
        memory.seek(address)
        return memory.read(size)


def selected():
    import coppice_gdb
    return coppice_gdb._selection.selected


def everything():
    """What a selection could harm: every stack's place and every saved copy."""
    pieces = {}
    import coppice_gdb
    for greenlet in truth.stackful():
        stack = coppice_gdb._selection.engine().stack(greenlet["id"])
        pieces[stack.start] = memory_of(stack.start, stack.saved)
        pieces[stack.copy] = memory_of(stack.copy, stack.saved)
    return pieces


# Looking changes nothing, byte for byte.
start()
before = everything()
for greenlet in truth.stackful():
    gdb.execute("greenlet " + greenlet["id"], to_string=True)
    gdb.execute("bt -full", to_string=True)
    gdb.execute("info locals", to_string=True)
    gdb.execute("x/32gx $sp", to_string=True)
count.check(len(before) > 20 and everything() == before, "looking changed memory")
count.equal(int(gdb.parse_and_eval("$_thread")), 1, "thread of the last greenlet")
end("looking")

# Every way to let the program run begins by letting go.
for command in ("continue", "step", "next", "stepi", "nexti", "until", "advance zoo_checkpoint", "signal 0"):
    start()
    gdb.execute("break zoo_checkpoint")
    gdb.execute("greenlet " + truth.the("deep-5"), to_string=True)
    gdb.execute("up 6", to_string=True)
    gdb.execute(command, to_string=True)
    count.check(selected() is None, "%s kept the selection" % command)
    where = gdb.selected_frame().name()
    count.check(command not in ("step", "next", "until") or where.startswith(("main", "zoo_checkpoint")),
                "%s led to %s" % (command, where))
    end(command)

# finish waits for that very greenlet, from whatever frame.
for name, thread in (("deep-5", 1), ("deep-5", 2), ("lambda", 1)):
    start()
    identifier = truth.the(name, thread)
    gdb.execute("greenlet " + identifier, to_string=True)
    while not gdb.selected_frame().name().endswith("pause_here(unsigned long)") and "pause_here" not in (
            gdb.selected_frame().name()):
        gdb.execute("up", to_string=True)
    wanted = gdb.selected_frame().older().pc()
    gdb.execute("finish", to_string=True)
    count.equal(gdb.selected_frame().pc(), wanted, "finish in %s" % name)
    import coppice_gdb
    running = coppice_gdb._selection.running()
    count.equal(running and running["id"], identifier, "the greenlet that finish stopped in")
    end("finish in " + name)

# A write reaches the greenlet, and nobody else.
start()
live = everything()
gdb.execute("greenlet " + truth.the("deep-1"), to_string=True)
while not (gdb.selected_frame().name() or "").endswith("descend(int, unsigned long)") and "descend" not in (
        gdb.selected_frame().name() or ""):
    gdb.execute("up", to_string=True)
level = gdb.selected_frame().level()
old = int(gdb.parse_and_eval("mine"))
gdb.execute("set var mine = %d" % (old + 1000))
count.equal(int(gdb.parse_and_eval("mine")), old + 1000, "what was written")
count.equal(gdb.selected_frame().level(), level, "the frame after a write")
stack = selected().stack
count.check(memory_of(stack.start, stack.saved) == live[stack.start], "the live stack was changed")
offset = int(gdb.parse_and_eval("(unsigned long) &mine")) - stack.start
count.equal(int.from_bytes(memory_of(stack.copy + offset, 8), "little"), old + 1000, "the saved copy")
gdb.execute("greenlet " + truth.the("deep-5"), to_string=True)
gdb.execute("greenlet " + truth.the("deep-1"), to_string=True)
gdb.execute("frame %d" % level, to_string=True)
count.equal(int(gdb.parse_and_eval("mine")), old + 1000, "what was written, after another selection")
# `mine` is read twice after the pause, and the greenlet's value is the seventh from the end of a base-7 sum.
end("set var", str((int(os.environ["ZOO_RESULT"]) + 2 * 1000 * 7 ** 6) % 2 ** 64))

# So does a write to a register that an inner frame has saved.
start()
gdb.execute("greenlet " + truth.the("deep-12"), to_string=True)
gdb.execute("frame 8", to_string=True)
stack, old = selected().stack, int(gdb.parse_and_eval("$rbx"))
live, saved = memory_of(stack.start, stack.saved), memory_of(stack.copy, stack.saved)
own = gdb.newest_frame().read_register("rbx")
gdb.execute("set var $rbx = %d" % (old ^ 0x55))
count.equal(int(gdb.parse_and_eval("$rbx")), old ^ 0x55, "the register")
count.check(gdb.newest_frame().read_register("rbx") == own, "the thread's own register was changed")
count.check(memory_of(stack.start, stack.saved) == live, "the live stack was changed by a register")
count.check(memory_of(stack.copy, stack.saved) != saved, "the register did not reach the saved copy")
gdb.execute("set var $rbx = %d" % old)
count.equal(int(gdb.parse_and_eval("$rbx")), old, "the register, put back")
count.equal(memory_of(stack.copy, stack.saved), saved, "the saved copy after the register was put back")
end("set var of a register")

# What would act on the thread instead is refused, and allowed again afterwards.
start()
count.equal(int(gdb.parse_and_eval("zoo_callable(4)")), 5, "a call before")
gdb.execute("greenlet " + truth.the("deep-5"), to_string=True)
refuses("return", "not the greenlet's")
refuses("jump zoo_checkpoint", "not the greenlet")
refuses("print zoo_callable(3)", "may-call-functions is off")

# A place on its stack is somebody else's while it sleeps; the rest of the program may be watched.
while "descend" not in (gdb.selected_frame().name() or ""):
    gdb.execute("up", to_string=True)
kept = len(gdb.breakpoints())
for command in ("watch mine", "watch -l mine", "rwatch mine", "awatch -location mine",
                "watch *(long *) %d" % selected().stack.start, "watch *(long *) $sp"):
    refuses(command, "lies on the stack of greenlet %s" % selected().greenlet["id"])
refuses("watch result + mine", "mine is of a frame of a sleeping greenlet")
refuses("watch $rbx", "$rbx is of a frame")
count.equal(len(gdb.breakpoints()), kept, "watchpoints that were refused")
for command in ("watch result", "watch -l go", "watch *(int *) &go"):
    gdb.execute(command, to_string=True)
count.equal(len(gdb.breakpoints()), kept + 3, "watchpoints of the program's own variables")
for point in gdb.breakpoints()[kept:]:
    point.delete()

while gdb.selected_frame().level() > selected().bridge.level + 1:
    gdb.execute("down", to_string=True)
refuses("down", "Bottom (innermost) frame selected")
count.check(selected() is not None, "a refusal lost the selection")
gdb.execute("thread", to_string=True)
count.check(selected() is not None, "`thread` lost the selection")
gdb.execute("frame 0", to_string=True)
count.check(selected() is None, "the thread's own frame is shown with a greenlet selected")
count.equal(gdb.selected_frame().level(), 0, "frame 0")
gdb.execute("greenlet " + truth.the("deep-5"), to_string=True)
gdb.execute("thread 1", to_string=True)
count.check(selected() is None, "`thread 1` kept the selection")
count.check(gdb.selected_frame().name().startswith("zoo_checkpoint"), "`thread 1` led to %s" % gdb.selected_frame().name())
count.equal(int(gdb.parse_and_eval("zoo_callable(4)")), 5, "a call afterwards")
end("refusals")

# Also where the thread stands in main itself, at whose frame GDB ends backtraces, and in code inlined into it.
start()
gdb.execute("finish", to_string=True)
for steps in range(4):
    gdb.execute("greenlet " + truth.the("deep-12"), to_string=True)
    text = gdb.execute("bt", to_string=True)
    count.check("descend (depth=" in text and "coppice_entry" in text, "a backtrace while the thread is in main: " + text)
    gdb.execute("stepi", to_string=True)
    count.equal(gdb.parameter("backtrace past-main"), False, "backtrace past-main")
end("a selection in main")

# Settings come back; thread-local variables are those of the greenlet's own thread.
for trust in ("on", "off"):
    start()
    gdb.execute("set trust-readonly-sections " + trust)
    for thread in (1, 2):
        gdb.execute("greenlet " + truth.the("big", thread), to_string=True)
        while "big_frame" not in (gdb.selected_frame().name() or ""):
            gdb.execute("up", to_string=True)
        count.equal(int(gdb.parse_and_eval("thread_number")), thread, "thread-local variable")
    gdb.execute("greenlet " + truth.snapshot()["threads"][0]["current"], to_string=True)
    count.check(selected() is None, "a running greenlet is an overlay")
    count.equal(gdb.parameter("trust-readonly-sections"), trust == "on", "trust-readonly-sections")
    count.equal(gdb.parameter("may-call-functions"), True, "may-call-functions")
    end("settings")
gdb.execute("set trust-readonly-sections off")

# kill, and a program that ends or begins anew, in the midst of a selection.
start()
gdb.execute("greenlet " + truth.the("deep-5"), to_string=True)
gdb.execute("kill", to_string=True)
count.check(selected() is None, "kill kept the selection")
refuses("info greenlets", "no process")
start()
gdb.execute("greenlet " + truth.the("deep-5"), to_string=True)
start()
count.check(selected() is None, "run kept the selection")
gdb.execute("greenlet " + truth.the("deep-12"), to_string=True)
end("a second run")
count.finish(80)
