"""The shop (samples/shop.py) on gevent, under gunicorn:

    gunicorn -k gevent -b 127.0.0.1:8000 --chdir samples/gevent service:application
"""
import os
import sys

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from gevent.queue import Queue

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from shop import Shop  # noqa: E402


class Library:
    Event, Lock, Queue = Event, BoundedSemaphore, Queue
    sleep, spawn = staticmethod(gevent.sleep), staticmethod(gevent.spawn)
    result = staticmethod(gevent.Greenlet.get)


application = Shop(Library)
gevent.spawn(application.keep_books).name = "keep_books"
# Runs no Python code at all: Queue.get is compiled.
gevent.spawn(Queue().get).name = "idle"
