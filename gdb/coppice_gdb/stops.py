"""`greenlet break` and `catch greenlet-switch`, both on top of the convenience function $_greenlet_runs."""

import contextlib
import re
import struct

import gdb

from .commands import complete, find
from .engine import is_core, tid_of
from .names import label

# Both places where a greenlet begins or goes on, in the notes of the runtime (switch_x86_64.S).
_SWITCH = "-probe-stap coppice:switch"
# Of debug_abi.h: what precedes the layout of a greenlet's slot in the table, and the layout's first fields.
_LAYOUT_AT = 176
_LAYOUT = struct.Struct("<HHH")  # version, id, state
_RUNNING = 3

_selection = None
_catchpoints = {}  # number -> gdb.Breakpoint


def install(selection):
    """Registers the commands and the function. Once per GDB."""
    global _selection
    _selection = selection
    Runs()
    GreenletBreak()
    CatchSwitch()
    gdb.events.stop.connect(_tell_switch)
    gdb.events.breakpoint_deleted.connect(lambda breakpoint: _catchpoints.pop(breakpoint.number, None))


class Runs(gdb.Function):
    """Whether the selected thread runs that greenlet now: $_greenlet_runs(ID).

For conditions of breakpoints, which `greenlet break` makes. ID is a number, or an address for CPython's greenlets."""

    def __init__(self):
        super().__init__("_greenlet_runs")
        self._slots = {}  # (inferior, pid, id) -> (address, tid) of a greenlet of our runtime

    def invoke(self, identifier):
        text = identifier.string() if identifier.type.strip_typedefs().code != gdb.TYPE_CODE_INT else str(int(identifier))
        inferior, thread = gdb.selected_inferior(), gdb.selected_thread()
        if thread is None:
            return False
        key = (inferior.num, inferior.pid, text)
        runs = self._slot_says(inferior, thread, key) if key in self._slots else None
        return self._snapshot_says(thread, key) if runs is None else runs

    def _slot_says(self, inferior, thread, key):
        """By the runtime's own fields: at each of thousands of stops a snapshot of all greenlets would take long. None:
        they cannot be read."""
        address, tid = self._slots[key]
        with contextlib.suppress(gdb.error):
            table = int(gdb.parse_and_eval("(unsigned long) &coppice_debug_table"))
            _, number_at, state_at = _LAYOUT.unpack(inferior.read_memory(table + _LAYOUT_AT, _LAYOUT.size))
            number, = struct.unpack("<Q", inferior.read_memory(address + number_at, 8))
            state, = struct.unpack("<I", inferior.read_memory(address + state_at, 4))
            return number == int(key[2]) and state == _RUNNING and tid_of(thread) == tid
        return None

    def _snapshot_says(self, thread, key):
        greenlet = next((g for g in greenlets_now() if g["id"] == key[2]), None)
        if greenlet is None:
            return False
        if greenlet["provider"] == "coppice" and greenlet["tid"] is not None:
            self._slots[key] = (int(greenlet["address"], 16), greenlet["tid"])
        return greenlet["state"] == "running" and greenlet["tid"] == tid_of(thread)


def greenlets_now():
    """GDB is in the midst of a stop: the last reading may be of an earlier one, and no other thread may be selected."""
    engine = _selection.engine()
    engine.forget()
    return engine.snapshot(within_frames=True)["greenlets"]


def _condition(name, more=None):
    """When that greenlet runs, and `more` holds. GdbError when it never will."""
    if is_core():
        raise gdb.GdbError("Nothing runs in a core file.")
    greenlet = find(name)
    if greenlet["state"] in ("finished", "orphaned"):
        raise gdb.GdbError("Greenlet %s is %s: it never runs again." % (label(greenlet), greenlet["state"]))
    runs = '$_greenlet_runs("%s")' % greenlet["id"]
    return "%s && (%s)" % (runs, more) if more else runs


class GreenletBreak(gdb.Command):
    """Set a breakpoint that stops only when one greenlet runs there.
Usage: greenlet break [WHERE] greenlet (ID | NAME | 0xADDRESS) [if CONDITION]

WHERE is what `break` takes; without it, where the selected frame continues. The breakpoint is an ordinary one with the
condition $_greenlet_runs(ID), which can be used in conditions of your own too. On CPython GDB stops for some 10 ms each
time that another greenlet comes by, on Coppice's runtime for less than one.

Examples:
  (gdb) greenlet break serve greenlet 7
  (gdb) greenlet break server.cpp:88 greenlet worker if size > 100"""

    def __init__(self):
        super().__init__("greenlet break", gdb.COMMAND_BREAKPOINTS)

    def complete(self, text, word):
        return complete(text, word) if re.search(r"\bgreenlet\s+\S*$", text) else gdb.COMPLETE_LOCATION

    def invoke(self, argument, from_tty):
        found = re.fullmatch(r"(?:(.*)\s)?greenlet\s+(\"[^\"]*\"|\S+)(?:\s+if\s+(.+))?\s*", " " + argument.strip())
        if not found:
            raise gdb.GdbError("Usage: greenlet break [WHERE] greenlet ID [if CONDITION]")
        where, name, more = found.groups()
        gdb.execute("break %s if %s" % ((where or "").strip(), _condition(name, more)))


class CatchSwitch(gdb.Command):
    """Stop whenever a greenlet begins to run or goes on; with an argument, only when that one does.
Usage: catch greenlet-switch [ID | NAME | 0xADDRESS]

Stops in the greenlet that has been switched to, before it does anything: bt shows where it will go on. For programs on
Coppice's runtime. Without symbols too.

Examples:
  (gdb) catch greenlet-switch
  (gdb) catch greenlet-switch 7"""

    def __init__(self):
        super().__init__("catch greenlet-switch", gdb.COMMAND_BREAKPOINTS)

    def complete(self, text, word):
        return complete(text, word)

    def invoke(self, argument, from_tty):
        condition = _condition(argument) if argument.strip() else None
        if not condition and is_core():
            raise gdb.GdbError("Nothing runs in a core file.")
        there = "coppice" in gdb.execute("info probes stap ^coppice$ ^switch$", to_string=True)
        if not there and gdb.selected_inferior().pid:
            raise gdb.GdbError("Nothing is known of switches here: no libcoppice with the probe coppice:switch is loaded.")
        breakpoint = gdb.Breakpoint(_SWITCH)
        if condition:
            breakpoint.condition = condition
        _catchpoints[breakpoint.number] = breakpoint
        if not there:
            gdb.write("It waits for libcoppice to be loaded.\n")


def _tell_switch(event):
    """After a stop of ours: who goes on there."""
    if isinstance(event, gdb.BreakpointEvent) and any(b.number in _catchpoints for b in event.breakpoints):
        with contextlib.suppress(gdb.error, gdb.GdbError):
            thread = gdb.selected_thread()
            greenlet = next(g for g in greenlets_now() if g["state"] == "running" and g["tid"] == tid_of(thread))
            gdb.write("[Switched to greenlet %s]\n" % label(greenlet))
