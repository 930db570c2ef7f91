"""A forest: the greenlets of one thread, each on a random walk.

Everything is decided by the seed, so two forests with the same seed grow alike.
"""
import random
import select
import sys
import threading

import greenlet
import probe
from frames import python_frames
from shapes import SHAPES

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
        if self.rng.random() < 0.5 or self.forest.publish:
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

    def __init__(self, seed, size, waking, blind=False, exits=False, publish=None, parked="deep"):
        self.rng, self.size, self.waking = random.Random(seed), size, waking
        self.blind, self.exits, self.publish, self.parked = blind, exits, publish, parked
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
            if self.exits or (self.publish and self.parked == "main"):
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
            if self.publish:
                self.publish()
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
