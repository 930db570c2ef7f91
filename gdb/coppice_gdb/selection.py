"""Which greenlet is selected, and everything that must hold while one is.

Selected, nothing but the user's view changes: the program's memory and registers stay as they are. See guards.py
for the commands that would confuse the two.
"""

import contextlib
import re

import gdb
import gdb.unwinder

from . import engine as engine_module
from . import folding, settings
from .engine import Engine, select_level, tid_of
from .names import label
from .overlay import SHEAF, Overlay, quietly
from .unwinder import Base, Bridge, HideThreadFrame, SelectedUnwinder


# The user's, in force again once nothing is selected.
_SETTINGS = ("may-call-functions", "may-write-memory", "backtrace past-main")


def by_id(greenlets):
    """In the order of their ids: spawn numbers, or addresses."""
    return sorted(greenlets, key=lambda g: int(g["id"], 0))


def _saved_at(frame, name, bridge_level):
    """Address and size of a frame's register, which the nearest inner frame has on the stack."""
    inner = frame.newer()
    while inner is not None and inner.level() > bridge_level:
        text = gdb.execute("info frame level %d" % inner.level(), to_string=True)
        saved = text.partition("Saved registers:")[2]
        found = re.search(r"\b%s at (0x[0-9a-f]+)" % re.escape(name), saved)
        if found:
            return int(found.group(1), 16), 8
        inner = inner.newer()
    return 0, 0


class Selected:
    """The selected greenlet: its entry of the snapshot, its Stack, the thread that stands in for it."""

    def __init__(self, greenlet, stack, thread, bridge, live):
        self.greenlet, self.stack, self.thread, self.bridge = greenlet, stack, thread, bridge
        self.live = live  # what really is in [start, start + saved), to notice writes; None for a core
        self.own = {name: int(gdb.newest_frame().read_register(name)) & Bridge.MASK for name in stack.registers}
        self.settings = {name: gdb.parameter(name) for name in _SETTINGS}


