"""`greenlet tree`: who is whose parent."""

import gdb

from .commands import complete, find, thread_text
from .engine import FRAMES, SYMBOLS
from .listing import FRAMES_TO_SEE_WHERE
from .names import short_name, waiting_text, where
from .selection import by_id

_DEEPEST_INDENT = 40  # a chain of parents may be as long as memory is large

_selection = None


def install(selection):
    """Registers the command. Once per GDB."""
    global _selection
    _selection = selection
    GreenletTree()


def branches(greenlets):
    """(depth, greenlet, remark) in the order of a drawing: every greenlet once, parents before their children. Those
    without a known parent are roots; parents that go round in a circle, in memory that is torn, are broken up."""
    known = {g["id"]: g for g in greenlets}
    children, roots = {}, []
    for greenlet in by_id(greenlets):
        if greenlet["parent"] in known:
            children.setdefault(greenlet["parent"], []).append(greenlet)
        else:
            remark = "its parent %s is not known" % greenlet["parent"] if greenlet["parent"] else ""
            roots.append((0, greenlet, remark))
    drawn = set()
    yield from _below(roots, children, drawn)
    for greenlet in by_id(greenlets):
        if greenlet["id"] not in drawn:
            yield from _below([(0, greenlet, "its parents go round in a circle")], children, drawn)


def _below(roots, children, drawn):
    waiting = roots[::-1]
    while waiting:
        depth, greenlet, remark = waiting.pop()
        if greenlet["id"] in drawn:
            continue
        drawn.add(greenlet["id"])
        yield depth, greenlet, remark
        waiting += [(depth + 1, child, "") for child in reversed(children.get(greenlet["id"], ()))]


def _from(top, rows):
    """The rows of one greenlet and of all below it."""
    start = None
    for depth, greenlet, remark in rows:
        if start is None and greenlet["id"] == top:
            start = depth
        elif start is None or depth <= start:
            if start is not None:
                return
            continue
        yield depth - start, greenlet, remark


class GreenletTree(gdb.Command):
    """Show greenlets below their parents, to which they return.
Usage: greenlet tree [ID | NAME | 0xADDRESS]

With an argument only that greenlet and those below it. The current greenlet is marked with an asterisk, as in
`info greenlets`.

Examples:
  (gdb) greenlet tree
  (gdb) greenlet tree 7"""

    def __init__(self):
        super().__init__("greenlet tree", gdb.COMMAND_STACK)

    def complete(self, text, word):
        return complete(text, word)

    def invoke(self, argument, from_tty):
        top = find(argument)["id"] if argument.strip() else None
        current = _selection.current()
        shown = _selection.engine().snapshot(FRAMES | SYMBOLS, (), FRAMES_TO_SEE_WHERE)["greenlets"]
        rows = branches(shown)
        empty = True
        for depth, greenlet, remark in _from(top, rows) if top else rows:
            empty = False
            mark = "* " if current is not None and greenlet["id"] == current["id"] else "  "
            gdb.write(mark + "  " * min(depth, _DEEPEST_INDENT) + self._line(depth, greenlet, remark) + "\n")
        if empty:
            gdb.write("No greenlets.\n")

    @staticmethod
    def _line(depth, greenlet, remark):
        parts = [greenlet["id"]]
        if depth > _DEEPEST_INDENT:
            parts.insert(0, "(%d deep)" % depth)
        name = short_name(greenlet)
        if name:
            parts.append('"%s"' % name if greenlet["name"] else name)
        parts.append(greenlet["state"] + (" (main)" if greenlet["main"] else ""))
        text = " ".join(parts)
        if depth == 0 and greenlet["tid"] is not None:
            text += ", thread " + thread_text(greenlet)
        if where(greenlet):
            text += ", in " + where(greenlet)
        if greenlet["waiting"]:
            text += ", waiting for " + waiting_text(greenlet)
        return text + (" [%s]" % remark if remark else "")
