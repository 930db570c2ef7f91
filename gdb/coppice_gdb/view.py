"""`greenlet view`: every greenlet a thread of its own, in a second inferior, for whatever knows threads only.

The second inferior looks at a core of a few pages (mini_core.py) whose memory is that of the first one. Stacks of
greenlets overlap, so each place where stacks are saved from is a region of that core, and holds one stack at a time: that
of the thread that GDB looks at. An unwinder, which GDB asks before it reads anything of a thread's stack, puts it there.
"""

import bisect
import contextlib
import itertools
import os
import re
import shutil
import tempfile

import gdb
import gdb.unwinder

from . import engine as engine_module
from . import memory_map, mini_core
from .engine import PAGE, is_core, tid_of
from .mini_core import ELSEWHERE, Elsewhere, Region
from .names import label
from .overlay import quietly
from .selection import by_id
from .unwinder import Bridge, SelectedUnwinder

# No thread's number: those end at 2^22.
_FIRST_TID = 1_000_000_000
_LAST_TID = 2**31 - 1
_MASK = Bridge.MASK

_selection = None
_view = None


def install(selection):
    """Registers the command. Once per GDB."""
    global _selection
    _selection = selection
    GreenletView()
    gdb.unwinder.register_unwinder(None, ViewUnwinder(), replace=True)
    gdb.frame_filters[HideEnd.name] = HideEnd()
    for events in (gdb.events.cont, gdb.events.exited, gdb.events.memory_changed):
        events.connect(_changed)
    gdb.events.inferior_deleted.connect(_deleted)
    if hasattr(gdb.events, "gdb_exiting"):
        gdb.events.gdb_exiting.connect(lambda event: _close())  # GDB 13 crashes at its end with the view open


class Sleeper:
    """A greenlet in the view: its entry of the snapshot, its Stack, its thread's number there. `owner`: the registers of
    the thread that it belongs to."""

    def __init__(self, greenlet, stack, tid, owner):
        self.greenlet, self.stack, self.tid = greenlet, stack, tid
        kept = {name: owner[name] for name in ("cs", "ss", "eflags", "fs_base", "gs_base") if name in owner}
        self.registers = {"orig_rax": _MASK, **kept, **stack.registers}
        # Our runtime's entry function ends every backtrace by itself.
        outermost = stack.outermost_sp if greenlet["provider"] == "cpython" else 0
        self.end = Bridge(0, 0, 0, {}, outermost) if outermost else None


class Stage:
    """The regions of the view's core, and which Sleeper's stack they hold now."""

    def __init__(self, path, regions):
        self._path, self._regions = path, regions
        self._starts = [region.start for region in regions]
        self.shown = None

    def show(self, sleeper):
        """Puts a stack in its place (None: what the threads themselves have there), and makes GDB read it anew."""
        if sleeper is self.shown:
            return
        with open(self._path, "r+b") as file:
            if self.shown is not None:
                region, at = self._place(self.shown)
                file.seek(region.offset + at)
                file.write(region.content[at:at + self.shown.stack.saved])
            if sleeper is not None and sleeper.stack.saved:
                region, at = self._place(sleeper)
                file.seek(region.offset + at)
                file.write(sleeper.stack.bytes)
        self.shown = sleeper if sleeper is not None and sleeper.stack.saved else None
        gdb.selected_inferior().read_memory(ELSEWHERE, 1)

    @contextlib.contextmanager
    def aside(self):
        """For a moment, what the threads themselves have."""
        shown = self.shown
        self.show(None)
        try:
            yield
        finally:
            self.show(shown)

    def _place(self, sleeper):
        region = self._regions[bisect.bisect_right(self._starts, sleeper.stack.start) - 1]
        return region, sleeper.stack.start - region.start


# Both are GDB's for good, for every inferior: GDB 13 crashes at its end when a program space has such objects of its own.

