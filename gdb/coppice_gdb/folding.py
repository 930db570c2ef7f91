"""Which frames of a selected greenlet are the switch's own: bt leaves them out, unless `set greenlet raw-frames on`.

    #1  coppice_switch_stacks    how it left: left out
    #5  pause_here               what it was doing
    #6  descend
    #11 std::function...         how it was started: left out
    #15 coppice_entry <greenlet 7 "deep-5" began here>

Numbers stay GDB's, so `frame 5` means what bt shows, and `frame 1` still goes where bt shows nothing.
"""

import os
import re

import gdb

# In the runtime's library, or linked into the program; in the greenlet extension of CPython.
_LIBRARY = re.compile(r"libcoppice\.so|_?greenlet\.(cpython-|abi3|so)")
_SWITCH = re.compile(r"coppice(::|_)")
# What stands between the entry of a greenlet and the function it was given.
_START = re.compile(r"coppice(::|_)|std::(__\w+::)*(function<|_Function_handler<|__function::|__invoke|invoke)")
_HEADER = os.path.join("coppice", "greenlet.hpp")


def _in_library(frame):
    return bool(_LIBRARY.match(os.path.basename(gdb.solib_name(frame.pc()) or "")))


def switches(frame):
    """Whether a frame belongs to how a greenlet leaves: at the inner end of its stack."""
    return bool(_SWITCH.match(frame.name() or "")) or _in_library(frame)


def starts(frame):
    """Whether a frame belongs to how a greenlet is started: at the outer end of its stack."""
    if _START.match(frame.name() or "") or _in_library(frame):
        return True
    if frame.name() != "operator()":
        return False
    line = frame.find_sal().symtab  # the lambdas of spawn()
    return line is not None and line.filename.endswith(_HEADER)


def innermost(frame):
    """Of a frame and its callers the first that is not the switch's own; the frame itself if all are."""
    shown = frame
    while shown is not None and shown.is_valid() and switches(shown):
        shown = shown.older()
    return shown or frame


def fold(frames, is_base):
    """Of decorated frames, innermost first, those that bt shows. `is_base(frame)`: whether it is the greenlet's
    outermost one, which is shown, as the end of a stack that is whole."""
    held, inner = [], True  # held back until it is known what follows
    for decorated in frames:
        frame = decorated.inferior_frame()
        if inner and switches(frame):
            held.append(decorated)
        elif not inner and starts(frame):
            held.append(decorated)
        else:
            if not inner:
                yield from held
            held, inner = [], False
            yield decorated
    if inner or not held or not is_base(held[-1].inferior_frame()):
        yield from held  # nothing but the switch, or a stack that does not come to its end
    else:
        yield held[-1]
