"""The unwinder and the frame filter by which GDB's own commands show a greenlet.

    level k      the thread's newest frame, claimed by SelectedUnwinder, hidden by HideThreadFrame
    level k + 1  where the greenlet continues: from here on GDB's own CFI does everything

k is 0, or more when the thread stands in inlined code.
"""

import gdb
import gdb.unwinder
from gdb.FrameDecorator import FrameDecorator

from . import settings
from .folding import fold
from .names import without_parameters


class _FrameId:
    """A class of our own, since gdb.unwinder.FrameId came with GDB 14."""

    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class SelectedUnwinder(gdb.unwinder.Unwinder):
    """Makes the selected greenlet the caller of the thread's newest frame. `bridge` is a Bridge, or None.

    Ends the backtrace with the greenlet's outermost frame, too: on CPython nothing there tells GDB to stop, and what
    lies beyond belongs to whatever the thread does now.

    Nothing here may call gdb.execute: GDB is in the middle of building frames.
    """

    def __init__(self):
        super().__init__("coppice-greenlet")
        self.bridge = None

    def __call__(self, pending):
        bridge = self.bridge
        if bridge is None:
            return None
        if pending.level() > bridge.level:
            return self.end(pending, bridge)
        if int(pending.read_register("rsp")) & bridge.MASK != bridge.sp:
            return None
        if int(pending.read_register("rip")) & bridge.MASK != bridge.pc:
            return None
        info = pending.create_unwind_info(bridge.frame_id)
        for name, value in bridge.registers.items():
            info.add_saved_register(name, value)
        for name in ("fs_base", "gs_base"):  # the thread's, for thread-local variables
            value = pending.read_register(name)
            if not value.is_optimized_out:
                info.add_saved_register(name, value)
        return info

    @staticmethod
    def end(pending, bridge):
        """For the outermost frame a caller at 0, which GDB takes for the end."""
        sp = int(pending.read_register("rsp")) & bridge.MASK
        if not bridge.outermost_sp or sp < bridge.outermost_sp:
            return None
        # No CFA is odd: without a symbol for the frame called by this one, GDB gives that one the id (sp, 0).
        info = pending.create_unwind_info(_FrameId(gdb.Value(sp + 1), pending.read_register("rip")))
        info.add_saved_register("rip", gdb.Value(0))
        info.add_saved_register("rsp", gdb.Value(sp))
        return info


class Bridge:
    """From a thread's newest frame, by its level, pc and sp, to where a greenlet continues. `outermost_sp`: where it
    ends, unless its own code tells GDB so (0)."""

    MASK = (1 << 64) - 1

    def __init__(self, level, pc, sp, registers, outermost_sp):
        self.level, self.pc, self.sp, self.outermost_sp = level, pc, sp, outermost_sp
        self.registers = {name: gdb.Value(value) for name, value in registers.items()}
        # Lower than any stack address, so that GDB takes every frame of the greenlet for an outer one; and no
        # frame's real id, since the greenlet may have a frame with that very id.
        self.frame_id = _FrameId(gdb.Value(8), gdb.Value(pc))


class _GreenletFrame(FrameDecorator):
    """Repairs what GDB's stock decorator gets wrong, so that bt looks as it does without filters. `remark`: said after
    the function's name."""

    def __init__(self, base, remark=""):
        super().__init__(base)
        self._remark = remark

    def function(self):
        # The stock one gives the name with its parameters ("f() ()"), and "???" or nothing without a symbol.
        frame = self.inferior_frame()
        if frame.type() in (gdb.DUMMY_FRAME, gdb.SIGTRAMP_FRAME):
            return super().function()
        return without_parameters(frame.name() or "??") + self._remark

    def frame_locals(self):
        # The stock one goes on to the blocks around the function: a lambda would show its maker's locals.
        frame = self.inferior_frame()
        shown = super().frame_locals()
        if shown is None:
            return None
        own = set()
        block = frame.block()
        while block is not None:
            own.update((s.name, s.line) for s in block)
            if block.function is not None:
                break
            block = block.superblock
        return [s for s in shown if (s.symbol().name, s.symbol().line) in own]


class HideThreadFrame:
    """Frame filter: leaves out the frames down to the claimed one, the caller of the outermost, and what folding.py
    says. Enabled only while a greenlet is selected."""

    name = "coppice-greenlet"
    priority = 10_000  # before others, which then see only the greenlet

    def __init__(self, unwinder):
        self.enabled = False
        self.base = None    # a Base, or None where no frame is to be marked
        self.thread = None  # in whose place the greenlet is shown; others' frames are left alone
        self._unwinder = unwinder

    def filter(self, frames):
        if gdb.selected_thread() != self.thread:
            return frames
        own = self._own(frames)
        if settings.raw_frames() or self.base is None:
            return map(_GreenletFrame, own)
        base = self.base
        return (_GreenletFrame(frame, base.remark if base.is_at(frame.inferior_frame()) else "")
                for frame in fold(own, base.is_at))

    def _own(self, frames):
        bridge = self._unwinder.bridge
        for frame in frames:
            if bridge is not None and bridge.outermost_sp and frame.inferior_frame().pc() == 0:
                return  # what GDB makes of the end
            if bridge is None or frame.inferior_frame().level() > bridge.level:
                yield frame


class Base:
    """The outermost frame of a greenlet, known by its sp (0: not known), and what bt says there."""

    def __init__(self, sp, remark):
        self.sp, self.remark = sp, remark

    def is_at(self, frame):
        return (self.sp != 0 and frame.type() != gdb.INLINE_FRAME and
                int(frame.read_register("rsp")) & Bridge.MASK == self.sp)
