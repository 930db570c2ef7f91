"""`greenlet slice`: which bytes of a greenlet's stack are in the heap, which lie where they were, and who lies over it."""

import gdb

from .commands import complete, find
from .names import label

_selection = None


def install(selection):
    """Registers the command. Once per GDB."""
    global _selection
    _selection = selection
    GreenletSlice()


def _bytes(count):
    return "%d byte%s" % (count, "" if count == 1 else "s")


def _range(low, high):
    return "0x%x to 0x%x, %s" % (low, high, _bytes(high - low))


def on_stack(greenlet, engine):
    """[low, high) of what a greenlet has on its thread's stack; None when it has nothing there, or that is not known."""
    part = greenlet["slice"]
    if part["stop"] is None or greenlet["state"] not in ("running", "suspended"):
        return None
    high = int(part["stop"], 16)
    if greenlet["state"] == "running":
        low = engine.stack_pointer(greenlet["tid"])
    else:
        low = int(part["start"], 16) + part["saved"]
    return (low, high) if low is not None and low < high else None


def lying_over(greenlet, greenlets, engine):
    """[(low, high, other)] by address: what other greenlets of its thread have on the stack where the saved bytes of
    this one belong."""
    low = int(greenlet["slice"]["start"], 16)
    high = low + greenlet["slice"]["saved"]
    pieces = []
    for other in greenlets:
        if other["id"] != greenlet["id"] and other["tid"] == greenlet["tid"] is not None:
            place = on_stack(other, engine)
            if place and place[0] < high and low < place[1]:
                pieces.append((max(low, place[0]), min(high, place[1]), other))
    return sorted(pieces, key=lambda piece: piece[:2])


class GreenletSlice(gdb.Command):
    """Show where the bytes of a greenlet's stack are.
Usage: greenlet slice [ID | NAME | 0xADDRESS]

Without an argument of the current greenlet. A greenlet that sleeps has [start, start + saved) of its stack in the
heap, and the rest on the thread's stack where it always was. "over it" says what the thread's stack holds now in the
place of the saved bytes.

Example:
  (gdb) greenlet slice 7"""

    def __init__(self):
        super().__init__("greenlet slice", gdb.COMMAND_STACK)

    def complete(self, text, word):
        return complete(text, word)

    def invoke(self, argument, from_tty):
        greenlet = find(argument) if argument.strip() else _selection.current()
        if greenlet is None:
            raise gdb.GdbError("The selected thread runs no greenlet. Usage: greenlet slice [ID | NAME | 0xADDRESS]")
        if greenlet["state"] in ("unstarted", "finished"):
            raise gdb.GdbError("Greenlet %s is %s: it has no stack." % (label(greenlet), greenlet["state"]))
        if greenlet["state"] == "running":
            lines = self._running(greenlet)
        else:
            lines = self._asleep(greenlet)
        gdb.write("Greenlet %s (%s)\n" % (label(greenlet), greenlet["state"]))
        for title, text in lines:
            gdb.write("  %-13s %s\n" % (title, text))

    @staticmethod
    def _running(greenlet):
        place = on_stack(greenlet, _selection.engine())
        yield "in the heap", "nothing: it runs"
        yield "on the stack", _range(*place) if place else "not known"

    @staticmethod
    def _asleep(greenlet):
        engine = _selection.engine()
        stack = engine.stack(greenlet["id"])
        border = stack.start + stack.saved
        yield "stack", _range(stack.start, stack.stop)
        if stack.saved:
            yield "in the heap", "%s, copied to 0x%x" % (_range(stack.start, border), stack.copy)
            if len(stack.bytes) < stack.saved:
                yield "", "the copy cannot be read from 0x%x on" % (stack.copy + len(stack.bytes))
        else:
            yield "in the heap", "nothing"
        yield "on the stack", _range(border, stack.stop) if border < stack.stop else "nothing"
        if stack.saved:
            yield from GreenletSlice._over(greenlet, stack, engine)
        pc, sp = stack.registers.get("rip"), stack.registers.get("rsp")
        if pc is not None and sp is not None:
            yield "continues at", "%s, with sp 0x%x" % (_code(pc), sp)

    @staticmethod
    def _over(greenlet, stack, engine):
        if stack.orphaned:
            yield "over it", "not known: its thread has exited"
            return
        title, at, end = "over it", stack.start, stack.start + stack.saved
        for low, high, other in lying_over(greenlet, engine.snapshot()["greenlets"], engine):
            if at < low:
                yield title, "nobody: " + _range(at, low)
                title = ""
            yield title, "greenlet %s (%s): %s" % (label(other), other["state"], _range(low, high))
            title, at = "", max(at, high)
        if at < end:
            yield title, "nobody: " + _range(at, end)


def _code(pc):
    """0x555555567e78 <coppice_switch_stacks+56> at switch_x86_64.S:69"""
    try:
        text = gdb.execute("output/a 0x%x" % pc, to_string=True)
    except gdb.error:
        text = "0x%x" % pc
    if "<" not in text and gdb.solib_name(pc):
        text += " in " + gdb.solib_name(pc)
    line = gdb.find_pc_line(pc)
    if line.symtab is not None:
        text += " at %s:%d" % (line.symtab.filename.rsplit("/", 1)[-1], line.line)
    return text
