"""The target's memory map, out of what GDB prints: it gives it in no other way.

    info proc mappings     a live process, here or behind gdbserver; of a core only the files
    maint info sections    a core: everything that was dumped
"""

import bisect
import collections
import re

import gdb

READABLE, WRITABLE, EXECUTABLE = 1, 2, 4

Mapping = collections.namedtuple("Mapping", "start end offset access path")

_LINE = re.compile(r"^\s*(0x[0-9a-f]+)\s+(0x[0-9a-f]+)\s+0x[0-9a-f]+\s+(0x[0-9a-f]+)(?:\s+([r-][w-][x-])[ps-])?(?:\s+(\S.*))?\s*$")
_SECTION = re.compile(r"(0x[0-9a-f]+)->(0x[0-9a-f]+) at 0x[0-9a-f]+: load\w* (.*)$")


def read(is_core):
    """All Mappings, by address; empty when GDB knows none (some kinds of targets have no map)."""
    named = process_mappings()
    return _core_mappings(named) if is_core else named


def _output(command):
    try:
        return gdb.execute(command, to_string=True).splitlines()
    except gdb.error:
        return []


def process_mappings():
    """Those that `info proc mappings` shows; of a core only files."""
    found = []
    for line in _output("info proc mappings"):
        match = _LINE.match(line)
        if match:
            start, end, offset = (int(match.group(n), 16) for n in (1, 2, 3))
            bits = zip(match.group(4) or "", (READABLE, WRITABLE, EXECUTABLE))
            access = sum(bit for letter, bit in bits if letter != "-")
            found.append(Mapping(start, end, offset, access, (match.group(5) or "").strip() or None))
    return sorted(found)


def _core_mappings(files):
    """What was dumped, with the name of the file that was mapped there."""
    starts = [file.start for file in files]
    found, in_core = [], False
    for line in _output("maintenance info sections"):
        if line.startswith(("Exec file", "Core file")):
            in_core = line.startswith("Core file")
        match = _SECTION.search(line) if in_core else None
        if not match:
            continue
        start, end, flags = int(match.group(1), 16), int(match.group(2), 16), match.group(3).split()
        access = READABLE | (0 if "READONLY" in flags else WRITABLE) | (EXECUTABLE if "CODE" in flags else 0)
        at = bisect.bisect_right(starts, start) - 1
        inside = at >= 0 and start < files[at].end
        offset = files[at].offset + start - files[at].start if inside else 0
        found.append(Mapping(start, end, offset, access, files[at].path if inside else None))
    return sorted(found)
