"""libcoppice-inspect, lent GDB's memory, registers and thread list.

Everything that the commands show comes from here, so GDB, gltop and gldump show one snapshot.
The structures repeat inspect/capi/coppice_inspect.h.
"""

import contextlib
import ctypes
import json
import os
import re

import gdb

from . import memory_map

ABI_VERSION = 1
FRAMES, SYMBOLS, GROUPS, WAITS = 1, 2, 4, 8

# DWARF numbers 0 to 16 of x86-64 in GDB's names.
REGISTERS = ("rax rdx rcx rbx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip").split()

SONAME = "libcoppice-inspect.so.0"
PAGE = 4096


class _Read(ctypes.Structure):
    _fields_ = [("address", ctypes.c_uint64), ("size", ctypes.c_uint64),
                ("into", ctypes.c_void_p), ("got", ctypes.c_uint64)]


_READ = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.POINTER(_Read), ctypes.c_uint64)


class _Lender(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint64), ("user", ctypes.c_void_p), ("read", _READ)]


class _Thread(ctypes.Structure):
    _fields_ = [("tid", ctypes.c_int32), ("known", ctypes.c_uint32),
                ("registers", ctypes.c_uint64 * len(REGISTERS)), ("name", ctypes.c_char * 32)]


class _Auxv(ctypes.Structure):
    _fields_ = [("type", ctypes.c_uint64), ("value", ctypes.c_uint64)]


class _Mapping(ctypes.Structure):
    _fields_ = [("start", ctypes.c_uint64), ("end", ctypes.c_uint64), ("file_offset", ctypes.c_uint64),
                ("access", ctypes.c_uint64), ("path", ctypes.c_char_p)]


class _Picture(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint64), ("pid", ctypes.c_int32), ("is_core", ctypes.c_int32),
                ("executable", ctypes.c_char_p), ("command_line", ctypes.c_char_p),
                ("core", ctypes.c_char_p), ("sysroot", ctypes.c_char_p),
                ("threads", ctypes.POINTER(_Thread)), ("thread_count", ctypes.c_uint64),
                ("auxv", ctypes.POINTER(_Auxv)), ("auxv_count", ctypes.c_uint64),
                ("mappings", ctypes.POINTER(_Mapping)), ("mapping_count", ctypes.c_uint64)]


class _Stack(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint64), ("start", ctypes.c_uint64), ("stop", ctypes.c_uint64),
                ("copy", ctypes.c_uint64), ("saved", ctypes.c_uint64),
                ("bytes", ctypes.c_void_p), ("byte_count", ctypes.c_uint64),
                ("known", ctypes.c_uint32), ("orphaned", ctypes.c_uint32),
                ("registers", ctypes.c_uint64 * len(REGISTERS)), ("outermost_sp", ctypes.c_uint64)]


class Stack:
    """The stack of a greenlet that does not run: where it continues, and its saved bytes. `outermost_sp`: of its last
    frame, or 0."""

    def __init__(self, raw):
        self.start, self.stop, self.copy, self.saved = raw.start, raw.stop, raw.copy, raw.saved
        self.bytes = ctypes.string_at(raw.bytes, raw.byte_count) if raw.byte_count else b""
        self.orphaned = bool(raw.orphaned)
        self.outermost_sp = raw.outermost_sp
        self.registers = {name: raw.registers[n] for n, name in enumerate(REGISTERS) if raw.known >> n & 1}


def _library_candidates():
    """Where the library may be: named by the user, beside this package in a build or an installation, installed."""
    named = os.environ.get("COPPICE_INSPECT_LIBRARY")
    if named:
        return [named]
    here = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    beside = [os.path.join(os.path.dirname(here), "build", "lib")]           # gdb/ of the sources
    prefix = os.path.normpath(os.path.join(here, "..", "..", ".."))         # PREFIX/share/coppice/gdb
    beside += [os.path.join(prefix, "lib"), os.path.join(prefix, "lib", "x86_64-linux-gnu"),
               os.path.join(prefix, "lib64")]
    loaded = [os.path.dirname(o.filename) for o in gdb.objfiles()
              if o.filename and os.path.basename(o.filename).startswith("libcoppice.so")]
    return [os.path.join(d, SONAME) for d in loaded + beside] + [SONAME]


_library = None


