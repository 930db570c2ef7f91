"""A gevent program with a greenlet in each kind of wait. With SUBINTERPRETERS=1 in its environment two more interpreters are in
its process, of which one runs something in a thread. Prints as one JSON object what each waits for, by the address of
the greenlet: {"0x7f...": {"kind": ..., "value": ..., "greenlet": ..., "name": ...}}; then waits for ever."""
import gevent.monkey

gevent.monkey.patch_all()

import _thread
import json
import os
import socket
import subprocess
import sys
import threading

import gevent
import gevent.event
import gevent.lock
import gevent.os
import gevent.queue
import gevent.threadpool

queue = gevent.queue.Queue()
full = gevent.queue.Queue(maxsize=1)
full.put("full")
semaphore = gevent.lock.Semaphore(0)
bounded = gevent.lock.BoundedSemaphore(1)
bounded.acquire()
event = gevent.event.Event()
result = gevent.event.AsyncResult()
lock = gevent.lock.RLock()
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(5)
connection = socket.create_connection(listener.getsockname())
served = listener.accept()[0]
read_end, write_end = os.pipe()
gevent.os.make_nonblocking(read_end)
expected, kept = {}, []


def start(kind, function, *args, value=None, on=None, detail=""):
    greenlet = gevent.spawn(function, *args)
    expected[greenlet] = {"kind": kind, "value": value, "greenlet": hex(id(on)) if on is not None else None, "name": None,
                          "detail": detail}
    return greenlet


def queue_of(queue, use):
    """What is said of a wait on it."""
    return {"value": id(queue), "detail": r"^queue <%s at %#x> \(%s\)$" % (type(queue).__name__, id(queue), use)}


def lock_of(lock, owner, times=""):
    return {"value": id(lock), "on": owner, "detail": "^lock <%s at %#x>, held%s by greenlet %#x$" % (type(lock).__name__, id(lock), times, id(owner))}


def deep(depth, function):
    """A wait below Python frames and C callbacks."""
    if depth:
        return sorted([depth], key=lambda _: deep(depth - 1, function))
    function()


def named():
    gevent.getcurrent().name = "a name"
    gevent.sleep(1000)


def hold_lock():
    lock.acquire()
    lock.acquire()
    gevent.sleep(1000)


def take(lock):
    with lock:
        gevent.sleep(1000)


def release_and_take(lock):
    """Its stack keeps the lock that it had."""
    with lock:
        pass
    semaphore.acquire()


class Derived(gevent.queue.Queue):
    """Its own module and name are not gevent's."""
    __slots__ = ("more",)

    def _init(self, *arguments):
        self.more = self.queue = []


def short_wait_then_long():
    """Its stack keeps leftovers of waits that are over."""
    gevent.sleep(0.01)
    done = gevent.event.Event()
    gevent.spawn(done.set)
    done.wait()
    semaphore.acquire()


sleeper = start("timer", named)
expected[sleeper]["name"] = "a name"
start("timer", deep, 5, lambda: gevent.sleep(1000))
holder = start("timer", hold_lock)
start("fd", listener.accept, value=listener.fileno())
start("fd", connection.recv, 1, value=connection.fileno())
start("fd", deep, 3, lambda: served.recv(1), value=served.fileno())
start("fd", gevent.os.nb_read, read_end, 1, value=read_end)
start("semaphore", semaphore.acquire, value=id(semaphore))
start("semaphore", short_wait_then_long, value=id(semaphore))
start("semaphore", bounded.acquire, value=id(bounded))
start("event", event.wait, value=id(event))
start("event", lambda: event.wait(timeout=1000), value=id(event))
start("result", result.get, value=id(result))
for _ in range(3):
    start("queue", queue.get, **queue_of(queue, "empty, 3 getters"))
start("queue", lambda: full.put("more"), **queue_of(full, "1 item, 1 putter"))
for kind in (gevent.queue.LifoQueue, gevent.queue.PriorityQueue, gevent.queue.JoinableQueue, Derived):
    empty = kind()
    kept.append(empty)
    start("queue", empty.get, **queue_of(empty, "empty, 1 getter"))
    other = kind(maxsize=2)
    kept.append(other)
    if kind is not Derived:
        other.put(1), other.put(2)
        for number in range(2):
            start("queue", other.put, number, **queue_of(other, "2 items, 2 putters"))
