#!/usr/bin/env python3
"""Grows thousands of greenlets with random stacks, says what they are, and sleeps.

    zoo.py --probe DIR [--greenlets N] [--seed S] [--busy] [--parked main|deep]

Writes one JSON line (see publish below) to standard output and waits for a line on standard input. Then every greenlet
is resumed, must find itself where it was, and the last line is "resumed N". Exit status 0: all did.
"""
import argparse
import gc
import json
import os
import random
import resource
import select
import sys
import threading
import time

parser = argparse.ArgumentParser()
parser.add_argument("--probe", required=True, help="folder of probe.abi3.so")
parser.add_argument("--greenlets", type=int, default=2000)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--busy", action="store_true", help="one more thread switches all the time")
parser.add_argument("--output", type=int, default=1, help="descriptor to write to")
parser.add_argument("--parked", choices=["main", "deep"], default="deep", help="what the main thread runs at the end")
options = parser.parse_args()
sys.path.insert(0, options.probe)

import greenlet  # noqa: E402
import probe  # noqa: E402
from frames import python_frames  # noqa: E402
from shapes import SHAPES  # noqa: E402

BASICSIZE = greenlet.greenlet.__basicsize__
getcurrent = greenlet.getcurrent


class Sprout(greenlet.greenlet):
    """A subclass, as gevent's Greenlet is one."""


class Slotted(greenlet.greenlet):
    __slots__ = ("one", "two")


class Poke(Exception):
    """What is thrown into a greenlet to wake it up."""


class Walker:
    """One greenlet on its random walk: down through shapes, across to other greenlets, up again."""

    def __init__(self, forest, seed, depth):
        self.forest, self.rng, self.depth = forest, random.Random(seed), depth
        self.greenlet = self.python = self.native = None
        self.last_sp = 0
        self.how = "leave"
        self.done = False

    def start(self, *ignored):
        self.greenlet = getcurrent()
        self.last_sp = probe.base(self.greenlet, BASICSIZE)
        try:
            self.go()
        except Poke:
            pass
        self.done = True

    def go(self):
        for _ in range(self.rng.randrange(1, 4)):
            if self.forest.closing:
                return
            if self.depth > 0 and self.rng.random() < 0.85:
                self.depth -= 1
                try:
                    self.rng.choice(SHAPES)(self)
                finally:
                    self.depth += 1
            if not self.forest.closing:
                self.rng.choice(self.LEAVE)(self)

    # Called by the probe with the native frames, in the very call that leaves. A blind forest leaves its Python frames
    # untouched, as most programs do (their frames have no frame objects); its twin knows what they are.
    def record(self, native):
        self.native = native
        if not self.forest.blind:
            self.python = python_frames(sys._getframe(1))

    def recorder(self, how):
        self.how = how
        return self.record

    def check(self):
        """Having been resumed: is everything where it was?"""
        if self.forest.closing and not self.forest.blind and self.how == "leave":
            found = python_frames(sys._getframe(1))
            assert found[1:] == self.python[1:], (found, self.python)
            self.forest.resumed += 1

    def leave_by_probe(self):
        target = self.forest.next(self)
        if target is None:
            return self.park()
        try:
            probe.leave(self.last_sp, self.recorder("leave"), *target)
        except Poke:
            pass
        self.check()

    def leave_on_lines(self):
        target = self.forest.next(self)
        if target is None:
            return self.park()
        try:
            [None,
             probe.leave(self.last_sp,
                         self.recorder("leave"),
                         *target)]
        except Poke:
            pass
        self.check()

    def leave_plainly(self):
        target = self.forest.next(self)
        if target is None:
            return self.park()
        function, arguments, note, recorder = target[0], target[1:], probe.note, self.recorder("note")
        try:
            note(self.last_sp, recorder), function(*arguments)
        except Poke:
            pass

    def park(self):
        """The end of the thread's walk: blocks, in whatever greenlet this is."""
        self.forest.current = self
        if self.rng.random() < 0.5 or self.forest.publishes:
            probe.block(self.last_sp, self.forest.recorder(self), self.forest.waking)
        else:
            poller, note, recorder = select.poll(), probe.note, self.forest.recorder(self)
            poller.register(self.forest.waking, select.POLLIN)
            self.how = "note"
            note(self.last_sp, recorder), poller.poll()
        self.forest.closing = True

    LEAVE = [leave_by_probe, leave_by_probe, leave_on_lines, leave_plainly]


