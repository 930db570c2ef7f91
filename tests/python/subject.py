"""A program with greenlets, threads, generators and callbacks from C, that knows its own Python stacks.

Every greenlet writes down its frames just before it parks (sys._getframe), and the program looks where the greenlet
extension keeps what a reader from outside starts with (ctypes, so that no reader is needed to test another). One
line of JSON goes to standard output when all are parked; strings are in it as the hexadecimal of their UTF-8. The
program ends when its standard input does.

Arguments: seed, number of random greenlets, "alone" (no subinterpreter).
Functions named c_* are called by C code only, those named p_* by Python code only, in the same C frame.
"""
import ctypes
import functools
import json
import os
import random
import re
import sys
import threading

import greenlet

SEED = int(sys.argv[1]) if len(sys.argv) > 1 else 1
RANDOM_GREENLETS = int(sys.argv[2]) if len(sys.argv) > 2 else 100
VERSION = sys.version_info[:2]
GREENLET = tuple(int(part) for part in re.findall(r"\d+", greenlet.__version__)[:3])
parked = []  # (greenlet, expected frames)


def hexadecimal(text):
    return text.encode("utf-8", "surrogatepass").hex()


def frame_of(frame):
    code = frame.f_code
    name = code.co_qualname if VERSION >= (3, 11) else code.co_name
    # A frame whose instruction has no line says None (3.10 and newer).
    return [hexadecimal(name), hexadecimal(code.co_filename), frame.f_lineno or 0]


def frames_from(frame):
    frames = []
    while frame is not None:
        frames.append(frame_of(frame))
        frame = frame.f_back
    return frames


def record():
    frame = sys._getframe(1)
    parked.append((greenlet.getcurrent(), frames_from(frame)))


def p_park():
    (record(), greenlet.getcurrent().hub.switch())


class Parking(greenlet.greenlet):
    """A greenlet that knows which greenlet to park into."""

    hub = None


def start(function, *arguments):
    g = Parking(function)
    g.hub = greenlet.getcurrent()
    g.switch(*arguments)
    return g


# --- ways to call on: each takes the rest of the path, a list of more ways -------------------------------------------


def go_on(path):
    if path:
        return path[0](path[1:])
    return p_park()


def p_plain(path):
    value = 1
    return go_on(path) or value


def p_many_lines(path):
    return max(
        [
            1,
            2,
            go_on(
                path
            )
            or 3,
        ]
    )


def p_recursion(path, depth=7):
    if depth:
        return p_recursion(path, depth - 1)
    return go_on(path)


def p_sorted(path):
    def c_key(item):
        return go_on(path) or item

    return sorted([1], key=c_key)


def p_map(path):
    def c_mapped(item):
        return go_on(path)

    return list(map(c_mapped, [1]))


def p_substitute(path):
    def c_replace(match):
        go_on(path)
        return "x"

    return re.sub("a", c_replace, "bab")


def p_reduce(path):
    return functools.reduce(lambda a, b: go_on(path), [1, 2])


