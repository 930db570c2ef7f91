"""A gevent program that spawns greenlets without end, each for a moment: what one runs can be told by its stack."""
import sys

import gevent

FUNCTIONS = []
for number in range(40):
    exec("def work_%d(number):\n    for turn in range(2):\n        gevent.sleep(%s)\n" % (number, 0.001 if number % 2 else 0.5))
    FUNCTIONS.append(globals()["work_%d" % number])


def spawn(first):
    while True:
        for number, function in enumerate(FUNCTIONS):
            gevent.spawn(function, number)
        gevent.sleep(0.1)


for first in range(3):
    gevent.spawn(spawn, first)
print("busy", flush=True)
gevent.sleep(1000)
