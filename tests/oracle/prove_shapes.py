#!/usr/bin/env python3
"""Proves that every frame shape of the zoo survived the optimiser.

    prove_shapes.py ZOO --compiler GNU|Clang --optimize 0|1|2|3

Runs the zoo, takes the backtrace that each greenlet announces, and looks up the frame in question in the
executable's own CFI (readelf), disassembly (objdump), symbols (nm) and inlining (gdb). Prints the evidence for each
shape. Exit status 1 when a shape is missing, or is there although EXPECTED_ABSENT says that it cannot be.
"""
import argparse
import bisect
import os
import re
import subprocess
import sys
from collections import namedtuple


def expected_absent(shape, compiler, optimize):
    """Why a shape cannot exist in a build, or None. Never a reason to skip the proof: absence is proved too."""
    if shape == "cold_part" and compiler == "Clang":
        return "clang splits off cold parts only with a profile"
    if shape == "cold_part" and optimize < 2:
        return "gcc splits off cold parts from -O2 on"
    return None


Symbol = namedtuple("Symbol", "start end name")
Frame = namedtuple("Frame", "pc sp exact")


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


class Executable:
    """Symbols, CFI rows and instructions of the zoo, by ELF address."""

    def __init__(self, path):
        self.path = path
        self.symbols = sorted(self._read_symbols())
        self.rows = sorted(self._read_rows())
        self.code = list(self._read_code())

    def _read_symbols(self):
        for line in run("nm", "--print-size", "--defined-only", self.path).splitlines():
            fields = line.split()
            if len(fields) == 4 and fields[2] in "tTwW":
                start = int(fields[0], 16)
                yield Symbol(start, start + int(fields[1], 16), fields[3])

    def _read_rows(self):
        """(address, CFA) for every row of every FDE, and (end, None) after each FDE."""
        in_fde = False
        for line in run("readelf", "--debug-dump=frames-interp", "--wide", self.path).splitlines():
            fde = re.search(r" FDE .*pc=([0-9a-f]+)\.\.([0-9a-f]+)", line)
            if fde:
                in_fde = True
                yield int(fde[2], 16), ""
            elif re.search(r" CIE ", line):
                in_fde = False
            elif in_fde and re.match(r"[0-9a-f]{16} ", line):
                address, cfa = line.split()[:2]
                yield int(address, 16), cfa

    def _read_code(self):
        for line in run("objdump", "--disassemble", "--no-show-raw-insn", self.path).splitlines():
            match = re.match(r" *([0-9a-f]+):\s+(.*)", line)
            if match:
                yield int(match[1], 16), match[2]

    def symbol_at(self, address):
        at = bisect.bisect_right(self.symbols, (address, float("inf"))) - 1
        while at >= 0 and self.symbols[at].start > address - (1 << 20):
            if self.symbols[at].start <= address < self.symbols[at].end:
                return self.symbols[at]
            at -= 1
        return None

    def cfa_at(self, address):
        at = bisect.bisect_right(self.rows, (address, "~")) - 1
        return self.rows[at][1] if at >= 0 else ""

    def instructions(self, symbol):
        low = bisect.bisect_left(self.code, (symbol.start, ""))
        high = bisect.bisect_left(self.code, (symbol.end, ""))
        return self.code[low:high]


class Stack:
    """An announced backtrace, frames as ELF addresses where they are in the executable."""

    def __init__(self, executable, bias, frames):
        self.executable = executable
        self.frames = frames
        self.bias = bias

    def lookup(self, index):
        """The address by which frame `index` is looked up."""
        frame = self.frames[index]
        return frame.pc - self.bias - (0 if frame.exact else 1)

    def symbol(self, index):
        return self.executable.symbol_at(self.lookup(index)) if index < len(self.frames) else None

    def find(self, pattern):
        """Index and symbol of the first frame whose function matches entirely."""
        for index in range(len(self.frames)):
            symbol = self.symbol(index)
            if symbol and re.fullmatch(pattern, symbol.name):
                return index, symbol
        raise Missing(f"no frame of {pattern}")

    def cfa(self, index):
        return self.executable.cfa_at(self.lookup(index))

    def size(self, index):
        return self.frames[index + 1].sp - self.frames[index].sp

    def calls(self, symbol, callee):
        return [a for a, text in self.executable.instructions(symbol) if text.startswith("call") and callee in text]


class Missing(Exception):
    """A shape is not there."""


