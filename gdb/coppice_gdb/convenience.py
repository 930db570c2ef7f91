"""$_greenlet, $_greenlet_count, $_greenlet_state(N): greenlets in expressions, conditions and scripts.

GDB's convenience variables hold a value; a function is computed each time it is read. So there are both:

    $_greenlet, $_greenlet_count          of the last prompt, or void
    $_greenlet_id(), $_greenlet_total()   now

The variables are void rather than old: from the moment the program runs, or another thread is selected, until the next
prompt. A script sees no prompts: after `greenlet N` they are set there, too, else it calls the functions.
"""

import time

import gdb

from . import settings, view
from .engine import tid_of
from .stops import greenlets_now

# Reading at every prompt must not be felt. The first reading loads the library and what it knows of modules.
_BUDGET, _FIRST_BUDGET = 0.05, 2.0

_selection = None


def install(selection):
    """Registers functions and variables. Once per GDB."""
    global _selection
    _selection = selection
    GreenletId()
    GreenletTotal()
    GreenletState()
    variables = _Variables()
    selection.on_change = variables.outdate
    gdb.events.before_prompt.connect(variables.refresh)


def _greenlets():
    """Of this moment, also while GDB tries the condition of a breakpoint: to it the program is running then."""
    thread = gdb.selected_thread()
    if thread is not None and thread.is_running():
        return greenlets_now()
    return _selection.engine().snapshot(within_frames=True)["greenlets"]


def _current(greenlets):
    """The selected greenlet, else the one that the selected thread runs or stands for in the view, else None."""
    if _selection.selected is not None:
        return _selection.selected.greenlet
    thread = gdb.selected_thread()
    if thread is None:
        return None
    if view.of_selected_thread() is not None:
        return view.of_selected_thread()
    tid = tid_of(thread)
    return next((g for g in greenlets if g["state"] == "running" and g["tid"] == tid), None)


class GreenletId(gdb.Function):
    """The id of the current greenlet: $_greenlet_id().

The selected one, else the one that the selected thread runs; 0 when there is none. For CPython's greenlets the id is
an address. Unlike $_greenlet it is right in conditions of breakpoints and in scripts, too. All greenlets are read
at each stop for it: `greenlet break` is faster.

Example:
  (gdb) break serve if $_greenlet_id() == 7"""

    def __init__(self):
        super().__init__("_greenlet_id")

    def invoke(self):
        greenlet = _current(_greenlets())
        return int(greenlet["id"], 0) if greenlet else 0


class GreenletTotal(gdb.Function):
    """How many greenlets the program has, unstarted and finished ones that it still holds included: $_greenlet_total().

Unlike $_greenlet_count it is right in conditions of breakpoints and in scripts, too.

Example:
  (gdb) break spawn if $_greenlet_total() > 1000"""

    def __init__(self):
        super().__init__("_greenlet_total")

    def invoke(self):
        return len(_greenlets())


class GreenletState(gdb.Function):
    """The state of a greenlet: $_greenlet_state(ID), where ID may be a name or an address, too.

"unstarted", "running", "suspended", "finished" or "orphaned"; "none" when there is no such greenlet, "ambiguous" when
several have that name. Compare with $_streq: to == strings GDB would need memory of the program.

Example:
  (gdb) break serve if $_streq($_greenlet_state(7), "suspended")"""

    def __init__(self):
        super().__init__("_greenlet_state")

    def invoke(self, which):
        if which.type.strip_typedefs().code in (gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_STRING):
            text = which.string()
            found = [g for g in _greenlets() if text in (g["id"], g["name"])]
        else:
            number = int(which)
            found = [g for g in _greenlets() if number in (int(g["id"], 0), int(g["address"], 16))]
        if len(found) > 1:
            return "ambiguous"
        return found[0]["state"] if found else "none"


class _Variables:
    """Keeps $_greenlet and $_greenlet_count."""

    def __init__(self):
        self._key = None    # what they are of
        self._read = False  # whether they could be set to it
        self._slow = None   # the process of which the greenlets are too many to be read at each prompt
        self._first = True
        self._set(None, None)

    @staticmethod
    def _set(greenlet, total):
        gdb.set_convenience_variable("_greenlet", int(greenlet["id"], 0) if greenlet else None)
        gdb.set_convenience_variable("_greenlet_count", total)

    @staticmethod
    def _known():
        """The snapshot, if it has been read at this stop."""
        engine = _selection.engine_if_any()
        return engine.last_snapshot() if engine is not None else None

    def outdate(self, greenlet=None):
        """The program ran, or another thread or greenlet is selected: `greenlet`, when that is known."""
        self._key = None
        if greenlet is None and _selection.selected is not None:
            greenlet = _selection.selected.greenlet
        known = self._known()
        self._set(greenlet, len(known["greenlets"]) if known is not None else None)

    def refresh(self):
        """At a prompt: reads what changed since the last one, unless that would be felt."""
        inferior, thread = gdb.selected_inferior(), gdb.selected_thread()
        selected = _selection.selected
        key = (inferior.num, inferior.pid, thread.num if thread else None, selected and selected.greenlet["id"],
               settings.variables())
        if key == self._key and (self._read or self._known() is None):
            return
        self.outdate()
        self._key, self._read = key, False
        if thread is None or thread.is_running() or not self._wanted(inferior.pid):
            return
        began = time.monotonic()
        try:
            greenlets = _greenlets()
        except (gdb.error, gdb.GdbError):
            return  # the commands tell why
        self._set(_current(greenlets), len(greenlets))
        self._read = True
        self._judge(inferior.pid, len(greenlets), time.monotonic() - began)

    def _wanted(self, pid):
        """Whether to read: always when it has been done at this stop anyway."""
        if self._known() is not None:
            return True
        return settings.variables() == "on" or (settings.variables() == "auto" and self._slow != pid)

    def _judge(self, pid, count, seconds):
        budget, self._first = _FIRST_BUDGET if self._first else _BUDGET, False
        if seconds > budget and settings.variables() == "auto":
            self._slow = pid
            gdb.write("[Reading %d greenlets took %.2f s: $_greenlet is not kept at every prompt any more, see `help set "
                      "greenlet variables`]\n" % (count, seconds))
