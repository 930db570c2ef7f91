"""Pretty-printers of CPython's greenlet objects, where debug information has their types.

    print *(PyGreenlet*) 0x7f90ffb92480    the greenlet, with its frames
    print (PyObject*) 0x7f90ffb92480       the greenlet in one line; other objects are left to python3-dbg's printers

GDB asks the printers of objfiles first, in the order in which they stand there, so ours are put before those that
python3-dbg appends to the interpreter's.
"""

import os
import re

import gdb
import gdb.printing

from .printers import Described

_HOSTS = re.compile(r"(lib)?python|_?greenlet\.")
_BASE_CLASS = "greenlet.greenlet"
_MOST_BASES = 32  # memory may be torn


class _InOneLine:
    """A pointer, which stands in lists of arguments."""

    def __init__(self, address):
        self._described = Described(address)

    def to_string(self):
        return self._described.to_string()


def _is_greenlet(pointer):
    """Whether an object's class is greenlet's or derived from it. gdb.error where memory cannot be read."""
    kind = pointer["ob_type"]
    for _ in range(_MOST_BASES):
        if int(kind) == 0:
            return False
        if kind["tp_name"].string("utf-8", "replace", len(_BASE_CLASS) + 1).partition("\0")[0] == _BASE_CLASS:
            return True
        kind = kind["tp_base"]
    return False


def _tag(kind):
    kind = kind.strip_typedefs()
    return kind.tag if kind.code == gdb.TYPE_CODE_STRUCT else None


def _object(value):
    """Of a PyGreenlet itself."""
    if _tag(value.type) != "_greenlet" or value.address is None:
        return None
    return Described(int(value.address))


def _pointer(value):
    """Of a PyObject* or PyGreenlet* to a greenlet."""
    kind = value.type.strip_typedefs()
    name = _tag(kind.target()) if kind.code == gdb.TYPE_CODE_PTR else None
    if name not in ("_greenlet", "_object") or int(value) == 0:
        return None
    if name == "_greenlet" or _is_greenlet(value):
        return _InOneLine(int(value))
    return None


class _Sub(gdb.printing.SubPrettyPrinter):
    def __init__(self, name, make):
        super().__init__(name)
        self.make = make


class _Printer(gdb.printing.PrettyPrinter):
    def __init__(self):
        super().__init__("coppice-python", [_Sub("greenlet", _object), _Sub("pointer to greenlet", _pointer)])

    def __call__(self, value):
        for sub in self.subprinters:
            if sub.enabled:
                try:
                    found = sub.make(value)
                except gdb.error:  # not an object after all, or not readable: for others to print
                    found = None
                if found is not None:
                    return found
        return None


def _register(objfile):
    gdb.printing.register_pretty_printer(objfile, _Printer(), replace=True)


def _loaded(objfile):
    if _HOSTS.match(os.path.basename(objfile.filename or "")):
        _register(objfile)


def install():
    """For every interpreter and extension, now and later, and for programs with an interpreter inside. Once per GDB."""
    _register(None)
    for objfile in gdb.objfiles():
        _loaded(objfile)
    gdb.events.new_objfile.connect(lambda event: _loaded(event.new_objfile))
