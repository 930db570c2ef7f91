"""Pretty-printers of the runtime's public types."""

import gdb
import gdb.printing

from .engine import FRAMES, SYMBOLS
from .names import frame_text, label

_selection = None


class GreenletPrinter:
    """A coppice::Greenlet handle: its id, name and state, with its frames as children."""

    def __init__(self, value):
        self._block = int(value["block_"])
        self._greenlet = None
        self._problem = None
        if self._block:
            try:
                self._greenlet = self._find("0x%x" % self._block)
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
        if not self._block:
            return "no greenlet"
        if self._greenlet is None:
            return "greenlet at 0x%x (%s)" % (self._block, self._problem or "not one of this program's")
        waiting = self._greenlet["waiting"]
        return "greenlet %s, %s%s" % (label(self._greenlet), self._greenlet["state"],
                                      ", waiting for %s %s" % (waiting["kind"], waiting["value"]) if waiting else "")

    def children(self):
        greenlet = self._greenlet
        if greenlet is None:
            return
        for number, frame in enumerate(greenlet["frames"] or []):
            yield "#%d" % number, frame_text(frame)
        if greenlet["error"] is not None and greenlet["state"] != "running":
            yield "error", greenlet["error"]["message"]


def register(selection, objfile):
    """For one objfile, or for all with None; again is harmless."""
    global _selection
    _selection = selection
    printer = gdb.printing.RegexpCollectionPrettyPrinter("coppice")
    printer.add_printer("Greenlet", r"^coppice::Greenlet$", GreenletPrinter)
    gdb.printing.register_pretty_printer(objfile, printer, replace=True)
