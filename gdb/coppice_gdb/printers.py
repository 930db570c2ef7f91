"""Pretty-printers of the runtime's types: handles and control blocks, slices, events. print/r shows the fields."""

import gdb
import gdb.printing

from .engine import FRAMES, SYMBOLS
from .names import frame_text, label, waiting_text

# enum coppice_event_type of debug_abi.h: what happened, and what the address is.
_EVENTS = {
    1: ("spawn of greenlet %(id)d", ", called from %(code)s"),
    2: ("switch to greenlet %(id)d", ", with sp 0x%(address)x"),
    3: ("greenlet %(id)d saved", ", %(bytes)d bytes from 0x%(address)x"),
    4: ("greenlet %(id)d restored", ", %(bytes)d bytes to 0x%(address)x"),
    5: ("greenlet %(id)d returned", ", its base is 0x%(address)x"),
    6: ("throw into greenlet %(id)d", ", called from %(code)s"),
}
_ADDRESS_BITS = 56

_selection = None


class Described:
    """What stands at an address, as a greenlet: its id, name and state, with its frames as children."""

    def __init__(self, address):
        self._address = address
        self._greenlet = None
        self._problem = None
        try:
            self._greenlet = self._find("0x%x" % address)
        except (gdb.error, gdb.GdbError) as problem:
            self._problem = str(problem)

    @staticmethod
    def _find(address):
        """The greenlet with its frames, or None: a handle not yet constructed holds anything."""
        engine = _selection.engine()
        if all(g["address"] != address for g in engine.snapshot(within_frames=True)["greenlets"]):
            return None
        greenlets = engine.snapshot(FRAMES | SYMBOLS, [address], within_frames=True)["greenlets"]
        return next((g for g in greenlets if g["address"] == address), None)

    def to_string(self):
        greenlet = self._greenlet
        if greenlet is None:
            return "greenlet at 0x%x (%s)" % (self._address, self._problem or "not one of this program's")
        waits = ", waiting for " + waiting_text(greenlet) if greenlet["waiting"] else ""
        return "greenlet %s, %s%s" % (label(greenlet), greenlet["state"], waits)

    def children(self):
        greenlet = self._greenlet
        if greenlet is None:
            return
        for number, frame in enumerate(greenlet["frames"] or []):
            yield "#%d" % number, frame_text(frame)
        if greenlet["error"] is not None and greenlet["state"] != "running":
            yield "error", greenlet["error"]["message"]


class _Nothing:
    """An empty handle."""

    def to_string(self):
        return "no greenlet"


def handle(value):
    """Of a coppice::Greenlet."""
    block = int(value["block_"])
    return Described(block) if block else _Nothing()


def control_block(value):
    """Of a coppice_greenlet; None, and so GDB's own way, for one that is nowhere in memory."""
    return Described(int(value.address)) if value.address is not None else None


class SliceBuffer:
    """The saved bytes of a greenlet's stack."""

    def __init__(self, value):
        self._copy, self._saved = int(value["copy_"]), int(value["saved_"])
        self._room = int(value["capacity_"]) * int(value["unit"])

    def to_string(self):
        saved = "%d bytes saved at 0x%x" % (self._saved, self._copy) if self._saved else "nothing saved"
        return "%s, room for %d" % (saved, self._room)


class Event:
    """One event of the recorder."""

    def __init__(self, value):
        self._number, self._ticks = int(value["sequence"]), int(value["ticks"])
        word = int(value["type_address"])
        self._type, address = word >> _ADDRESS_BITS, word & (1 << _ADDRESS_BITS) - 1
        self._about = {"id": int(value["greenlet"]), "bytes": int(value["bytes"]), "address": address, "code": _code(address)}

    def to_string(self):
        if self._type == 0:
            return "no event"
        what = "".join(_EVENTS.get(self._type, ("event of type %d" % self._type, " about greenlet %(id)d"))) % self._about
        return "#%d %s, at tick %d" % (self._number, what, self._ticks)


def _code(address):
    """0x401136 <main+16>"""
    return str(gdb.Value(address).cast(gdb.lookup_type("void").pointer()))


class SwitchEvent:
    """What a switch hook is told."""

    def __init__(self, value):
        self._from, self._to = int(value["from"]), int(value["to"])

    def to_string(self):
        return "switch from greenlet %d to %d" % (self._from, self._to)


def register(selection, objfile):
    """For one objfile, or for all with None; again is harmless."""
    global _selection
    _selection = selection
    printer = gdb.printing.RegexpCollectionPrettyPrinter("coppice")
    printer.add_printer("Greenlet", r"^coppice::Greenlet$", handle)
    printer.add_printer("coppice_greenlet", r"^coppice_greenlet$", control_block)
    printer.add_printer("SliceBuffer", r"^coppice::internal::SliceBuffer$", SliceBuffer)
    printer.add_printer("coppice_event", r"^coppice_event$", Event)
    printer.add_printer("SwitchEvent", r"^coppice::SwitchEvent$", SwitchEvent)
    gdb.printing.register_pretty_printer(objfile, printer, replace=True)
