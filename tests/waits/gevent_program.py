"""A gevent program with a greenlet in each kind of wait. Prints as one JSON object what each waits for, by the address of
the greenlet: {"0x7f...": {"kind": ..., "value": ..., "greenlet": ..., "name": ...}}; then waits for ever."""
import gevent.monkey

gevent.monkey.patch_all()

import json
import os
import socket
import subprocess

import gevent
import gevent.event
import gevent.lock
import gevent.os
import gevent.queue

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
expected = {}


def start(kind, function, *args, value=None, on=None):
    greenlet = gevent.spawn(function, *args)
    expected[greenlet] = {"kind": kind, "value": value, "greenlet": hex(id(on)) if on is not None else None, "name": None}
    return greenlet


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
    gevent.sleep(1000)


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
start("timer", hold_lock)
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
start("queue", queue.get, value=id(queue))
start("queue", lambda: full.put("more"), value=id(full))
gevent.sleep(0.05)
start("semaphore", lambda: lock.acquire(), value=id(lock._block))
joins = start("greenlet", sleeper.join, value=id(sleeper), on=sleeper)
start("greenlet", lambda: joins.get(), value=id(joins), on=joins)
# Ends with this program, however that ends.
child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
start("result", child.wait, value=id(child.result))
for _ in range(50):
    start("event", event.wait, value=id(event))
unstarted = gevent.spawn_later(1000, named)
expected[unstarted] = {"kind": None, "value": None, "greenlet": None, "name": None}
gevent.sleep(0.2)

main_event = gevent.event.Event()
expected[gevent.getcurrent()] = {"kind": "event", "value": id(main_event), "greenlet": None, "name": None}
print(json.dumps({hex(id(greenlet)): wait for greenlet, wait in expected.items()}), flush=True)
main_event.wait()
