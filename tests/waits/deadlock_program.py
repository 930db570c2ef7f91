"""A program whose greenlets wait for each other: two that each have an RLock and want the other's, one that wants an RLock
whose owner has ended, and a pipeline of queues that stands still. Prints as one JSON array the lines that `gldump waits` must
show of it, in any order; then waits for ever.

usage: deadlock_program.py gevent|eventlet"""
import json
import sys

NAME = sys.argv[1]
hub = __import__(NAME)
if NAME == "gevent":
    import gevent.monkey
    gevent.monkey.patch_all()
    import gevent.lock
    import gevent.queue
    Queue, RLock = gevent.queue.Queue, gevent.lock.RLock
else:
    hub.monkey_patch()
    import threading
    import eventlet.queue
    Queue, RLock = eventlet.queue.Queue, threading.RLock
import greenlet


def take_both(first, second):
    with first:
        hub.sleep(0.05)
        with second:
            raise AssertionError("they have both")


def leave_locked(lock):
    lock.acquire()


def pass_on(source, sink):
    while True:
        sink.put(source.get())


def title(thing):
    return "<%s at %#x>" % (type(thing).__name__, id(thing))


one, two, left = RLock(), RLock(), RLock()
owner = hub.spawn(leave_locked, left)
hub.sleep(0.05)
a, b = hub.spawn(take_both, one, two), hub.spawn(take_both, two, one)
waiter = hub.spawn(left.acquire)
hub.sleep(0.1)
others = [hub.spawn(one.acquire) for _ in range(2)]
source, middle, sink = Queue(), Queue(), Queue(1)
sink.put("stuck")
stages = [hub.spawn(pass_on, source, middle) for _ in range(3)] + [hub.spawn(pass_on, middle, sink)]
for item in range(3):
    middle.put(item)
hub.sleep(0.1)

A, B = hex(id(a)), hex(id(b))
first, second = sorted([A, B])
lines = [
    "", "deadlock: %s waits for %s waits for %s" % (first, second, first),
    "3 greenlets wait for lock %s, held by greenlet %s, which waits for lock %s, held by greenlet %s" % (title(one), A, title(two), B),
    "    " + ", ".join(sorted([B] + [hex(id(other)) for other in others])),
    "greenlet %s waits for lock %s, held by greenlet %s, which waits for lock %s, held by greenlet %s" % (A, title(two), B, title(one), A),
    "greenlet %#x waits for lock %s, held by greenlet %#x, which is finished" % (id(waiter), title(left), id(owner)),
    "3 greenlets wait for queue %s (empty, 3 getters)" % title(source),
    "    " + ", ".join(sorted(hex(id(stage)) for stage in stages[:3])),
    "greenlet %#x waits for queue %s (1 item, 1 putter)" % (id(stages[3]), title(sink)),
    "greenlet %#x waits for timers" % id(greenlet.getcurrent())]
print(json.dumps(lines), flush=True)
hub.sleep(1000)
