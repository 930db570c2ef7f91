"""Writes an ELF core of a few pages whose memory is elsewhere: in files that its NT_FILE note names.

    [header][program headers][notes][a page to read][regions, each written anew as the user looks from stack to stack]

GDB takes memory from a core's own segments first, and then from the files of NT_FILE, which with a page size of 1 can be
another core, or /proc/PID/mem, at any offset. x86-64 only.
"""

import collections
import os
import struct

PAGE = 4096
# No memory can be here. Reading this page makes GDB's file buffer forget a region.
ELSEWHERE = 0x8000_0000_0000_0000

# In the order of struct user_regs_struct, by GDB's names.
REGISTERS = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base "
             "ds es fs gs").split()

_EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
_PHDR = struct.Struct("<IIQQQQQQ")
_NOTE = struct.Struct("<III8s")  # with the name "CORE"
_PRSTATUS = struct.Struct("<12x4x16xi12x64x%dQi4x" % len(REGISTERS))
_PRPSINFO = struct.Struct("<24xi12x16s80s")
_PT_LOAD, _PT_NOTE, _PN_XNUM = 1, 4, 0xFFFF
_NT_PRSTATUS, _NT_PRPSINFO, _NT_AUXV, _NT_FILE = 1, 3, 6, 0x46494C45

# Memory at [start, end) that is in a file from that offset on.
Elsewhere = collections.namedtuple("Elsewhere", "start end offset path")


class Region:
    """Memory at [start, start + len(content)) that the core has itself; `offset`: where in the file."""

    def __init__(self, start, content):
        self.start, self.content, self.offset = start, content, None

    @property
    def end(self):
        return self.start + len(self.content)


def _note(kind, content):
    return _NOTE.pack(5, len(content), kind, b"CORE") + content + bytes(-len(content) % 4)


def _notes(pid, command, threads, auxv, files):
    status = [_note(_NT_PRSTATUS, _PRSTATUS.pack(tid, *(registers.get(name, 0) for name in REGISTERS), 0))
              for tid, registers in threads]
    info = _note(_NT_PRPSINFO, _PRPSINFO.pack(pid, os.path.basename(command)[:15], command[:79]))
    vector = _note(_NT_AUXV, b"".join(struct.pack("<QQ", *pair) for pair in [*auxv, (0, 0)]))
    table = struct.pack("<QQ", len(files), 1)
    table += b"".join(struct.pack("<QQQ", file.start, file.end, file.offset) for file in files)
    table += b"".join(os.fsencode(file.path) + b"\0" for file in files)
    return b"".join([*status[:1], info, vector, _note(_NT_FILE, table), *status[1:]])


def write(path, pid, command, threads, auxv, files, regions):
    """Writes the core. `threads`: (tid, {register: value}), the first one is current; what is not known is 0. Sets the
    regions' offsets."""
    notes = _notes(pid, command, threads, auxv, files)
    pieces = [Region(ELSEWHERE, bytes(PAGE)), *regions]
    at = _EHDR.size + _PHDR.size * (1 + len(pieces))
    headers = [_PHDR.pack(_PT_NOTE, 4, at, 0, 0, len(notes), 0, 4)]
    at += len(notes)
    with open(path, "wb") as file:
        gap = max(16 * PAGE, 2 * os.fstat(file.fileno()).st_blksize)
        for piece in pieces:
            at += gap - at % PAGE  # no buffer holds two pieces
            piece.offset = at
            headers.append(_PHDR.pack(_PT_LOAD, 6, at, piece.start, 0, len(piece.content), len(piece.content), PAGE))
            at += len(piece.content)
        # ET_CORE, EM_X86_64
        file.write(_EHDR.pack(b"\x7fELF\x02\x01\x01".ljust(16, b"\0"), 4, 62, 1, 0, _EHDR.size, 0, 0, _EHDR.size, _PHDR.size,
                              len(headers), 0, 0, 0))
        file.write(b"".join(headers) + notes)
        for piece in pieces:
            file.seek(piece.offset)
            file.write(piece.content)
        file.truncate(at + gap)


def _segments(path):
    """(kind, offset, address, length in the file) of each program header, and the file's size. ValueError: no core of
    x86-64."""
    with open(path, "rb") as file:
        header = _EHDR.unpack(file.read(_EHDR.size).ljust(_EHDR.size, b"\0"))
        ident, kind, machine, at, count = header[0], header[1], header[2], header[5], header[10]
        if ident[:6] != b"\x7fELF\x02\x01" or kind != 4 or machine != 62:
            raise ValueError("%s is no core of x86-64" % path)
        if count == _PN_XNUM:  # then section 0 has it
            file.seek(header[6] + 44)
            count, = struct.unpack("<I", file.read(4).ljust(4, b"\0"))
        file.seek(at)
        table = file.read(count * _PHDR.size)
        size = os.fstat(file.fileno()).st_size
    for kind, _, offset, start, _, length, _, _ in _PHDR.iter_unpack(table[:len(table) - len(table) % _PHDR.size]):
        yield kind, offset, start, min(length, max(0, size - offset))  # it may have been cut short


def dumped(path):
    """What a core has of its process's memory, as Elsewhere. ValueError: no core of x86-64."""
    return sorted(Elsewhere(start, start + length, offset, path)
                  for kind, offset, start, length in _segments(path) if kind == _PT_LOAD and length)


def threads(path):
    """{tid: where in the file its registers are} of a core. ValueError: no core of x86-64."""
    found = {}
    for kind, at, _, length in _segments(path):
        if kind != _PT_NOTE:
            continue
        with open(path, "rb") as file:
            file.seek(at)
            notes = file.read(length)
        position = 0
        while position + 12 <= len(notes):
            name, size, note = struct.unpack_from("<III", notes, position)
            content = position + 12 + (name + 3 & -4)
            if note == _NT_PRSTATUS and notes[position + 12:content].startswith(b"CORE\0") and size == _PRSTATUS.size and (
                    content + size <= len(notes)):
                tid, = struct.unpack_from("<i", notes, content + 32)
                found.setdefault(tid, at + content + 112)
            position = content + (size + 3 & -4)
    return found


def beside(files, dumped):
    """What there is of files (Elsewhere, by address) beside what was dumped: GDB 16 and newer may take either."""
    rest, at = [], 0
    for file in files:
        start = file.start
        while start < file.end:
            while at < len(dumped) and dumped[at].end <= start:
                at += 1
            end = min(file.end, dumped[at].start) if at < len(dumped) else file.end
            if start < end:
                rest.append(Elsewhere(start, end, file.offset + start - file.start, file.path))
            start = max(end, dumped[at].end) if at < len(dumped) else file.end
    return rest
