"""Ways in which one Python function comes to call another, most of them through C.

Each shape is called with a walker and calls walker.go() once, deeper in the stack. A function whose name begins with
`c_` is called by probe.call: in a merged listing a native frame of the probe stands right outside it.
"""
import copy
import functools
import itertools
import os
import re

import probe

try:
    import ctypes
except ImportError:  # a CPython built without libffi
    ctypes = None
try:
    import sqlite3
except ImportError:
    sqlite3 = None


def plain(walker):
    walker.go()


def nested_function(walker):
    def inner(value=1, *values, key=None, **more):
        walker.go()
    inner(1, 2, key=3, other=4)


def lines_of_a_call(walker):
    max(
        1,
        walker.go() or 0,
        2)


def c_called(walker):
    walker.go()


def through_probe(walker):
    probe.call(c_called, walker)


def c_method_of_many(walker, *values):
    for value in values:
        if value:
            walker.go()


def through_probe_twice(walker):
    probe.call(probe.call, c_method_of_many, walker, 0, 1)


def sorted_key(walker):
    sorted([1], key=lambda value: walker.go() or 0)


def minimum_key(walker):
    min([1, 2], key=functools.partial(once, walker, []))


def once(walker, done, value):
    if not done:
        done.append(value)
        walker.go()
    return value


def substitution(walker):
    re.sub("a", lambda match: walker.go() or match.group(), "bab")


def map_to_list(walker):
    list(map(lambda value: walker.go(), [1]))


def filtered(walker):
    # No tuple: gc.get_objects, which zoo.publish uses, shows one that is being made, which CPython then cannot finish.
    list(filter(lambda value: walker.go(), "x"))


def reduced(walker):
    functools.reduce(lambda left, right: walker.go(), [1, 2])


def accumulated(walker):
    done = []
    list(itertools.accumulate([1, 2], lambda left, right: once(walker, done, right)))


def star_mapped(walker):
    list(itertools.starmap(walker.go, [()]))


def partial_call(walker):
    functools.partial(functools.partial(walker.go))()


def cached(walker):
    functools.lru_cache(maxsize=None)(lambda: walker.go())()


def listed(walker):
    [walker.go() for _ in range(1)]


def listed_twice(walker):
    return [[walker.go() for _ in range(1)] for _ in range(1)]


def set_and_dictionary(walker):
    return {key: walker.go() for key in {len(str(key)) for key in range(1)}}


def summed(walker):
    sum((walker.go() or 0) for _ in range(1))


def generator(walker):
    yield 1
    walker.go()
    yield 2


def generator_loop(walker):
    for _ in generator(walker):
        pass


def generator_to_list(walker):
    list(generator(walker))


def delegated(walker):
    def outer():
        yield from generator(walker)
    for _ in outer():
        pass


def sent(walker):
    def receive():
        value = yield
        yield walker.go()
        return value
    receiver = receive()
    next(receiver)
    receiver.send(1)
    receiver.close()


def thrown_into_generator(walker):
    def catch():
        try:
            yield
        except KeyError:
            walker.go()
        yield
    catcher = catch()
    next(catcher)
    catcher.throw(KeyError())


def closed_generator(walker):
    def last():
        try:
            yield
        finally:
            walker.go()
    ender = last()
    next(ender)
    ender.close()


async def awaited(walker):
    walker.go()


async def awaiting(walker):
    await awaited(walker)


def coroutine(walker):
    try:
        awaiting(walker).send(None)
    except StopIteration:
        pass


class Manager:
    def __init__(self, walker, on_enter):
        self.walker, self.on_enter = walker, on_enter

    def __enter__(self):
        if self.on_enter:
            self.walker.go()

    def __exit__(self, *error):
        if not self.on_enter:
            self.walker.go()
        return True


def entering(walker):
    with Manager(walker, True):
        pass


def leaving(walker):
    with Manager(walker, False):
        pass


def leaving_with_error(walker):
    with Manager(walker, False):
        raise KeyError("in flight")


def inside_with(walker):
    with Manager(walker, None) as _, open("/dev/null") as _:
        walker.go()


def handling(walker):
    try:
        raise ValueError("in flight")
    except ValueError:
        walker.go()


def handling_twice(walker):
    try:
        try:
            {}["none"]
        except KeyError as error:
            raise ValueError from error
    except ValueError:
        walker.go()


def unwinding(walker):
    try:
        try:
            raise ValueError("in flight")
        finally:
            walker.go()
    except ValueError:
        pass


