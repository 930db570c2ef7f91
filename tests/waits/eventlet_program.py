"""An eventlet program with a greenlet in each kind of wait. Prints as one JSON object what each waits for, by the address of
the greenlet, as gevent_program.py does; then waits for ever."""
import eventlet

eventlet.monkey_patch()

import json
import os
import queue as standard_queue
import socket
import threading

import eventlet.event
import eventlet.hubs
import eventlet.queue
import eventlet.semaphore
import greenlet

expected = {}


class Derived(eventlet.event.Event):
    """Its own module and name are not eventlet's."""


def expect(g, kind, value=None, on=None):
    expected[g] = {"kind": kind, "value": value, "greenlet": hex(id(on)) if on is not None else None, "name": None}
    return g


def start(kind, function, *args, value=None, on=None):
    return expect(eventlet.spawn(function, *args), kind, value, on)


def deep(depth, function):
    """A wait below Python frames and C callbacks."""
    if depth:
        return sorted([depth], key=lambda _: deep(depth - 1, function))
    function()


def read_with_timeout(connection):
    connection.settimeout(1000)
    connection.recv(1)


def with_timeout():
    with eventlet.Timeout(2000):
        eventlet.sleep(1000)


def fill(connection):
    connection.sendall(b"x" * 50_000_000)


def short_wait_then_long():
    """Its frames keep leftovers of waits that are over."""
    eventlet.sleep(0.01)
    done = eventlet.event.Event()
    eventlet.spawn(done.send)
    done.wait()
    semaphore.acquire()


def old_timer():
    """Has a timer in a local variable that has been cancelled."""
    timer = eventlet.hubs.get_hub().schedule_call_global(500, eventlet.getcurrent().switch)
    timer.cancel()
    event.wait()


def hold_lock():
    with lock:
        eventlet.sleep(1000)


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(5)
pairs = []
for _ in range(4):
    connection = socket.create_connection(listener.getsockname())
    pairs.append((connection, listener.accept()[0]))
queue, full, channel = eventlet.queue.Queue(), eventlet.queue.Queue(maxsize=1), eventlet.queue.LightQueue(0)
full.put("full")
semaphore, bounded = eventlet.semaphore.Semaphore(0), eventlet.semaphore.BoundedSemaphore(1)
bounded.acquire()
event, derived, lock = eventlet.event.Event(), Derived(), threading.Lock()

sleeper = start("timer", eventlet.sleep, 1000)
start("timer", deep, 5, lambda: eventlet.sleep(1000))
start("timer", with_timeout)
start("timer", hold_lock)
start("fd", listener.accept, value=listener.fileno())
start("fd", pairs[0][0].recv, 1, value=pairs[0][0].fileno())
start("fd", deep, 3, lambda: pairs[1][0].recv(1), value=pairs[1][0].fileno())
start("fd", read_with_timeout, pairs[2][0], value=pairs[2][0].fileno())
start("fd", fill, pairs[3][0], value=pairs[3][0].fileno())
start("semaphore", semaphore.acquire, value=id(semaphore))
start("semaphore", lambda: semaphore.acquire(timeout=1000), value=id(semaphore))
start("semaphore", short_wait_then_long, value=id(semaphore))
start("semaphore", bounded.acquire, value=id(bounded))
start("event", event.wait, value=id(event))
start("event", lambda: event.wait(timeout=1000), value=id(event))
start("event", old_timer, value=id(event))
start("event", derived.wait, value=id(derived))
start("queue", queue.get, value=id(queue))
start("queue", lambda: queue.get(timeout=1000), value=id(queue))
start("queue", lambda: full.put("more"), value=id(full))
start("queue", channel.put, "item", value=id(channel))
eventlet.sleep(0.05)
start("semaphore", lambda: lock.acquire(), value=id(lock))
joins = start("greenlet", sleeper.wait, value=id(sleeper), on=sleeper)
start("greenlet", lambda: joins.wait(), value=id(joins), on=joins)
for _ in range(50):
    start("event", event.wait, value=id(event))
unstarted = expect(eventlet.spawn_after(1000, eventlet.sleep), None)
eventlet.sleep(0.2)

# What eventlet knows nothing of: switched by hand, and parked there by its parent.
plain = greenlet.greenlet(lambda: plain.parent.switch())
plain.switch()
expect(plain, "parent", value=id(greenlet.getcurrent()))
main_event = eventlet.event.Event()
expect(greenlet.getcurrent(), "event", value=id(main_event))
print(json.dumps({hex(id(g)): wait for g, wait in expected.items()}), flush=True)
main_event.wait()
