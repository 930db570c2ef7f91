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
            address = "0x%x" % self._block
            try:
                greenlets = _selection.engine().snapshot(FRAMES | SYMBOLS, [address], within_frames=True)["greenlets"]
                self._greenlet = next((g for g in greenlets if g["address"] == address), None)
            except gdb.error as problem:
                self._problem = str(problem)

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