def library():
    """The loaded library; GdbError with the remedy when there is none."""
    global _library
    if _library is not None:
        return _library
    tried = []
    for path in _library_candidates():
        if os.sep in path and not os.path.exists(path):
            tried.append(path)
            continue
        try:
            found = ctypes.CDLL(path)
            break
        except OSError as problem:
            tried.append(str(problem))
    else:
        raise gdb.GdbError(
            "Greenlets need %s, which was not found. Build it (ninja -C build coppice-inspect-shared), install "
            "coppice, or set COPPICE_INSPECT_LIBRARY to its path before starting GDB. Tried: %s."
            % (SONAME, "; ".join(tried)))
    found.cpi_abi_version.restype = ctypes.c_uint32
    if found.cpi_abi_version() != ABI_VERSION:
        raise gdb.GdbError("%s speaks version %d of the C ABI and these commands version %d: use both from one build."
                           % (SONAME, found.cpi_abi_version(), ABI_VERSION))
    found.cpi_last_error.restype = ctypes.c_char_p
    found.cpi_open.restype = ctypes.c_void_p
    found.cpi_open.argtypes = [ctypes.POINTER(_Lender)]
    found.cpi_close.argtypes = [ctypes.c_void_p]
    found.cpi_stopped.argtypes = [ctypes.c_void_p, ctypes.POINTER(_Picture)]
    found.cpi_snapshot.restype = ctypes.c_char_p
    found.cpi_snapshot.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(ctypes.c_char_p),
                                   ctypes.c_uint64, ctypes.c_uint64]
    found.cpi_stack_of.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(_Stack)]
    _library = found
    return found


def is_core():
    connection = gdb.selected_inferior().connection
    return connection is not None and connection.type == "core"


def tid_of(thread):
    """The thread's number as its target names it."""
    return thread.ptid[1] or thread.ptid[2] or thread.ptid[0]


def _encoded(text):
    return text.encode(errors="surrogateescape") if text else None


def auxv_pairs():
    """The auxiliary vector, out of `info auxv`: GDB gives it in no other way, whatever the target."""
    try:
        text = gdb.execute("info auxv", to_string=True)
    except gdb.error:
        return []
    lines = re.findall(r"^(\d+)\s+AT_\w+\s.*?\s(0x[0-9a-f]+|\d+)(?: \".*\")?$", text, re.MULTILINE)
    return [(int(kind), int(value, 0)) for kind, value in lines]


def core_path():
    found = re.search(r"Local core dump file:\s+`(.*)', file type", gdb.execute("info target", to_string=True))
    return found.group(1) if found else None


@contextlib.contextmanager
def selection_kept():
    """Puts the selected thread and frame back."""
    thread = gdb.selected_thread()
    try:
        level = gdb.selected_frame().level()
    except gdb.error:
        level = 0
    try:
        yield
    finally:
        if thread is not None and thread.is_valid():
            thread.switch()
            select_level(level)


def select_level(level):
    """Selects the frame of that level, as far as there are so many."""
    try:
        frame = gdb.newest_frame()
        while frame.level() < level and frame.older() is not None:
            frame = frame.older()
        frame.select()
    except gdb.error:
        pass  # a thread that runs has no frames


def threads():
    """Of the selected inferior. Where a second one has a core, GDB 13 forgets the selected frame over this."""
    inferior = gdb.selected_inferior()
    if len(gdb.inferiors()) == 1:
        return inferior.threads()
    with selection_kept():
        return inferior.threads()


def _threads(with_registers):
    """Every thread, with its registers unless it runs."""
    everyone = sorted(threads(), key=tid_of)
    result = (_Thread * len(everyone))()
    for raw, thread in zip(result, everyone):
        raw.tid = tid_of(thread)
        raw.name = (thread.name or "").encode(errors="replace")[:31]
    if not with_registers:
        return result
    with selection_kept():
        for raw, thread in zip(result, everyone):
            if thread.is_running():
                continue
            thread.switch()
            frame = gdb.newest_frame()
            for number, name in enumerate(REGISTERS):
                with contextlib.suppress(gdb.error):
                    raw.registers[number] = int(frame.read_register(name)) & (1 << 64) - 1
                    raw.known |= 1 << number
    return result


# How much of this stop the library has been told.
NOTHING, MEMORY, MEMORY_AND_REGISTERS = range(3)


