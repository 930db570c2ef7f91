#!/usr/bin/env python3
"""Greenlets of a gevent program, among them such without any Python frame; used like zoo.py.

    gevent_zoo.py --probe DIR [--greenlets N] [--seed S]

Two threads with a hub each, and a job in the thread pool. What it waits for is gevent's: events, locks, queues, timers,
sockets, other greenlets.
"""
import argparse
import gc
import json
import os
import random
import resource
import sys
import threading
import time

parser = argparse.ArgumentParser()
parser.add_argument("--probe", required=True)
parser.add_argument("--greenlets", type=int, default=2000)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--busy", action="store_true", help="ignored")
parser.add_argument("--parked", help="ignored: a hub always runs")
options = parser.parse_args()
sys.path.insert(0, options.probe)

import gevent  # noqa: E402
import gevent.event  # noqa: E402
import gevent.lock  # noqa: E402
import gevent.queue  # noqa: E402
import gevent.socket  # noqa: E402
import greenlet  # noqa: E402
import probe  # noqa: E402
from frames import python_frames  # noqa: E402
from shapes import SHAPES  # noqa: E402

BASICSIZE = greenlet.greenlet.__basicsize__


class Sleeper:
    """A greenlet that walks down some shapes and waits at the bottom until it is woken."""

    def __init__(self, colony):
        self.colony, self.rng = colony, random.Random(colony.rng.random())
        self.depth, self.last_sp, self.python, self.native = self.rng.randrange(8), 0, None, None

    def run(self):
        self.last_sp = probe.base(greenlet.getcurrent(), BASICSIZE)
        self.go()

    def go(self):
        if self.colony.woken.is_set():
            return
        if self.depth > 0:
            self.depth -= 1
            self.rng.choice(SHAPES)(self)
        else:
            self.wait()

    def wait(self):
        way = self.rng.choice(self.colony.ways)
        probe.leave(self.last_sp, self.record, *way)
        assert python_frames(sys._getframe())[1:] == self.python[1:]
        self.colony.resumed += 1

    def record(self, native):
        self.native, self.python = native, python_frames(sys._getframe(1))