for channel, method in ((gevent.queue.Channel(), "get"), (gevent.queue.Channel(), "put")):
    kept.append(channel)
    for argument in (["x"] if method == "put" else [True]):
        start("queue", getattr(channel, method), argument, **queue_of(channel, "1 %ster" % method))
gevent.sleep(0.05)
start("lock", lambda: lock.acquire(), **lock_of(lock, holder, " 2 times"))
start("lock", take, lock, **lock_of(lock, holder, " 2 times"))
start("semaphore", release_and_take, gevent.lock.RLock(), value=id(semaphore), detail="^semaphore 0x[0-9a-f]+$")
standard, plain = threading.RLock(), threading.Lock()
plain.acquire()
start("semaphore", plain.acquire, value=id(plain))
kept.append(standard)
owner = start("timer", take, standard)
gevent.sleep(0.05)
start("lock", deep, 3, lambda: standard.acquire(), **lock_of(standard, owner))
standard_of_main = threading.RLock()
standard_of_main.acquire()
start("lock", standard_of_main.acquire, **lock_of(standard_of_main, gevent.getcurrent()))
joins = start("greenlet", sleeper.join, value=id(sleeper), on=sleeper)
start("greenlet", lambda: joins.get(), value=id(joins), on=joins)
in_thread = []


class Job:
    def work(self, number):
        in_thread.append(_thread.get_native_id())
        gevent.monkey.get_original("time", "sleep")(1000)


def deep_job(depth):
    return sorted([depth], key=lambda _: deep_job(depth - 1)) if depth else Job().work(0)


for function, arguments in ((Job().work, [1]), (deep_job, [20])):
    pool = gevent.threadpool.ThreadPool(1)
    done, later = pool.spawn(function, *arguments), pool.spawn(deep_job, 0)
    kept.append(pool)
    gevent.sleep(0.1)
    worker, = pool._worker_greenlets
    name = getattr(function.__code__, "co_qualname", function.__name__)
    start("job", done.get, value=id(done), on=worker, detail="^job %s in thread %d$" % (name, in_thread[-1]))
    start("job", later.get, value=id(later), detail="^job deep_job, not begun by a thread yet$")
# Ends with this program, however that ends.
child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
start("result", child.wait, value=id(child.result))
short = gevent.spawn(gevent.sleep, 0.01)
several = [sleeper, joins, short, gevent.event.Event()]
start("any", gevent.joinall, several, detail="^the first to be done of 2 greenlets and 1 other object: %#x, %#x$" % (id(sleeper), id(joins)))
many = [gevent.spawn(gevent.sleep, 1000) for _ in range(5)]
start("any", gevent.wait, many, detail="^the first to be done of 5 greenlets: %#x, %#x, %#x, ...$" % tuple(map(id, many[:3])))
start("greenlet", gevent.joinall, [short, sleeper], value=id(sleeper), on=sleeper)
# Only now: a fork of a process with several interpreters may never return.
if os.environ.get("SUBINTERPRETERS"):
    interpreters = __import__("_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters")
    run = interpreters.exec if sys.version_info >= (3, 13) else interpreters.run_string
    numbers = [interpreters.create() for _ in range(2)]
    gevent.monkey.get_original("_thread", "start_new_thread")(run, (numbers[0], "import time\ntime.sleep(1000)"))
for _ in range(50):
    start("event", event.wait, value=id(event))
unstarted = gevent.spawn_later(1000, named)
expected[unstarted] = {"kind": None, "value": None, "greenlet": None, "name": None}
gevent.sleep(0.2)

main_event = gevent.event.Event()
expected[gevent.getcurrent()] = {"kind": "event", "value": id(main_event), "greenlet": None, "name": None}
print(json.dumps({hex(id(greenlet)): wait for greenlet, wait in expected.items()}), flush=True)
main_event.wait()
