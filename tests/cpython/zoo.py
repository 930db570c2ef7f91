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
import resource
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
from forest import Forest, Sprout, state_of  # noqa: E402

getcurrent = greenlet.getcurrent


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
        if not forest.publish:
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
    Forest(options.seed, options.greenlets - 6 * share, 0, publish=publish, parked=options.parked),
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
