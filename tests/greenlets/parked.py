# Parks one greenlet of each kind, then reports them: lines "name hexadecimal-number", then "ready".
# What is reported comes from the extension itself: id(), parent, _stack_saved, threading.get_native_id().
# usage: parked.py [sleep|switch]
import os
import sys
import threading
import time

from greenlet import getcurrent, greenlet

kept = {}
main = getcurrent()


class Derived(greenlet):
    pass


def sleep_at(depth):
    return sleep_at(depth - 1) if depth else getcurrent().parent.switch()


def from_c(values):
    def key(value):
        getcurrent().parent.switch()
        return value

    return sorted(values, key=key)


def starter():
    kept["nested"] = greenlet(sleep_at)
    kept["nested"].switch(2)
    main.switch()


def start(name, function, *arguments, kind=greenlet):
    kept[name] = kind(function)
    kept[name].switch(*arguments)


def exiting_thread():
    start("orphaned", sleep_at, 1)
    kept["exited_main"] = getcurrent()


def living_thread(parked):
    kept["thread_main"] = getcurrent()
    start("thread_sleeper", sleep_at, 2)

    def run():
        parked.set()
        time.sleep(3600)

    start("thread_runner", run)


def silent_thread(parked):
    kept["silent_main"] = getcurrent()
    parked.set()
    time.sleep(3600)


start("plain", sleep_at, 3)
start("derived", sleep_at, 0, kind=Derived)
start("from_c", from_c, [3, 1, 2])
start("starter", starter)
start("finished", lambda: None)
kept["unstarted"] = greenlet(sleep_at)
kept["main"] = main
kept["exited_main"] = None
exiting = threading.Thread(target=exiting_thread)
exiting.start()
exiting.join()
threads = {"main": threading.get_native_id()}
for name, function in ("thread", living_thread), ("silent", silent_thread):
    event = threading.Event()
    thread = threading.Thread(target=function, args=(event,), daemon=True)
    thread.start()
    event.wait()
    threads[name] = thread.native_id
time.sleep(0.2)  # until all threads sleep

mode = sys.argv[1] if len(sys.argv) > 1 else "sleep"
if mode == "switch":

    def ping():
        while True:
            main.switch()

    kept["ping"] = greenlet(ping)
for name, tid in threads.items():
    print("tid.%s %x" % (name, tid))
for name, kept_one in kept.items():
    print("id.%s %x" % (name, id(kept_one)))
    print("parent.%s %x" % (name, id(kept_one.parent) if kept_one.parent else 0))
    print("saved.%s %x" % (name, kept_one._stack_saved))
    kept_one = None
print("ready", flush=True)
if mode == "switch":
    while True:
        kept["ping"].switch()
time.sleep(3600)