def require(condition, what):
    if not condition:
        raise Missing(what)


def cfa_is(pattern):
    def check(stack, shape):
        index, _ = stack.find(f"zoo_{shape}")
        require(re.fullmatch(pattern, stack.cfa(index)), f"CFA is {stack.cfa(index)}")
        return f"CFA is {stack.cfa(index)}"
    return check


def realigned(stack, shape):
    index, symbol = stack.find(f"zoo_{shape}")
    masks = [text for _, text in stack.executable.instructions(symbol) if re.match(r"and .*0xffffffffffffffc0,%rsp", text)]
    require(masks, "rsp is not aligned to 64")
    cfa = stack.cfa(index)
    if stack.compiler == "GNU":
        require(cfa == "exp", f"no DRAP: CFA is {cfa}")
        return "rsp is aligned to 64, the CFA is an expression (DRAP)"
    require(cfa == "rbp+16", f"CFA is {cfa}")
    return "rsp is aligned to 64, CFA is rbp+16 (clang has no DRAP)"


def dynamic(stack, shape):
    index, symbol = stack.find(f"zoo_{shape}")
    require(stack.cfa(index) == "rbp+16", f"CFA is {stack.cfa(index)}")
    for _, text in stack.executable.instructions(symbol):
        if re.match(r"(sub|mov) +%r(?!bp)\w+,%rsp", text):
            return f"'{' '.join(text.split())}', CFA is rbp+16"
    raise Missing("no instruction takes a computed size off rsp")


def larger_than(limit):
    def check(stack, shape):
        index, _ = stack.find(f"zoo_{shape}")
        require(stack.size(index) > limit, f"{stack.size(index)} bytes")
        return f"{stack.size(index)} bytes, CFA is {stack.cfa(index)}"
    return check


def cold(stack, shape):
    index, symbol = stack.find(rf"zoo_{shape}\.cold(\.\d+)?")
    return f"parked in {symbol.name} at {stack.lookup(index):#x}"


def noreturn(stack, shape):
    index, symbol = stack.find(f"zoo_{shape}")
    pc = stack.frames[index].pc - stack.bias
    require(pc == symbol.end, f"returns to {pc:#x}, the function ends at {symbol.end:#x}")
    after = stack.executable.symbol_at(pc)
    return f"returns to the function's end, {pc:#x}" + (f", where {after.name} begins" if after else "")


def catch_handler(stack, shape):
    index, symbol = stack.find(rf"zoo_{shape}(\.cold)?")
    begins = [(a, "begin") for a in stack.calls(symbol, "__cxa_begin_catch")]
    ends = [(a, "end") for a in stack.calls(symbol, "__cxa_end_catch")]
    before = [kind for address, kind in sorted(begins + ends) if address < stack.lookup(index)]
    require(before and before[-1] == "begin", f"not after a __cxa_begin_catch in {symbol.name}")
    return f"after __cxa_begin_catch in {symbol.name}"


def unwinding_destructor(stack, shape):
    index, symbol = stack.find(rf"zoo_{shape}_frame(\.cold)?")
    after = [a for a in stack.calls(symbol, "_Unwind_Resume") if a > stack.lookup(index)]
    require(after, f"no _Unwind_Resume follows in {symbol.name}")
    return f"before _Unwind_Resume in the landing pad of {symbol.name}"


def qsort_callback(stack, shape):
    outer, _ = stack.find(f"zoo_{shape}")
    inner, symbol = stack.find(r".*compare.*")
    require(inner + 1 < outer, f"nothing between {symbol.name} and zoo_{shape}")
    require(all(stack.symbol(i) is None for i in range(inner + 1, outer)), "the frames between are not libc's")
    return f"{outer - inner - 1} frames of libc between compare and zoo_{shape}"


def std_function(stack, shape):
    outer, _ = stack.find(f"zoo_{shape}")
    for index in range(outer):
        symbol = stack.symbol(index)
        if symbol and re.search("_Function_handler.*_M_invoke", symbol.name):
            return "through std::_Function_handler::_M_invoke"
    raise Missing("no frame of std::_Function_handler::_M_invoke")


def handler(name, interrupted_is_own):
    def check(stack, shape):
        outer, _ = stack.find(f"zoo_{shape}")
        inner, _ = stack.find(f".*{name}.*")
        require(stack.symbol(inner + 1) is None, "no trampoline of libc")
        require(stack.frames[inner + 2].exact, "the frame below the trampoline was not interrupted")
        require((inner + 2 == outer) == interrupted_is_own, "interrupted elsewhere")
        return "interrupted " + (f"in zoo_{shape}" if interrupted_is_own else "in libc's raise") + " at an exact pc"
    return check


