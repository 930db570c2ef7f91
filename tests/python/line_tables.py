"""Writes line tables of this interpreter with the lines that it says itself (PyCode_Addr2Line):

    code FIRST_LINE SIZE TABLE_IN_HEXADECIMAL OFFSET:LINE OFFSET:LINE ...

A line counts from its offset to the next one; 0 is none. With arguments: of these modules of the standard library;
without: of the sample below, which has what tables can hold. The files in line_tables/ were written so, by

    for v in 3.8 3.9 3.10 3.11 3.12 3.13 3.14 3.15; do python$v line_tables.py > line_tables/$v.txt; done
"""
import ctypes
import importlib
import sys
import types

SAMPLE = '''
import os
def plain(a, b):
    c = a + b

    return c
def calls(a):
    return a(
        1,
        a(
            2),
        [x
         for x in
         range(3)])
def far(x):
    x = 1
%s
    y = (x
%s
    ) + x
    return y
def backwards():
    for a in [
        1,
        2
    ]: pass
    while (a
           < 3): a += 1
def tries(f):
    try:
        with f() as g, f(): g()
    except (ValueError,
            KeyError) as error:
        raise RuntimeError from error
    else:
        f()
    finally:
        del f
def generator():
    x = yield 1
    yield from [x]
async def coroutine(a):
    async with a as b:
        await b
    return [c async for c in b]
class Class:
    field: int = 1
    def method(self): return super().method() if self else None
def wide(a):
    return a.%s(a.%s,
        a)
def branches(x):
    if x and \\
       x > 3 or \\
       x < 1: return 1
    elif not x: return 2
    return None if x else 3
'''
SAMPLE = SAMPLE % ("\n" * 300, "\n" * 140, "a" * 140, "b" * 90)
SAMPLE += "def much(x):\n" + "    x = x + 1; y = x * 3\n" * 150 + "    return [x,\n" + "\n" * 70 + "    x]\n"
SAMPLE += "\n" * 40000 + "def late(): return 1\n"

address_to_line = ctypes.pythonapi.PyCode_Addr2Line
address_to_line.argtypes = [ctypes.py_object, ctypes.c_int]


def write(code):
    table = code.co_linetable if sys.version_info >= (3, 10) else code.co_lnotab
    words = ["code", str(code.co_firstlineno), str(len(code.co_code)), table.hex() or "-"]
    last = None
    for offset in [-2] + list(range(0, len(code.co_code), 2)):
        line = max(address_to_line(code, offset), 0)
        if line != last:
            words.append("%d:%d" % (offset, line))
        last = line
    print(" ".join(words))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            write(constant)


print("python %d.%d" % sys.version_info[:2])
if len(sys.argv) == 1:
    write(compile(SAMPLE, "sample", "exec"))
for name in sys.argv[1:]:
    with open(importlib.import_module(name).__file__, encoding="utf-8") as source:
        write(compile(source.read(), name, "exec"))