class Selection:
    """The one selection there is, and the engine behind it."""

    def __init__(self):
        self._overlay = Overlay()
        self._engines = {}  # inferior number -> Engine
        self.asides = {}    # inferior number -> what else takes stacks away that are not the target's own, for a moment
        self._unwinder = SelectedUnwinder()
        self._filter = HideThreadFrame(self._unwinder)
        self._moving = False
        self.selected = None
        self.on_change = lambda greenlet=None: None  # called when what is current changes, or may have
        gdb.unwinder.register_unwinder(None, self._unwinder, replace=True)
        gdb.frame_filters[self._filter.name] = self._filter

    def engine(self):
        number = gdb.selected_inferior().num
        if number not in self._engines:
            self._engines[number] = Engine(lambda: self._aside(number))
        return self._engines[number]

    @contextlib.contextmanager
    def _aside(self, number):
        with self._overlay.aside(), self.asides.get(number, contextlib.nullcontext)():
            yield

    def engine_if_any(self):
        """The inferior's engine, if anything has been read of it."""
        return self._engines.get(gdb.selected_inferior().num)

    def forget(self):
        """The target ran, or changed: nothing read before is true any more."""
        self.deselect()
        self._forget_reading()

    def _forget_reading(self):
        self._overlay.outdate()
        for engine in self._engines.values():
            engine.forget()
        self.on_change()

    def drop_inferior(self, number):
        engine = self._engines.pop(number, None)
        if engine is not None:
            engine.close()

    def thread_of(self, greenlet):
        """The greenlet's thread, or None."""
        return next((t for t in engine_module.threads()
                     if greenlet["tid"] == tid_of(t)), None)

    def running(self):
        """The greenlet that the selected thread runs, or None."""
        thread = gdb.selected_thread()
        return next((g for g in self.engine().snapshot()["greenlets"]
                     if g["state"] == "running" and thread is not None and self.thread_of(g) == thread), None)

    def current(self):
        """The selected greenlet, else the one that the selected thread runs, else None."""
        return self.selected.greenlet if self.selected else self.running()

    def select(self, greenlet):
        """Makes it what bt, frame, info locals and so on are about. GdbError when it has no stack."""
        state = greenlet["state"]
        if state in ("unstarted", "finished"):
            raise gdb.GdbError("Greenlet %s is %s: it has no stack." % (greenlet["id"], state))
        thread = self.thread_of(greenlet)
        if state == "running":
            if thread is None:
                raise gdb.GdbError("The thread that runs greenlet %s is gone." % greenlet["id"])
            self.deselect()
            thread.switch()
            select_level(0)
            self.on_change(greenlet)
            return
        self._select_suspended(greenlet, thread)

    def _select_suspended(self, greenlet, thread):
        stack = self.engine().stack(greenlet["id"])
        if len(stack.bytes) < stack.saved:
            raise gdb.GdbError(
                "Only %d of the %d saved bytes of greenlet %s can be read, the byte at 0x%x not: GDB would read others "
                "in their place. gldump shows its frames as far as they are there."
                % (len(stack.bytes), stack.saved, greenlet["id"], stack.copy + len(stack.bytes)))
        self.deselect()
        # Its own thread, so that thread-local variables are right; any for an orphan.
        host = thread or gdb.selected_thread() or next(iter(engine_module.threads()), None)
        if host is None:
            raise gdb.GdbError("There is no thread in whose place greenlet %s could be shown." % greenlet["id"])
        if host.is_running():
            raise gdb.GdbError("Thread %s is running: stop it first (interrupt)." % host.num)
        host.switch()
        identifier = greenlet["id"]
        if not self._overlay.has(identifier):
            with self._quiet_events():
                self._overlay.load(self._stacks_from(greenlet, stack))
        live = None if engine_module.is_core() else self._read_live(stack)
        bridge = self._bridge(greenlet, stack)
        self.selected = Selected(greenlet, stack, host, bridge, live)
        self._overlay.show(identifier, stack.start)
        quietly("set may-call-functions off")
        if gdb.parameter("non-stop"):
            quietly("set may-write-memory off")  # a write could not be taken back before a thread sees it
        self._unwinder.bridge = bridge
        self._filter.base, self._filter.thread = self._base(greenlet, stack), host
        self._filter.enabled = True
        gdb.invalidate_cached_frames()
        select_level(bridge.level + 1)
        if gdb.selected_frame().level() <= bridge.level:
            # The thread stands in main itself, where GDB likes to end every backtrace.
            quietly("set backtrace past-main on")
            select_level(bridge.level + 1)
        if gdb.selected_frame().level() <= bridge.level:
            self.deselect()
            raise gdb.GdbError("GDB cannot show greenlet %s: its frames could not be built." % identifier)
        if not settings.raw_frames():
            folding.innermost(gdb.selected_frame()).select()
        self.on_change(greenlet)

    @staticmethod
    def _base(greenlet, stack):
        # A main greenlet begins where its thread does.
        return Base(stack.outermost_sp, "" if greenlet["main"] else " <greenlet %s began here>" % label(greenlet))

    def _stacks_from(self, greenlet, stack):
        """The greenlet and its neighbours: adding a file is slow, showing another section of it is not."""
        yield greenlet["id"], stack.bytes
        everyone = [g for g in by_id(self.engine().snapshot()["greenlets"]) if g["state"] in ("suspended", "orphaned")]
        at = next(i for i, g in enumerate(everyone) if g["id"] == greenlet["id"])
        first = at - at % SHEAF
        for other in everyone[first:at] + everyone[at + 1:first + SHEAF]:
            with contextlib.suppress(gdb.GdbError):  # a bad one is told when it is asked for
                yield other["id"], self.engine().stack(other["id"]).bytes

    def _bridge(self, greenlet, stack):
        frame = gdb.newest_frame()
        while frame.type() == gdb.INLINE_FRAME and frame.older() is not None:
            frame = frame.older()
        pc, sp = (int(frame.read_register(r)) & Bridge.MASK for r in ("rip", "rsp"))
        # The entry function of our runtime ends every backtrace by itself.
        outermost_sp = stack.outermost_sp if greenlet["provider"] == "cpython" else 0
        return Bridge(frame.level(), pc, sp, stack.registers, outermost_sp)

    def deselect(self):
        """Back to the thread itself. Safe at any time, also while the program runs."""
        chosen, self.selected = self.selected, None
        if chosen is None:
            return
        self._unwinder.bridge = None
        self._filter.enabled = False
        self._overlay.hide()
        for name, value in chosen.settings.items():
            if gdb.parameter(name) != value:
                quietly("set %s %s" % (name, "on" if value else "off"))
        gdb.invalidate_cached_frames()
        self.on_change()

    def check_context(self):
        """Lets go when the user has gone to another thread, or to the thread's own newest frame."""
        chosen = self.selected
        if chosen is None:
            return False
        with contextlib.suppress(gdb.error):
            if gdb.selected_thread() == chosen.thread and gdb.selected_frame().level() > chosen.bridge.level:
                return False
        self.deselect()
        return True

    def _read_live(self, stack):
        if not stack.saved:
            return b""
        with self._overlay.aside():
            try:
                return bytes(gdb.selected_inferior().read_memory(stack.start, stack.saved))
            except gdb.error:
                raise gdb.GdbError("The stack at 0x%x cannot be read." % stack.start) from None

    def memory_written(self, address, length):
        """The user wrote to memory. What fell on the live stack below the overlay belongs in the saved copy."""
        if self._moving:
            return
        chosen = self.selected
        if chosen is not None and chosen.live is not None:
            stack = chosen.stack
            low = max(address - stack.start, 0)
            high = min(address + length - stack.start, stack.saved)
            if low < high:
                self._move_write(chosen, low, high)
        self._forget_reading()

    def register_written(self, frame, name):
        """The user wrote to a register of a frame: a write to memory, where an inner frame has saved it."""
        if self._moving:
            return
        chosen = self.selected
        if chosen is not None and frame.level() > chosen.bridge.level:
            address, size = _saved_at(frame, name, chosen.bridge.level)
            self._give_back(chosen, name, address, size)
            self.memory_written(address, size)
        self._forget_reading()

    def _give_back(self, chosen, name, address, size):
        """Where the next inner frame does not save the register itself, GDB writes to the thread's own, though
        a frame further in has it on the stack: moves what was written there."""
        own, written = chosen.own.get(name), int(gdb.newest_frame().read_register(name)) & Bridge.MASK
        if own is None or written == own:
            return
        level = gdb.selected_frame().level()
        with self._quiet_events():
            select_level(0)
            gdb.execute("set var $%s = %d" % (name, own), to_string=True)
            if address:
                gdb.selected_inferior().write_memory(address, written.to_bytes(size, "little"))
        gdb.invalidate_cached_frames()
        select_level(level)

    def _move_write(self, chosen, low, high):
        """Takes bytes [low, high) of the stack from the live stack to the saved copy, and puts the live ones back."""
        stack, inferior = chosen.stack, gdb.selected_inferior()
        level = gdb.selected_frame().level()
        with self._quiet_events():
            with self._overlay.aside():
                written = bytes(inferior.read_memory(stack.start + low, high - low))
                inferior.write_memory(stack.start + low, chosen.live[low:high])
                inferior.write_memory(stack.copy + low, written)
            stack.bytes = stack.bytes[:low] + written + stack.bytes[high:]
            self._overlay.load([(chosen.greenlet["id"], stack.bytes)])
        self._overlay.show(chosen.greenlet["id"], stack.start)
        gdb.invalidate_cached_frames()
        select_level(level)

    @contextlib.contextmanager
    def _quiet_events(self):
        """What happens inside is our own doing, no news about the target."""
        self._moving = True
        try:
            yield
        finally:
            self._moving = False

    def modules_changed(self):
        """The program loaded or unloaded something: not what adding an overlay's file looks like."""
        if not self._moving:
            self._forget_reading()

    def close(self):
        self.deselect()
        self._overlay.close()
        for number in list(self._engines):
            self.drop_inferior(number)