class Forest:
    """The greenlets of one thread."""

    def __init__(self, seed, size, waking, blind=False, exits=False, publishes=False):
        self.rng, self.size, self.waking = random.Random(seed), size, waking
        self.blind, self.exits, self.publishes = blind, exits, publishes
        self.budget = size * 6
        self.walkers = []
        self.resting = []  # unstarted, finished on purpose
        self.closing = False
        self.resumed = 0
        self.states = {}  # of a thread that has exited
        self.ready = threading.Event()
        self.tid = self.current = self.error = None

    def spawn(self):
        walker = Walker(self, self.rng.random(), self.rng.choice([0, 1, 2, 3, 5, 8, 13]))
        kind = self.rng.choice([greenlet.greenlet, Sprout, Slotted])
        walker.greenlet = kind(walker.start)
        living = [w.greenlet for w in self.walkers if w.greenlet]
        if self.rng.random() < 0.3:
            walker.greenlet.parent = self.rng.choice(living)
        if self.rng.random() < 0.1:
            walker.greenlet.gr_frame  # reading it has no effect
        self.walkers.append(walker)
        return walker

    def next(self, leaving):
        """What the walker that leaves shall call, with its arguments; None: block."""
        self.budget -= 1
        if self.budget <= 0:
            if self.exits or (self.publishes and options.parked == "main"):
                self.closing = self.exits
                main = self.walkers[0].greenlet
                if leaving.greenlet is not main:
                    return (main.switch,)
            return (max, 1, 2) if self.exits else None
        while True:
            if len(self.walkers) < self.size and self.rng.random() < 0.4:
                walker = self.spawn()
                if self.rng.random() < 0.04:
                    continue  # never started
                return (probe.call, walker.greenlet.switch)
            walker = self.rng.choice(self.walkers[-50:] if self.rng.random() < 0.8 else self.walkers)
            if walker is not leaving and walker.greenlet:
                if self.rng.random() < 0.1 and walker.native is not None:
                    return (walker.greenlet.throw, Poke)
                return (walker.greenlet.switch,)
            if len(self.walkers) < self.size:
                continue
            return (self.walkers[0].greenlet.switch,) if leaving is not self.walkers[0] else (max, 1, 2)

    def recorder(self, walker):
        def record(native):
            walker.record(native)
            if walker.python is not None:
                walker.python = python_frames(sys._getframe(1))
            if self.publishes:
                publish()
            else:
                self.ready.set()
        walker.how = "leave"
        return record

    def run(self):
        try:
            self.tid = threading.get_native_id()
            main = Walker(self, self.rng.random(), 4)
            main.greenlet = getcurrent()
            self.walkers.append(main)
            while not self.closing:
                main.go()
            if self.exits:
                self.states = {id(w.greenlet): state_of(w.greenlet) for w in self.walkers[1:]}
                self.parents = {id(w.greenlet): w.greenlet.parent for w in self.walkers}
                self.states[id(main.greenlet)] = "finished"
                return
            for walker in self.walkers:
                for _ in range(1000):
                    if not walker.greenlet or walker is main:
                        break
                    walker.greenlet.switch()
        except BaseException as error:
            self.error = error
            self.ready.set()
            raise


def state_of(g):
    if g.dead:
        return "finished"
    return "suspended" if g else "unstarted"