class ViewUnwinder(gdb.unwinder.Unwinder):
    """Unwinds nothing, but for the end of CPython's greenlets: it sees first that GDB turns to another thread.

    Nothing here may call gdb.execute: GDB is in the middle of building frames.
    """

    def __init__(self):
        super().__init__("coppice-view")

    def __call__(self, pending):
        if not _in_view():
            return None
        sleeper = _sleeper()
        if pending.level() == 0:
            _view.stage.show(sleeper)
        elif sleeper is not None and sleeper.end is not None:
            return SelectedUnwinder.end(pending, sleeper.end)
        return None


class HideEnd:
    """Frame filter of CPython's greenlets in the view: leaves out what GDB makes of their end. Off for all other
    backtraces: with any filter on, GDB writes some frames differently."""

    name = "coppice-view"
    priority = 10_000

    def __init__(self):
        self._wanted = True

    @property
    def enabled(self):
        return self._wanted and _sleeper() is not None and _sleeper().end is not None

    @enabled.setter
    def enabled(self, wanted):  # by `disable frame-filter`
        self._wanted = wanted

    def filter(self, frames):
        return itertools.takewhile(lambda frame: frame.inferior_frame().pc() != 0, frames)


def _sleeper():
    """The Sleeper whose thread is selected, or None."""
    return _view.of_thread.get(tid_of(gdb.selected_thread())) if _in_view() else None


def of_selected_thread():
    """The greenlet for which the selected thread stands in the view, or None."""
    sleeper = _sleeper()
    return sleeper.greenlet if sleeper else None


def _in_view():
    return _view is not None and gdb.selected_inferior() == _view.inferior


def _regions(stacks):
    """The places, disjoint and by address, where stacks are saved from, with what is there now."""
    ranges = sorted((s.start & -PAGE, s.start + s.saved + PAGE - 1 & -PAGE) for s in stacks if s.saved)
    merged = []
    for low, high in ranges:
        if merged and low <= merged[-1][1]:
            merged[-1][1] = max(high, merged[-1][1])
        else:
            merged.append([low, high])
    return [Region(low, _present(low, high)) for low, high in merged]


def _present(low, high):
    """The target's bytes; zeros where there are none, as where the stack of a thread that has ended was."""
    inferior, pieces = gdb.selected_inferior(), []
    try:
        return bytes(inferior.read_memory(low, high - low))
    except gdb.error:
        pass
    for page in range(low, high, PAGE):
        try:
            pieces.append(bytes(inferior.read_memory(page, PAGE)))
        except gdb.error:
            pieces.append(bytes(PAGE))
    return b"".join(pieces)


def _registers(frame):
    values = {}
    for name in mini_core.REGISTERS:
        with contextlib.suppress(gdb.error, ValueError):
            values[name] = int(frame.read_register(name)) & _MASK
    return values


def _threads():
    """(tid, registers) of every thread, the selected one first."""
    chosen, found = gdb.selected_thread(), []
    with engine_module.selection_kept():
        for thread in sorted(engine_module.threads(), key=lambda t: (t != chosen, t.num)):
            if thread.is_running():
                raise gdb.GdbError("Thread %d is running: stop it first (interrupt)." % thread.num)
            thread.switch()
            found.append((tid_of(thread), _registers(gdb.newest_frame())))
    return found


def _memory(make_folder):
    """Where the memory is, as Elsewhere: the core; the live process's file; or a core made for it."""
    mappings = memory_map.process_mappings()
    memory = "/proc/%d/mem" % gdb.selected_inferior().pid
    if is_core():
        core = engine_module.core_path()
    elif gdb.selected_inferior().connection.type == "native" and os.access(memory, os.R_OK):
        return [Elsewhere(m.start, m.end, m.start, memory) for m in mappings
                if m.path not in ("[vvar]", "[vvar_vclock]", "[vsyscall]")]
    else:  # behind gdbserver: GDB copies what the program can have written to
        core = os.path.join(make_folder(), "memory.core")
        quietly("generate-core-file " + core)
    dumped = mini_core.dumped(core)
    files = [Elsewhere(m.start, m.end, m.offset, m.path) for m in mappings if m.path and m.path.startswith("/")]
    return dumped + mini_core.beside(files, dumped)