class Engine:
    """A session with the library for one inferior. `aside` is a context manager factory that takes overlays away."""

    def __init__(self, aside):
        self._aside = aside
        self._failure = None
        self._known = NOTHING
        self._shown = {}
        self._threads = ()
        self._inferior = gdb.selected_inferior()
        self._lender = _Lender(ctypes.sizeof(_Lender), None, _READ(self._read))
        self._library = library()
        self._session = self._library.cpi_open(ctypes.byref(self._lender))
        if not self._session:
            raise gdb.GdbError(self._last_error())

    def close(self):
        if self._session:
            self._library.cpi_close(self._session)
            self._session = None

    def forget(self):
        """The target ran or was written to: what was read is no longer true."""
        self._known = NOTHING

    def snapshot(self, what=0, ids=(), max_frames=0, within_frames=False):
        """The library's JSON snapshot, kept until the target runs. `within_frames`: GDB may be in the midst of
        printing frames, or of deciding whether it stops here (and then still calls the thread running), so no other
        thread may be selected, and running greenlets are not walked."""
        self._refresh(MEMORY if within_frames else MEMORY_AND_REGISTERS, within_frames)
        key = (what, tuple(ids), max_frames)
        if key not in self._shown:
            array = (ctypes.c_char_p * len(ids))(*[i.encode() for i in ids])
            with self._lending():
                text = self._library.cpi_snapshot(self._session, what, array, len(ids), max_frames)
            if text is None:
                raise gdb.GdbError(self._last_error())
            self._shown[key] = json.loads(text)
        return self._shown[key]

    def stack(self, identifier):
        """The Stack of a suspended or orphaned greenlet."""
        self._refresh(MEMORY)
        raw = _Stack(size=ctypes.sizeof(_Stack))
        with self._lending():
            failed = self._library.cpi_stack_of(self._session, identifier.encode(), ctypes.byref(raw))
        if failed:
            raise gdb.GdbError(self._last_error())
        return Stack(raw)

    def last_snapshot(self):
        """The snapshot of all greenlets without frames, if it has been read at this stop; else None."""
        return self._shown.get((0, (), 0)) if self._known > NOTHING else None

    def stack_pointer(self, tid):
        """Of a thread where it stands at this stop; None for one that runs."""
        self._refresh(MEMORY_AND_REGISTERS)
        at = REGISTERS.index("rsp")
        return next((raw.registers[at] for raw in self._threads if raw.tid == tid and raw.known >> at & 1), None)

    def _last_error(self):
        return self._library.cpi_last_error().decode(errors="replace")

    def _refresh(self, wanted, within_frames=False):
        if self._known >= wanted:
            return
        if not self._inferior.pid:
            raise gdb.GdbError("There is no process and no core file.")
        if not within_frames and gdb.selected_thread() is not None and gdb.selected_thread().is_running():
            raise gdb.GdbError("The program is running: stop it first (interrupt).")
        self._shown.clear()
        picture = _Picture(size=ctypes.sizeof(_Picture), pid=self._inferior.pid, is_core=is_core())
        picture.executable = _encoded(gdb.current_progspace().filename)
        picture.core = _encoded(core_path()) if picture.is_core else None
        sysroot = gdb.parameter("sysroot")
        picture.sysroot = None if sysroot.startswith("target:") else _encoded(sysroot)
        self._threads = _threads(wanted == MEMORY_AND_REGISTERS)
        pairs = auxv_pairs()
        auxv = (_Auxv * len(pairs))(*pairs)
        picture.threads, picture.thread_count = self._threads, len(self._threads)
        picture.auxv, picture.auxv_count = auxv, len(auxv)
        mappings = memory_map.read(picture.is_core)
        raw_map = (_Mapping * len(mappings))(*[(m.start, m.end, m.offset, m.access, _encoded(m.path)) for m in mappings])
        picture.mappings, picture.mapping_count = raw_map, len(mappings)
        with self._lending():
            failed = self._library.cpi_stopped(self._session, ctypes.byref(picture))
        if failed:
            raise gdb.GdbError(self._last_error())
        self._known = wanted

    @contextlib.contextmanager
    def _lending(self):
        """Around each call into the library: overlays are out of the way, and what a callback raised comes out here."""
        self._failure = None
        with self._aside():
            yield
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _read(self, _user, reads, count):
        try:
            for i in range(count):
                read = reads[i]
                read.got = self._read_some(read.address, read.size, read.into)
            return 0
        except BaseException as problem:  # whatever passed through C would look like success
            self._failure = problem
            return -1

    def _read_some(self, address, size, into):
        """Copies the leading readable bytes; returns how many."""
        try:
            ctypes.memmove(into, bytes(self._inferior.read_memory(address, size)), size)
            return size
        except gdb.error:
            pass
        # GDB says only that something in the range is unreadable: go page by page, then halve.
        got = 0
        while got < size:
            piece = min(size - got, PAGE - (address + got) % PAGE)
            if piece == size and piece == 1:
                return got
            if piece == size:
                piece = size // 2
            more = self._read_some(address + got, piece, into + got)
            got += more
            if more < piece:
                break
        return got
