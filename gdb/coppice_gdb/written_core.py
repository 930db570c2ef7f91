"""`greenlet core`: a core file in which greenlets stand in their threads' place, for programs that know threads only.

Stacks of one thread's greenlets lie at the same addresses, and a core has each address once: so it can hold one greenlet of
each thread. Moving the others elsewhere would mean to guess which words of them are addresses.
"""

import contextlib
import os
import shlex
import shutil
import struct

import gdb

from . import mini_core
from .commands import complete, find
from .engine import core_path, is_core
from .names import label
from .overlay import quietly

_KEPT = ("cs", "ss", "ds", "es", "fs", "gs", "eflags", "fs_base", "gs_base")  # the thread's
_MASK = (1 << 64) - 1

_selection = None


def install(selection):
    """Registers the command. Once per GDB."""
    global _selection
    _selection = selection
    GreenletCore()


def _checked(greenlets):
    """Those that can be in one core. GdbError: why not."""
    by_thread = {}
    for greenlet in greenlets:
        if greenlet["state"] == "orphaned":
            raise gdb.GdbError("The thread of greenlet %s has exited: no thread's place is its own." % label(greenlet))
        if greenlet["state"] != "suspended":
            raise gdb.GdbError("Greenlet %s is %s: only one that sleeps can be put in its thread's place."
                               % (label(greenlet), greenlet["state"]))
        other = by_thread.setdefault(greenlet["tid"], greenlet)
        if other["id"] != greenlet["id"]:
            raise gdb.GdbError("Greenlets %s and %s belong to one thread, whose stack can hold one of them: write a core for "
                               "each. (`greenlet view` has all of them.)" % (label(other), label(greenlet)))
    return list(by_thread.values())


def _put(file, path, greenlet, stack):
    """Puts a greenlet in its thread's place."""
    at = mini_core.threads(path).get(greenlet["tid"])
    if at is None:
        raise gdb.GdbError("The core has no registers of thread %d." % greenlet["tid"])
    if len(stack.bytes) < stack.saved:
        raise gdb.GdbError("Only %d of the %d saved bytes of greenlet %s can be read."
                           % (len(stack.bytes), stack.saved, label(greenlet)))
    position = stack.start
    for piece in mini_core.dumped(path):
        if piece.start <= position < piece.end and position < stack.start + stack.saved:
            end = min(piece.end, stack.start + stack.saved)
            file.seek(piece.offset + position - piece.start)
            file.write(stack.bytes[position - stack.start:end - stack.start])
            position = end
    if position < stack.start + stack.saved:
        raise gdb.GdbError("The core does not have the stack of thread %d at 0x%x." % (greenlet["tid"], position))
    layout = struct.Struct("<%dQ" % len(mini_core.REGISTERS))
    file.seek(at)
    own = dict(zip(mini_core.REGISTERS, layout.unpack(file.read(layout.size))))
    values = {"orig_rax": _MASK, **{name: own[name] for name in _KEPT}, **stack.registers}
    file.seek(at)
    file.write(layout.pack(*(values.get(name, 0) for name in mini_core.REGISTERS)))


def write(path, greenlets):
    """Writes the core; leaves none behind when it cannot. GdbError: why."""
    engine = _selection.engine()
    stacks = [(greenlet, engine.stack(greenlet["id"])) for greenlet in greenlets]
    _selection.deselect()
    try:
        if is_core():
            shutil.copyfile(core_path(), path)
        else:
            quietly("generate-core-file " + path)
        with open(path, "r+b") as file:
            for greenlet, stack in stacks:
                _put(file, path, greenlet, stack)
    except BaseException as problem:
        with contextlib.suppress(OSError):
            os.unlink(path)
        if isinstance(problem, (OSError, ValueError)):
            raise gdb.GdbError("%s cannot be written: %s." % (path, problem)) from None
        raise


class GreenletCore(gdb.Command):
    """Write a core file in which greenlets stand in their threads' place.
Usage: greenlet core FILE [ID | NAME | 0xADDRESS]...

For debuggers and crash reporters that know threads only: they show the stack of a greenlet as that of its thread, at its own
addresses. Without an ID it is the selected greenlet. One greenlet of each thread can be in a core, for all of a thread lie at
the same addresses; `greenlet view` shows all of them. What the thread really did is not in the core (`generate-core-file`
keeps that, and is what gldump and `info greenlets` want). Registers that a switch does not save are 0, floating point
registers those of the thread. On CPython, nothing ends a stack: what follows g_initialstub, in which the greenlet began, is
the thread's.

Example:
  (gdb) greenlet core /tmp/worker.core 7"""

    def __init__(self):
        super().__init__("greenlet core", gdb.COMMAND_DATA)

    def complete(self, text, word):
        return complete(text, word) if " " in text.lstrip() else gdb.COMPLETE_FILENAME

    def invoke(self, argument, from_tty):
        try:
            words = shlex.split(argument)
        except ValueError as problem:
            raise gdb.GdbError("%s." % problem)
        if not words:
            raise gdb.GdbError("Usage: greenlet core FILE [ID]...")
        path = os.path.abspath(os.path.expanduser(words[0]))
        if os.path.exists(path):
            raise gdb.GdbError("%s exists." % path)
        if words[1:]:
            greenlets = [find(word) for word in words[1:]]
        elif _selection.selected is not None:
            greenlets = [_selection.selected.greenlet]
        else:
            raise gdb.GdbError("Say which greenlets, or select one: greenlet core FILE [ID]...")
        chosen = _checked(greenlets)
        write(path, chosen)
        gdb.write("[%s has %s in the place of %s]\n" % (
            path, " and ".join("greenlet " + label(g) for g in chosen),
            " and ".join("LWP %d" % g["tid"] for g in chosen)))