def _go_to(inferior, thread=None):
    """Selects an inferior, and a thread of it (any, if it has some). Threads are selected without a word."""
    if thread is None or not thread.is_valid():
        thread = next(iter(inferior.threads()), None)
    if thread is not None:
        thread.switch()
        return
    with contextlib.suppress(gdb.error):
        with gdb.with_parameter("suppress-cli-notifications", True):  # GDB 14
            quietly("inferior %d" % inferior.num)
        return
    quietly("inferior %d" % inferior.num)


class View:
    """The second inferior, from `greenlet view` until the first one goes on."""

    def __init__(self):
        self.of, self._thread = gdb.selected_inferior(), gdb.selected_thread()
        self._folders = []
        self.inferior = None
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self):
        engine = _selection.engine()
        asleep = [g for g in by_id(engine.snapshot()["greenlets"]) if g["state"] in ("suspended", "orphaned")]
        if not asleep:
            raise gdb.GdbError("No greenlet sleeps here: `info threads` shows all there is.")
        threads = _threads()
        self.sleepers = self._sleepers(asleep, engine, {tid: registers for tid, registers in threads})
        regions = _regions([sleeper.stack for sleeper in self.sleepers])
        in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # it is written to at every look
        path = os.path.join(self._folder(in_memory), "greenlets.core")
        executable = gdb.current_progspace().filename
        everyone = threads + [(s.tid, s.registers) for s in self.sleepers]
        mini_core.write(path, self.of.pid, os.fsencode(executable or ""), everyone, engine_module.auxv_pairs(),
                        _memory(self._folder), regions)
        self._load(path, executable)
        self.stage = Stage(path, regions)
        self.of_thread = {sleeper.tid: sleeper for sleeper in self.sleepers}
        _selection.asides[self.inferior.num] = self.stage.aside

    @staticmethod
    def _sleepers(asleep, engine, owners):
        by_number = all(int(g["id"], 0) < _LAST_TID - _FIRST_TID for g in asleep)
        found, left_out = [], []
        for ordinal, greenlet in enumerate(asleep, 1):
            try:
                stack = engine.stack(greenlet["id"])
            except gdb.GdbError as problem:
                left_out.append((greenlet, str(problem)))
                continue
            if len(stack.bytes) < stack.saved:
                left_out.append((greenlet, "only %d of its %d saved bytes can be read" % (len(stack.bytes), stack.saved)))
                continue
            tid = _FIRST_TID + (int(greenlet["id"], 0) if by_number else ordinal)
            found.append(Sleeper(greenlet, stack, tid, owners.get(greenlet["tid"], {})))
        for greenlet, why in left_out:
            gdb.write("warning: greenlet %s is left out: %s\n" % (label(greenlet), why), gdb.STDERR)
        return found

    def _load(self, path, executable):
        said = gdb.execute("add-inferior -no-connection", to_string=True)
        number = int(re.search(r"Added inferior (\d+)", said).group(1))
        self.inferior = next(i for i in gdb.inferiors() if i.num == number)
        _go_to(self.inferior)
        # Between the two a breakpoint at an expression names what is not there: GDB disables it.
        enabled = [breakpoint for breakpoint in gdb.breakpoints() if breakpoint.enabled]
        if executable:
            quietly('file "%s"' % executable)
        quietly("core-file " + path)
        for breakpoint in enabled:
            if breakpoint.is_valid() and not breakpoint.enabled:
                breakpoint.enabled = True
        names = {sleeper.tid: label(sleeper.greenlet).replace('"', "") for sleeper in self.sleepers}
        for thread in self.inferior.threads():
            if tid_of(thread) in names:
                thread.name = "greenlet " + names[tid_of(thread)]

    def check(self):
        """Everything that was laid out must be what GDB reads: before anyone believes it."""
        gdb.invalidate_cached_frames()
        threads = {tid_of(thread): thread for thread in self.inferior.threads()}
        first = gdb.selected_thread()
        for sleeper in self.sleepers:
            thread, stack = threads.get(sleeper.tid), sleeper.stack
            if thread is None:
                raise gdb.GdbError("GDB does not show greenlet %s as a thread." % label(sleeper.greenlet))
            thread.switch()
            if gdb.newest_frame().pc() != stack.registers["rip"]:
                raise gdb.GdbError("GDB does not show where greenlet %s continues." % label(sleeper.greenlet))
            if bytes(self.inferior.read_memory(stack.start, stack.saved) if stack.saved else b"") != stack.bytes:
                raise gdb.GdbError("GDB does not show the stack of greenlet %s as it is." % label(sleeper.greenlet))
        first.switch()

    def close(self):
        """Takes the second inferior away, and its files. The first one is selected afterwards, if it was not."""
        inferior, self.inferior = self.inferior, None
        if inferior is not None:
            _selection.asides.pop(inferior.num, None)
        with contextlib.suppress(gdb.error):
            if inferior is not None and inferior.is_valid():
                selected, thread = gdb.selected_inferior(), gdb.selected_thread()
                if selected == inferior:
                    selected, thread = self.of, self._thread
                _go_to(inferior)
                if inferior.pid:
                    quietly("core-file")
                _go_to(selected, thread)
                quietly("remove-inferiors %d" % inferior.num)
        self.remove_files()

    def remove_files(self):
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, place=None):
        """A new one, until the view ends."""
        self._folders.append(tempfile.mkdtemp(prefix="coppice-view-", dir=place))
        return self._folders[-1]


