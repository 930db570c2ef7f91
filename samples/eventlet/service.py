#!/usr/bin/env python3
"""The shop (samples/shop.py) on eventlet and its own WSGI server:

    samples/eventlet/service.py [PORT]
"""
import os
import sys

import eventlet
import eventlet.event
import eventlet.wsgi
from eventlet.queue import Queue
from eventlet.semaphore import Semaphore

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from shop import Shop  # noqa: E402


class Event(eventlet.event.Event):
    def set(self):
        self.send()


class Library:
    Event, Lock, Queue = Event, Semaphore, Queue
    sleep, spawn = staticmethod(eventlet.sleep), staticmethod(eventlet.spawn)

    @staticmethod
    def result(green_thread):
        return green_thread.wait()


def main():
    shop = Shop(Library)
    eventlet.spawn(shop.keep_books)
    listener = eventlet.listen(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), backlog=1000)
    print("Listening at: http://127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    eventlet.wsgi.server(listener, shop, max_size=4000, log_output=False)


if __name__ == "__main__":
    main()
