#!/usr/bin/python3
"""Greenlets that take turns, each telling its number by a call into libc: umask(number). Prints where each one is."""
import os

import greenlet

ROUNDS, COUNT = 3, 25
main = greenlet.getcurrent()


def turn(number):
    total = 0
    for _ in range(ROUNDS):
        os.umask(number)
        total += number
        main.switch()
    return total


greenlets = [greenlet.greenlet(turn) for _ in range(COUNT)]
for number, each in enumerate(greenlets):
    each.switch(number)
print(*("greenlet %d %#x\n" % (number, id(each)) for number, each in enumerate(greenlets)), flush=True)
os.getppid()
for _ in range(ROUNDS - 1):
    for each in greenlets:
        each.switch()
print("result", sum(each.switch() for each in greenlets))