class Colony:
    """The greenlets of one thread with its hub."""

    def __init__(self, seed, size):
        self.rng, self.size, self.resumed = random.Random(seed), size, 0
        self.ready, self.error, self.done = threading.Event(), None, False
        self.entries = {}  # greenlet -> what is expected

    def populate(self):
        self.tid = threading.get_native_id()
        self.woken, lock, queue, empty = (gevent.event.Event(), gevent.lock.Semaphore(0), gevent.queue.Queue(), gevent.queue.Queue())
        self.lock = lock
        result = self.result = gevent.event.AsyncResult()
        pair = self.pair = gevent.socket.socketpair()
        self.ways = [(self.woken.wait,), (lock.acquire,), (result.get,), (gevent.socket.wait_write, self.full().fileno())]
        self.sleepers = [Sleeper(self) for _ in range(self.size)]
        for sleeper in self.sleepers:
            sleeper.greenlet = gevent.spawn(sleeper.run)
        # Compiled code from the first frame on.
        compiled = [gevent.spawn(function, *values) for function, *values in [
            (queue.get,), (lock.acquire,), (self.woken.wait,), (result.get,), (self.sleepers[0].greenlet.join,),
            (self.sleepers[0].greenlet.get,), (empty.peek,), (gevent.joinall, [self.sleepers[0].greenlet])] * 20]
        pythonic = [gevent.spawn(gevent.sleep, 3600), gevent.spawn(pair[0].recv, 1)]
        unstarted = [gevent.Greenlet(print) for _ in range(10)]
        finished = [gevent.spawn(int) for _ in range(20)]
        while not all(map(greenlet.greenlet.__bool__, [s.greenlet for s in self.sleepers] + compiled + pythonic)):
            gevent.sleep(0.01)
        gevent.sleep(0.05)
        for sleeper in self.sleepers:
            self.expect(sleeper.greenlet, "suspended", sleeper.python, sleeper.native)
        for g in compiled + pythonic:
            assert (g.gr_frame is None) == (g in compiled), g
            self.expect(g, "suspended", python_frames(g.gr_frame), None)
        for state, greenlets in (("unstarted", unstarted), ("finished", finished)):
            for g in greenlets:
                self.expect(g, state, [], [])

    def full(self):
        """A socket that cannot be written to."""
        self.stuffed = gevent.socket.socketpair()
        self.stuffed[0].setblocking(False)
        try:
            while True:
                self.stuffed[0]._sock.send(b"x" * 65536)
        except BlockingIOError:
            return self.stuffed[0]

    def expect(self, g, state, python, native, main=False, tid=None):
        parent = g.parent
        self.entries[g] = {"type": type(g).__name__, "state": state, "main": main, "tid": tid or self.tid, "busy": False, "how": "leave",
                           "parent": hex(id(parent)) if parent is not None else None, "python": python, "native": native}

    def leave(self, function, *values):
        """Leaves the thread's main greenlet to its hub, which then tells where it is and blocks."""
        def record(native):
            self.expect(greenlet.getcurrent(), "suspended", python_frames(sys._getframe(1)), native, main=True)
            gevent.get_hub().loop.timer(0.2).start(self.in_hub)
        probe.leave(0, record, function, *values)

    def in_hub(self):
        frame = sys._getframe()
        # Hub.run, once this callback has returned.
        self.expect(gevent.get_hub(), "running", python_frames(frame.f_back), None)
        self.ready.set()
        if self is colonies[0]:
            publish()

    def wake(self):
        self.woken.set()
        self.result.set(1)
        self.stuffed[1].close()
        for _ in range(2 * self.size + 100):
            self.lock.release()
        gevent.joinall([s.greenlet for s in self.sleepers], timeout=20)
        self.done = all(s.greenlet.successful() for s in self.sleepers)

    def run(self):
        try:
            self.populate()
            self.leave(gevent.socket.wait_read, 0 if self is colonies[0] else waking)
            if self is colonies[0]:
                os.write(wake, b"x")
            self.wake()
        except BaseException as error:
            self.error = error
            raise


def publish():
    others = set(os.listdir("/proc/self/task")) - {str(colony.tid) for colony in colonies}
    for colony in colonies[1:]:
        colony.ready.wait(60)
    entries = {g: entry for colony in colonies for g, entry in colony.entries.items()}
    pool, tid = colonies[0], int(others.pop())
    for thing in gc.get_objects():
        if issubclass(type(thing), greenlet.greenlet) and thing not in entries:
            # The thread pool's: a greenlet that does the job, and its thread's main greenlet below.
            if type(thing).__name__ == "_WorkerGreenlet":
                pool.expect(thing, "running", python_frames(sys._current_frames()[job_thread[0]]), None, tid=tid)
            elif thing.gr_frame is not None and thing.parent is None:
                pool.expect(thing, "suspended", python_frames(thing.gr_frame), None, main=True, tid=tid)
            else:
                raise RuntimeError("a greenlet that nobody knows: %r" % thing)
            entries[thing] = pool.entries[thing]
    document = {
        "program": "gevent",
        "python": sys.version.split()[0], "greenlet": greenlet.__version__ + ", gevent " + gevent.__version__, "pid": os.getpid(),
        "seed": options.seed, "probe": os.path.basename(probe.__file__),
        "greenlets": [dict(entry, id=hex(id(g))) for g, entry in entries.items()]}
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def job():
    job_thread.append(threading.get_ident())
    real_sleep(3600)


real_sleep = time.sleep
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
sys.setrecursionlimit(100000)
waking, wake = os.pipe()
job_thread = []
colonies = [Colony(options.seed, options.greenlets * 3 // 4), Colony(options.seed + 1, options.greenlets // 4)]
gevent.get_hub().threadpool.spawn(job)
while not job_thread:
    gevent.sleep(0.01)
threading.Thread(target=colonies[1].run, daemon=True).start()
colonies[1].ready.wait(60)
colonies[0].run()
sys.stdout.write("resumed %d\n" % sum(colony.resumed for colony in colonies))
sys.stdout.flush()
os._exit(0 if colonies[0].done else 1)