class Busy(threading.Thread):
    """Switches between two greenlets until told to stop."""

    def __init__(self):
        super().__init__(daemon=True)
        self.stop = False
        self.ready = threading.Event()

    def turn(self):
        while not self.stop:
            self.greenlets[0].switch()

    def run(self):
        self.greenlets = [getcurrent()]
        self.greenlets += [greenlet.greenlet(self.turn) for _ in range(2)]
        self.ready.set()
        while not self.stop:
            self.greenlets[1].switch()
            self.greenlets[2].switch()


def leave_residue():
    """Greenlets that are gone again, for whoever looks through freed memory."""
    for _ in range(300):
        Sprout(lambda: 1).switch()


def publish():
    """One JSON object: what an inspector must find. Addresses are numbers, ids hex strings.

    greenlets: id, type, state, main, tid (null: of no thread any more), parent, python: [function, file, line, called
    by the probe] (null: not to be compared), native: [pc, sp] (null: not known), how ("leave": every frame is as
    recorded from the function `how` of the probe outwards; "note": from its caller's caller outwards), busy.
    """
    for forest in forests:
        if not forest.publishes:
            forest.ready.wait()
            if forest.error is not None:
                raise RuntimeError("a forest did not grow") from forest.error
    expected = {}
    for forest in forests:
        for index, walker in enumerate(forest.walkers):
            g = walker.greenlet
            state = forest.states.get(id(g)) or ("running" if walker is forest.current else state_of(g))
            python, native = walker.python, walker.native
            if state in ("unstarted", "finished"):
                python, native = [], []
            elif forest.blind:
                python = twin.walkers[index].python
            if forest.states:
                state = "orphaned" if state == "suspended" else state
                parent = forest.parents[id(g)]
            else:
                parent = g.parent
            expected[id(g)] = {
                "type": type(g).__name__, "state": state, "main": index == 0, "tid": None if forest.states else forest.tid,
                "parent": hex(id(parent)) if parent is not None else None, "python": python, "native": native,
                "how": walker.how, "busy": False}
    for g in busy.greenlets if busy else []:
        expected[id(g)] = {"type": "greenlet", "busy": True, "main": g is busy.greenlets[0], "tid": busy.native_id}
    for thing in gc.get_objects():
        if issubclass(type(thing), greenlet.greenlet) and id(thing) not in expected:
            raise RuntimeError("a greenlet that nobody knows: %r" % thing)
    document = {
        "program": "zoo",
        "python": sys.version.split()[0], "greenlet": greenlet.__version__, "pid": os.getpid(), "seed": options.seed,
        "probe": os.path.basename(probe.__file__), "greenlets": [dict(e, id=hex(i)) for i, e in expected.items()]}
    time.sleep(0.1)  # the other threads reach their system calls
    say(json.dumps(document))


def say(line):
    with open(options.output, "w", closefd=False) as output:
        output.write(line + "\n")


def run_thread(forest):
    thread = threading.Thread(target=forest.run, daemon=True)
    thread.start()
    return thread


resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
sys.setrecursionlimit(100000)
leave_residue()
waking, wake = os.pipe()
share = options.greenlets // 8
twin = Forest(options.seed + 2, share, waking)
forests = [
    Forest(options.seed, options.greenlets - 6 * share, 0, publishes=True),
    Forest(options.seed + 1, share, waking),
    twin,
    Forest(options.seed + 2, share, waking, blind=True),
    Forest(options.seed + 3, share, waking, exits=True),
    Forest(options.seed + 4, share, waking),
    Forest(options.seed + 5, share, waking, exits=True),
]
threads = []
for forest in forests[1:]:
    threads.append(run_thread(forest))
    if forest.exits:
        threads[-1].join()
        forest.ready.set()
busy = Busy() if options.busy else None
if busy:
    busy.start()
    busy.ready.wait()
forests[0].run()
if busy:
    busy.stop = True
os.write(wake, b"x")
for thread in threads:
    thread.join(30)
resumed = sum(forest.resumed for forest in forests)
failed = [forest.error for forest in forests if forest.error is not None]
say("resumed %d%s" % (resumed, "".join(" %r" % error for error in failed)))
os._exit(1 if failed or not resumed else 0)
