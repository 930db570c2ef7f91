"""Watchpoints that cannot mean what they say while their greenlet sleeps.

A place on a sleeping greenlet's stack belongs to whoever runs there now, and an expression with its locals would be
given up by GDB as soon as the program goes on. GDB does not tell a hook what was typed, so the watchpoint is looked at
when it has just been made.
"""

import contextlib
import re

import gdb

COMMANDS = ("watch", "rwatch", "awatch")
_KINDS = (gdb.BP_WATCHPOINT, gdb.BP_HARDWARE_WATCHPOINT, gdb.BP_READ_WATCHPOINT, gdb.BP_ACCESS_WATCHPOINT)
# A name or $register, unless it is a member's or a number's end.
_NAME = re.compile(r"(?<![\w$.])(?<!->)[A-Za-z_$]\w*")
_LOCATION = "-location "  # so GDB spells it, however it was typed


def refuse_newest(selected):
    """Takes back the watchpoint that was made last when it is about the stack of the selected greenlet: GdbError."""
    made = max(gdb.breakpoints(), key=lambda point: point.number, default=None)
    if made is None or made.type not in _KINDS:
        return
    expression = made.expression
    why = _lies_on_stack(expression.removeprefix(_LOCATION), selected)
    if why is None and not expression.startswith(_LOCATION):
        why = _needs_frame(expression)
    if why is None:
        return
    number, identifier = made.number, selected.greenlet["id"]
    made.delete()
    raise gdb.GdbError(
        "Watchpoint %d is deleted again: %s. Stop where the greenlet itself runs (greenlet break WHERE greenlet %s) and "
        "watch it there." % (number, why, identifier))


def _lies_on_stack(expression, selected):
    address = None
    with contextlib.suppress(gdb.error):
        place = gdb.parse_and_eval(expression).address
        address = int(place) if place is not None else None
    if address is None or not selected.stack.start <= address < selected.stack.stop:
        return None
    return ("0x%x lies on the stack of greenlet %s, and while that sleeps the place is somebody else's"
            % (address, selected.greenlet["id"]))


def _needs_frame(expression):
    """Why, when the expression's value depends on the selected frame."""
    frame = gdb.selected_frame()
    registers = {"$" + register.name for register in frame.architecture().registers()} | {"$pc", "$sp", "$fp"}
    try:
        block = frame.block()
    except RuntimeError:  # code without debug information has no locals
        block = None
    for name in _NAME.findall(expression):
        symbol, member_of_this = gdb.lookup_symbol(name, block) if block is not None else (None, False)
        if name in registers or member_of_this or (symbol is not None and symbol.needs_frame):
            return "%s is of a frame of a sleeping greenlet, which GDB does not find when the program goes on" % name
    return None