class Compared:
    def __init__(self, path):
        self.path = path

    def __lt__(self, other):
        return go_on(self.path) or True

    def __eq__(self, other):
        return bool(go_on(self.path))

    __hash__ = None

    @property
    def attribute(self):
        return go_on(self.path)

    def __getitem__(self, index):
        return go_on(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        go_on(self.path)

    def __call__(self, *arguments, **keywords):
        return go_on(self.path)

    def __repr__(self):
        go_on(self.path)
        return "<Compared>"


def p_less(path):
    return sorted([Compared(path), Compared([])])


def p_equal(path):
    return [1, Compared(path)].index(object())


def p_property(path):
    return Compared(path).attribute


def p_item(path):
    return Compared(path)[3]


def p_with(path):
    with Compared(path):
        value = 2
    return value


def p_call(path):
    return Compared(path)(*path, key=path)


def p_repr(path):
    return "%r" % Compared(path)


class Constructed:
    def __init__(self, path):
        self.value = go_on(path)


def p_construct(path):
    return Constructed(path)


def p_generator(path):
    def numbers():
        yield 1
        go_on(path)
        yield 2

    for number in numbers():
        last = number
    return last


def p_yield_from(path):
    def inner():
        yield 1
        yield go_on(path)

    def outer():
        yield from inner()

    return list(outer())


def p_generator_expression(path):
    return sum(go_on(path) or item for item in [1])


def p_comprehension(path):
    return [[go_on(path) for _ in range(1)] for _ in [1]]


def p_coroutine(path):
    async def inner():
        return go_on(path)

    async def outer():
        return await inner()

    try:
        outer().send(None)
    except StopIteration:
        pass


def p_except(path):
    try:
        raise ValueError("x")
    except ValueError:
        return go_on(path)
    finally:
        path = None


def p_finally(path):
    try:
        {}["x"]
    except KeyError as error:
        try:
            raise RuntimeError from error
        except RuntimeError:
            pass
        finally:
            go_on(path)


def p_exec(path):
    exec("def run(f, path):\n\n  return f(path)\nrun(f, path)\n", {"f": go_on, "path": path})


def p_long_code(path):
    lines = ["def run(f, path):", "  x = 0"]
    lines += ["  x = x + 1 + len(path) * 3"] * 900
    lines += ["", ""] * 200
    lines += ["  f(path) if x else (", "", "    None)"]
    lines += ["  x = x + 1"] * 300
    scope = {}
    exec(compile("\n".join(lines), "/no/where/long.py", "exec"), scope)
    return scope["run"](go_on, path)


def named(name, file):
    def p_named(path):
        scope = {}
        exec(compile("def %s(f, path):\n  return f(path)\n" % name, file, "exec"), scope)
        return scope[name](go_on, path)

    return p_named


p_latin = named("caf\u00e9", "/tmp/caf\u00e9.py")
p_greek = named("\u03bb\u03cc\u03b3\u03bf\u03c2", "/tmp/\u03bb.py")
p_linear_b = named("\U00010000\U00010001", "/tmp/\U0001f40d.py")
p_surrogate = named("plain", "/tmp/not\udc80utf8.py")
p_long_name = named("n" * 400, "/tmp/" + "d" * 300 + ".py")


def p_nested_greenlet(path):
    """The rest runs in a greenlet started here, so that this one waits as its starter."""
    g = Parking(go_on)
    g.hub = greenlet.getcurrent().hub
    (record(), g.switch(path))


class Anything:
    pass


class Text(str):
    pass


def with_locals(path):
    integer, negative, large, larger, zero = 42, -7, 2**62 + 1, -(2**200), 0
    yes, no, nothing, number, whole, infinite = True, False, None, 2.5, 1e3, float("-inf")
    text, latin, greek, snake = "it's\n", "caf\u00e9", "\u03bb" * 3, "\U0001f40d"
    long_text, data = "x" * 100, b"\x00'a\xff"
    pair, single, empty, nested, long_list = (1, "b"), (3,), (), [1, [2, [3]]], list(range(10))
    mapping, no_mapping, mixed = {"a": 1, "b": (2,)}, {}, {1: "x", None: [], "gone": 0}
    del mixed["gone"]
    mixed["added"] = True
    anything, derived, function = Anything(), Text("s"), max
    captured = [5]
    inner = lambda: captured  # noqa: E731
    unbound = 1
    del unbound
    EXPECTED_LOCALS.update(
        (name, shown(value)) for name, value in locals().items() if name != "path"
    )
    EXPECTED_LOCALS.update(larger="<int of up to 210 bits, negative>", long_text="'%s'\u2026" % ("x" * 60),
                           nested="[1, [2, [\u2026]]]", long_list="[0, 1, 2, 3, 4, 5, \u2026]", text="'it\\'s\\n'",
                           data="b'\\x00\\'a\\xff'", captured="[5]", empty="()")
    return go_on(path)


EXPECTED_LOCALS = {}


def shown(value):
    plain = (int, float, bool, type(None), str, bytes, tuple, list, dict)
    if type(value) in plain:
        return repr(value)
    return "<%s at 0x%x>" % (type(value).__name__, id(value))


WAYS = [value for name, value in sorted(globals().items()) if name.startswith("p_") and name not in ("p_park",)]


def run(path):
    return go_on(path)


# --- where the greenlet extension keeps it ---------------------------------------------------------------------------


def word(address):
    return ctypes.c_uint64.from_address(address).value


F_FRAME = 0x18  # of PyFrameObject, 3.11 and newer


def position(g):
    """Where a greenlet's frames and its slice are: greenlet-internals.md, section 1."""
    if GREENLET < (2,):
        at, top, start = id(g), id(g) + 0x48, id(g) + 0x10
    else:
        at = word(id(g) + 0x20)
        start = at + (0x30 if VERSION >= (3, 11) else 0x40) + (8 if GREENLET >= (3, 1, 1) else 0)
        top = start + 0x30
    top_frame = word(top)
    found = {"top_frame": top_frame, "current_frame": 0, "previous_frame": 0}
    found.update(zip(("start", "stop", "copy", "saved"), (word(start + 8 * i) for i in range(4))))
    if VERSION >= (3, 11) and top_frame:
        current = [at for at in range(top + 8, top + 0x50, 8) if word(at) == word(top_frame + F_FRAME)]
        assert current, "no current_frame"
        found["current_frame"] = word(current[0])
        if VERSION == (3, 12) and GREENLET < (3, 0, 3):
            found["previous_frame"] = word(current[0] + 0x20)
    return found


def look_inside(g, expected):
    """What the extension's own gr_frame says must be the same, where it is known to be right."""
    shown = frames_from(g.gr_frame)
    broken = VERSION == (3, 12) and GREENLET < (3, 0, 3)  # shows one frame only
    return broken or shown == expected


# --- threads ---------------------------------------------------------------------------------------------------------

ready = threading.Semaphore(0)
forever = threading.Event()
blocked = {}


def block():
    frame = sys._getframe(0)
    blocked[threading.get_ident()] = frame
    ready.release(); forever.wait()


def thread_plain():
    block()


def thread_in_callback():
    list(map(lambda _: block(), [1]))


def thread_in_greenlet():
    def inner():
        sorted([1], key=lambda _: block())

    g = Parking(inner)
    (record(), g.switch())  # the thread's main greenlet is suspended


def thread_with_parked():
    for way in WAYS[:5]:
        start(run, [way])
    block()


THREADS = [thread_plain, thread_in_callback, thread_in_greenlet, thread_with_parked]


def subinterpreter():
    """A second interpreter, one of whose threads blocks in a function; returns the name of that function."""
    try:
        import _xxsubinterpreters as interpreters
    except ImportError:
        try:
            import _interpreters as interpreters
        except ImportError:
            return None
    text = "def in_another_interpreter():\n  import os; os.read(%d, 1)\nin_another_interpreter()\n" % os.pipe()[0]
    other = interpreters.create()
    run_string = getattr(interpreters, "run_string", None) or interpreters.exec
    threading.Thread(target=lambda: run_string(other, text), daemon=True).start()
    return "in_another_interpreter"


def main():
    chooser = random.Random(SEED)
    for way in WAYS:
        start(run, [way])
        for _ in range(10):  # specialised
            start(run, [way])
    for first in WAYS[::3]:
        for second in WAYS[::4]:
            start(run, [first, second])
    start(run, [])
    start(run, [with_locals])
    parked[-1] += (EXPECTED_LOCALS,)
    for _ in range(RANDOM_GREENLETS):
        start(run, chooser.choices(WAYS, k=chooser.randint(0, 8)))
    for function in THREADS:
        threading.Thread(target=function, daemon=True).start()
    for _ in THREADS:
        ready.acquire()
    other = subinterpreter() if "alone" not in sys.argv else None
    threading.Event().wait(0.3)  # until the threads are inside their calls

    report = {"hex": sys.hexversion, "greenlet": greenlet.__version__, "disagree": 0, "greenlets": [], "threads": []}
    for g, expected, *variables in parked:
        if not look_inside(g, expected):
            report["disagree"] += 1
        entry = position(g)
        entry["id"], entry["frames"] = hex(id(g)), expected
        if variables:
            entry["locals"] = {name: hexadecimal(text) for name, text in variables[0].items()}
        report["greenlets"].append(entry)
    current = sys._current_frames()
    for ident, frame in current.items():
        if ident in blocked:
            report["threads"].append({"pthread": ident, "frames": frames_from(frame)})
    for thread in threading.enumerate():
        for entry in report["threads"]:
            if entry["pthread"] == thread.ident:
                entry["tid"] = thread.native_id
    report["other"] = other
    print(json.dumps(report), flush=True)
    sys.stdin.read()
    os._exit(0)


main()
