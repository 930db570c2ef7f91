"""A program that feels when it is stopped: it switches between its greenlets as fast as it can and looks at the clock each time.

    watched.py FILE GREENLETS switch|sleep|gevent [MEGABYTES]

FILE is mapped; its words are: switches so far, and the longest time in ns between two looks at the clock, which whoever
watches sets to 0. Prints "ready" and runs until it is killed. `sleep`: all greenlets are parked, and it sleeps. `gevent`:
so many of gevent's greenlets wait for four kinds of things.
MEGABYTES: of small objects on its heap.
"""
import mmap
import sys
import time

from greenlet import getcurrent, greenlet

main = getcurrent()


# Frames of C between frames of Python; 2.4 KB of stack, as much as a greenlet of gevent that sleeps has.
def turn(values):
    while True:
        for _ in map(enter, values):
            pass


def enter(value):
    for _ in map(park, [value]):
        pass


def park(value, depth=3):
    if depth:
        return park(value, depth - 1)
    main.switch()
    return value


def gevent_program(count):
    import gevent
    import gevent.event
    import gevent.lock
    import gevent.queue
    event, queue, semaphore = gevent.event.Event(), gevent.queue.Queue(), gevent.lock.Semaphore(0)
    waits = [lambda: gevent.sleep(86400), event.wait, queue.get, semaphore.acquire]
    waiting = [gevent.spawn(deep, waits[number % 4], number % 5) for number in range(count)]
    gevent.sleep(0)
    print("ready", flush=True)
    gevent.joinall(waiting)


def deep(wait, depth):
    if depth:
        return list(map(lambda _: deep(wait, depth - 1), [0]))
    return wait()


file, count = sys.argv[1], int(sys.argv[2])
with open(file, "r+b") as opened:
    words = memoryview(mmap.mmap(opened.fileno(), 16)).cast("Q")
kept = [bytes(420) for _ in range(int(sys.argv[4]) * 2000)] if len(sys.argv) > 4 else []
if sys.argv[3] == "gevent":
    gevent_program(count)
greenlets = [greenlet(turn) for _ in range(count)]
for one in greenlets:
    one.switch([3, 1, 2])
print("ready", flush=True)
if sys.argv[3] == "sleep":
    time.sleep(86400)
now = time.perf_counter_ns
last = now()
while True:
    for one in greenlets:
        one.switch()
        at = now()
        words[0] += 1
        if at - last > words[1]:
            words[1] = at - last
        last = at