def _changed(event):
    """The first inferior goes on, or was written to: the second would show its new memory under old stacks."""
    inferior = getattr(event, "inferior", None) or gdb.selected_inferior()
    thread = getattr(event, "inferior_thread", None)
    if _view is not None and (thread.inferior if thread else inferior) == _view.of:
        gdb.post_event(_close)


def _deleted(event):
    global _view
    if _view is not None and event.inferior == _view.inferior:
        _view.remove_files()
        _view = None


def _close():
    global _view
    view, _view = _view, None
    if view is not None:
        view.close()


def leave(command):
    """Before a command that lets the program go on, or changes what is debugged: the view ends. GdbError in the view
    itself, where the user may mean the program or the view."""
    if _in_view():
        raise gdb.GdbError("This is a view of inferior %d, which %s is for: `inferior %d` leads there, `greenlet view -close` "
                           "ends the view." % (_view.of.num, command, _view.of.num))
    if _view is not None and gdb.selected_inferior() == _view.of:
        _close()


class GreenletView(gdb.Command):
    """Show every greenlet as a thread of a second inferior, for commands and programs that know threads only.
Usage: greenlet view [-close]

The second inferior is selected: `info threads`, `thread N`, `thread apply all bt` and the same in an IDE show every
greenlet that sleeps, beside the threads. Nothing is written to the program and nothing is run in it.

It shows this moment, and goes away (as by -close) when the program goes on or is written to; `inferior 1` leads back to
it. What a switch does not save (rax and others) is shown as 0, floating point registers as unavailable, and thread-local
variables not at all; `greenlet N` has those of the thread. For a program behind gdbserver its memory is copied first.

Example:
  (gdb) greenlet view
  (gdb) thread apply all bt 3"""

    def __init__(self):
        super().__init__("greenlet view", gdb.COMMAND_STACK)

    def complete(self, text, word):
        return ["close"] if word is not None and text.startswith("-") and "close".startswith(word.lstrip("-")) else []

    def invoke(self, argument, from_tty):
        global _view
        if argument.strip() not in ("", "-close"):
            raise gdb.GdbError("Usage: greenlet view [-close]")
        if argument.strip() and _view is None:
            raise gdb.GdbError("There is no view.")
        if _in_view() and not argument.strip():
            raise gdb.GdbError("This is the view.")
        _close()
        if argument.strip():
            return
        _selection.deselect()
        view = View()
        _view = view
        try:
            view.check()
        except BaseException:
            _close()
            raise
        gdb.write("[Inferior %d has %d greenlets as threads, as they are now; `inferior %d` leads back]\n" % (
            _view.inferior.num, len(_view.sleepers), _view.of.num))