class Odd:
    """Every method that C code calls on behalf of an operator."""

    def __init__(self, walker):
        self.walker = walker

    @property
    def value(self):
        return self.walker.go()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self.walker.go()

    def __add__(self, other):
        return self.walker.go()

    def __eq__(self, other):
        self.walker.go()
        return True

    def __hash__(self):
        self.walker.go()
        return 1

    def __iter__(self):
        return self

    def __next__(self):
        self.walker.go()
        raise StopIteration

    def __str__(self):
        self.walker.go()
        return "odd"

    def __bool__(self):
        self.walker.go()
        return True

    def __call__(self, *values):
        self.walker.go()

    def __getitem__(self, index):
        return self.walker.go()

    def __deepcopy__(self, memo):
        return self.walker.go()


class Dying:
    def __init__(self, walker):
        self.walker = walker

    def __del__(self):
        self.walker.go()


class Meta(type):
    def __call__(cls, walker):
        walker.go()
        return type.__call__(cls)


class Made(metaclass=Meta):
    pass


class Base:
    def method(self, walker):
        walker.go()

    @classmethod
    def of_class(cls, walker):
        walker.go()

    @staticmethod
    def of_none(walker):
        walker.go()


class Derived(Base):
    def method(self, walker):
        super().method(walker)


def with_class_body(walker):
    class Body:
        walker.go()
        value = 1
    return Body


def dying(walker):
    Dying(walker)


def dying_in_list(walker):
    values = [[Dying(walker)]]
    values.clear()


def through_ctypes(walker):
    # libc's qsort: frames of libc and libffi between two Python frames. PyDLL keeps the GIL.
    done = []
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    callback = kind(lambda left, right: once(walker, done, 0))
    values = (ctypes.c_int * 2)(1, 2)
    ctypes.PyDLL(None).qsort(values, ctypes.c_size_t(2), ctypes.c_size_t(4), callback)


def through_sqlite(walker):
    connection = sqlite3.connect(":memory:")
    connection.create_function("go", 0, lambda: walker.go())
    connection.execute("select go()").fetchall()
    connection.close()


# Names and files in every width a str can have, and line numbers of every length.
ODD_SOURCES = [
    ("a folder/größe.py", "größe", 0),
    ("目录/文件.py", "関数", 1),
    ("🌲/\U00010400.py", "\U00010400𐐁", 2),
    ("<string>", "x" * 100, 300),
    ("far down.py", "far_down", 70000),
    ("a\\b\"c'd.py", "quoted", 5),
]


def compiled(file, name, first_line):
    source = "\n" * first_line + "def %s(walker):\n    value = (\n%s        walker.go(),)\n    return value\n" % (name, "\n" * 200)
    scope = {}
    exec(compile(source, file, "exec"), scope)
    return scope[name]


def executed(walker):
    exec(compile("\n\nwalker.go()\n", "executed.py", "exec"), {"walker": walker})


def evaluated(walker):
    eval("walker.go()")


SHAPES = [
    plain, nested_function, lines_of_a_call, through_probe, through_probe_twice, sorted_key, minimum_key, substitution,
    map_to_list, filtered, reduced, accumulated, star_mapped, partial_call, cached, listed, listed_twice,
    set_and_dictionary, summed, generator_loop, generator_to_list, delegated, sent, thrown_into_generator,
    closed_generator, coroutine, entering, leaving, leaving_with_error, inside_with, handling, handling_twice, unwinding,
    lambda walker: Odd(walker).value, lambda walker: Odd(walker).missing, lambda walker: Odd(walker) + 1,
    lambda walker: [0].index(Odd(walker)), lambda walker: {Odd(walker)}, lambda walker: list(Odd(walker)),
    lambda walker: "%s" % Odd(walker), lambda walker: f"{Odd(walker)!s:>5}", lambda walker: not Odd(walker),
    lambda walker: Odd(walker)(1, 2, 3), lambda walker: Odd(walker)[1:2], lambda walker: copy.deepcopy([Odd(walker)]),
    dying, dying_in_list, Made, lambda walker: Derived().method(walker), Derived.of_class, Derived.of_none,
    with_class_body, executed, evaluated,
] + [compiled(*odd) for odd in ODD_SOURCES]
if os.environ.get("ZOO_WITHOUT_GILSTATE"):
    ctypes = sqlite3 = None
if ctypes is not None:
    SHAPES.append(through_ctypes)
if sqlite3 is not None:
    SHAPES.append(through_sqlite)
