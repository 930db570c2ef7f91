"""Saved stacks laid over the inferior's memory, without writing to it.

While `trust-readonly-sections` is on, GDB reads read-only sections from their files before it asks the target. So an
ELF file with one read-only section for each saved stack is added once, its sections parked where no target has
memory; showing one moves its section to the greenlet's own stack address.

    target memory   |...............live stack..............|
    shown           |......|== the greenlet's bytes ==|.....|
                           ^ start                    ^ start + saved
"""

import contextlib
import os
import shutil
import struct
import tempfile

import gdb

# No memory can be here: bit 63 set, bits 47 to 62 not.
_PARK = 0x8000_0000_0000_0000
SHEAF = 256  # stacks in one file: `greenlet apply all` adds a file for each so many
_SHEAF_BYTES = 64 << 20

_EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
_SHDR = struct.Struct("<IIQQQQIIQQ")
_ALIGN = 16


def write_elf(path, sections):
    """Writes an ELF file with a read-only section for each (name, address, bytes)."""
    names = b"\0"
    headers = [_SHDR.pack(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)]
    offset = _EHDR.size
    pieces = []
    for name, address, content in sections:
        padding = -offset % _ALIGN
        pieces += [bytes(padding), content]
        offset += padding
        headers.append(_SHDR.pack(len(names), 1, 2, address, offset, len(content), 0, 0, 1, 0))  # PROGBITS, ALLOC
        names += name.encode() + b"\0"
        offset += len(content)
    names_at = len(names)
    names += b".shstrtab\0"
    pieces.append(names)
    headers.append(_SHDR.pack(names_at, 3, 0, 0, offset, len(names), 0, 0, 1, 0))  # STRTAB
    offset += len(names)
    padding = -offset % _ALIGN
    # ET_EXEC, EM_X86_64
    header = _EHDR.pack(b"\x7fELF\x02\x01\x01".ljust(16, b"\0"), 2, 62, 1, 0, 0, offset + padding, 0, _EHDR.size,
                        0, 0, _SHDR.size, len(headers), len(headers) - 1)
    with open(path, "wb") as file:
        file.write(b"".join([header, *pieces, bytes(padding), *headers]))


class Overlay:
    """At most one stack is shown at a time. All stacks given to `load` can be shown by moving a section."""

    def __init__(self):
        self._folder = None
        self._file = None     # the symbol file that is loaded
        self._space = None    # in this program space
        self._count = 0
        self._loaded = set()  # ids that can be shown
        self._sections = {}   # id -> section name, for those with saved bytes
        self._parked = {}     # section name -> address where it hides nothing
        self._shown = None    # (section name, address) of what is shown
        self._trust = None    # the user's setting while ours is in force

    def load(self, stacks):
        """Makes the (id, bytes) pairs showable, replacing all others. As many as fit, at least the first."""
        self.unload()
        sections, total = [], 0
        for identifier, content in stacks:
            if sections and (len(sections) == SHEAF or total + len(content) > _SHEAF_BYTES):
                break
            self._loaded.add(identifier)
            if content:
                name = ".greenlet." + identifier
                self._sections[identifier] = name
                self._parked[name] = _PARK + total
                sections.append((name, _PARK + total, content))
                total += len(content) + 4095 & ~4095
        self._space = gdb.current_progspace()
        if not sections:
            return
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="coppice-gdb-")
        self._count += 1
        self._file = os.path.join(self._folder, "stacks-%d.elf" % self._count)
        write_elf(self._file, sections)
        quietly('add-symbol-file "%s" -o 0' % self._file)

    def unload(self):
        """Takes everything away."""
        self.hide()
        file, self._file = self._file, None
        self._loaded, self._sections, self._parked = set(), {}, {}
        if file is not None:
            with contextlib.suppress(gdb.error):  # GDB dropped it with the program
                quietly('remove-symbol-file "%s"' % file)
            os.unlink(file)

    def outdate(self):
        """What was loaded is no longer what the target holds; it stays parked until the next `load`."""
        self._loaded.clear()

    def has(self, identifier):
        return identifier in self._loaded and self._space == gdb.current_progspace()

    def show(self, identifier, start):
        """Lays a loaded stack over its place. The caller drops the frames that GDB has cached."""
        self.hide()
        if identifier not in self._sections:
            return  # nothing is saved: all of its stack still lies where it was
        self._trust = gdb.parameter("trust-readonly-sections")
        quietly("set trust-readonly-sections on")
        self._shown = (self._sections[identifier], start)
        self._move(*self._shown)

    def hide(self):
        """Shows the target's own memory again."""
        if self._shown is None:
            return
        self._park()
        self._shown = None
        quietly("set trust-readonly-sections %s" % ("on" if self._trust else "off"))

    @contextlib.contextmanager
    def aside(self):
        """The target's own memory for a moment; the frames that GDB has cached stay."""
        if self._shown is None:
            yield
            return
        self._park()
        try:
            yield
        finally:
            self._move(*self._shown)

    def _park(self):
        self._move(self._shown[0], self._parked[self._shown[0]])

    def _move(self, section, address):
        # In another program space (`inferior 2`) the section is not there, and hides nothing.
        if self._space == gdb.current_progspace():
            quietly("section %s 0x%x" % (section, address))

    def close(self):
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def quietly(command):
    gdb.execute(command, from_tty=False, to_string=True)
