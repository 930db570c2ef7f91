"""Inside GDB: writes what the commands show of a CPython's greenlets to FRAMES_TO (a file), as JSON.

Documents: "shown", the snapshot behind `info greenlets`; "walked", the same with the frames that GDB itself finds after
`greenlet ID` in place of the library's; "viewed", with those of the greenlets' threads after `greenlet view`.
"""
import json
import os

import gdb

import coppice_gdb

FRAMES_AND_SYMBOLS = 3
MASK = (1 << 64) - 1


def frames_of_selected(bridge):
    """What GDB has beyond that level, and whether it came to an end by itself."""
    frames, frame = [], gdb.newest_frame()
    while frame is not None:
        if frame.pc() == 0:
            return frames, "base"
        if frame.level() > bridge:
            frames.append({"kind": "native", "inlined": frame.type() == gdb.INLINE_FRAME, "pc": hex(frame.pc()),
                           "sp": hex(int(frame.read_register("rsp")) & MASK), "module": gdb.solib_name(frame.pc()),
                           "function": frame.name()})
        frame = frame.older()
    return frames, "truncated"


gdb.execute("set pagination off")
for what in ("main", "entry"):
    gdb.execute("set backtrace past-%s on" % what)
shown = coppice_gdb._selection.engine().snapshot(FRAMES_AND_SYMBOLS)
walked = []
for greenlet in shown["greenlets"]:
    if greenlet["state"] in ("suspended", "orphaned"):
        gdb.execute("greenlet " + greenlet["id"], to_string=True)
        frames, end = frames_of_selected(coppice_gdb._selection.selected.bridge.level)
        walked.append({**greenlet, "frames": frames, "end": end})
gdb.execute("python coppice_gdb._selection.deselect()")
gdb.execute("greenlet view", to_string=True)
names = {thread.name.split()[1]: thread for thread in gdb.selected_inferior().threads() if (thread.name or "").startswith("greenlet ")}
viewed = []
for greenlet in shown["greenlets"]:
    if greenlet["id"] in names:
        names[greenlet["id"]].switch()
        frames, end = frames_of_selected(-1)
        viewed.append({**greenlet, "frames": frames, "end": end})
gdb.execute("greenlet view -close")
with open(os.environ["FRAMES_TO"], "w", encoding="utf-8") as file:
    json.dump({"shown": shown, "walked": {**shown, "greenlets": walked}, "viewed": {**shown, "greenlets": viewed}}, file)
print("frames written")