def recursion(stack, shape):
    first, symbol = stack.find(f"zoo_{shape}_level")
    levels = 0
    while stack.symbol(first + levels) == symbol:
        levels += 1
    require(levels >= 500, f"only {levels} frames")
    return f"{levels} frames of {symbol.name}"


def inlined(stack, shape):
    index, _ = stack.find(f"zoo_{shape}")
    # addr2line of binutils 2.40 cannot name functions in clang's DWARF 5, libdw 0.188 needs .debug_aranges.
    script = f"""
block = gdb.block_for_pc({stack.lookup(index)})
while block is not None and not block.is_global:
    if block.function is not None:
        print(block.function.print_name.removesuffix("(coppice::zoo::Step&)").rsplit("::", 1)[-1])
    block = block.superblock"""
    functions = run("gdb", "-nx", "-batch", "-ex", f"python exec({script!r})", stack.executable.path).split()
    require(functions == ["innermost", "middle", "outermost", f"zoo_{shape}"], f"inlined are {functions}")
    return "one frame is " + ", ".join(functions)


SHAPES = {
    "rsp_based": cfa_is(r"rsp\+\d+"),
    "rbp_based": cfa_is(r"rbp\+16"),
    "realigned": realigned,
    "alloca": dynamic,
    "vla": dynamic,
    "frame_64k": larger_than(64 << 10),
    "frame_1m": larger_than(1 << 20),
    "cold_part": cold,
    "noreturn_call": noreturn,
    "catch_handler": catch_handler,
    "unwinding_destructor": unwinding_destructor,
    "qsort_callback": qsort_callback,
    "std_function": std_function,
    "signal_handler": handler("on_signal", False),
    "fault_handler": handler("on_fault", True),
    "deep_recursion": recursion,
    "inlined_tail": inlined,
}
# Greenlets that are no shape; the oracle proves from the inspector's data how much of them is saved.
SCENES = {"main", "-", "partly_saved", "unsaved", "running", "unstarted", "finished"}


def announced_stacks(zoo):
    """Name and frames of each greenlet with a stack, and the load bias."""
    reader, writer = os.pipe()
    with subprocess.Popen([zoo, "--announce", str(writer)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          pass_fds=[writer]) as process:
        os.close(writer)
        with os.fdopen(reader) as lines:
            text = lines.read().splitlines()
        process.stdin.close()
        if process.wait(60) != 0:
            sys.exit(f"{zoo} ended with status {process.returncode}")
    if not text or not text[-1].startswith("end "):
        sys.exit(f"{zoo} did not announce its greenlets")
    bias = int(text[0].split()[3], 16)
    stacks = {}
    for line in text[1:-1]:
        _, _, _, _, name, *frames = line.split()
        stacks[name] = [Frame(int(f[0], 16), int(f[1], 16), len(f) > 2) for f in (frame.split(":") for frame in frames)]
    return bias, stacks


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zoo")
    parser.add_argument("--compiler", choices=["GNU", "Clang"], required=True)
    parser.add_argument("--optimize", type=int, required=True)
    parser.add_argument("--quiet", action="store_true", help="print only what is missing or absent, and the sum")
    arguments = parser.parse_args()
    executable = Executable(arguments.zoo)
    bias, stacks = announced_stacks(arguments.zoo)
    failures = [f"no proof for greenlet {name}" for name in stacks.keys() - SHAPES.keys() - SCENES]
    proved = 0
    for shape, prove in SHAPES.items():
        reason = expected_absent(shape, arguments.compiler, arguments.optimize)
        try:
            stack = Stack(executable, bias, stacks.get(shape, []))
            stack.compiler = arguments.compiler
            evidence = prove(stack, shape)
        except Missing as missing:
            if reason is None:
                failures.append(f"{shape}: {missing}")
            else:
                print(f"{shape}: not in this build: {reason}")
            continue
        if reason is not None:
            failures.append(f"{shape}: is there, but was expected to be absent: {reason}")
            continue
        proved += 1
        if not arguments.quiet:
            print(f"{shape}: {evidence}")
    for failure in failures:
        print(f"FAILED {failure}")
    print(f"{proved} of {len(SHAPES)} shapes proved")
    return 1 if failures or proved == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
