#!/usr/bin/env python3
"""Many greenlets, each asleep somewhere else.

    samples/parked/parked.py [--greenlets N] [--seconds S]

Plain greenlet, nothing else: each walks down a few functions, some through C (sorted, re.sub, map, a generator), and
switches back from the bottom. Prints "parked N" and sleeps.
"""
import argparse
import functools
import re
import time

from greenlet import getcurrent, greenlet


def straight(ways):
    descend(ways)


def by_sorting(ways):
    sorted(["fruit"], key=lambda name: descend(ways) or name)


def by_substitution(ways):
    re.sub("leaf", lambda match: descend(ways) or "", "a leaf")


def by_mapping(ways):
    list(map(descend, [ways]))


def by_reducing(ways):
    functools.reduce(lambda left, right: descend(ways), [1, 2])


def rings(ways):
    yield "first"
    descend(ways)


def by_generator(ways):
    for ring in rings(ways):
        pass


def while_handling(ways):
    try:
        raise KeyError("storm")
    except KeyError:
        descend(ways)


WAYS = [straight, by_sorting, by_substitution, by_mapping, by_reducing, by_generator, while_handling]


def descend(ways):
    if ways:
        ways[0](ways[1:])
    else:
        park()


def park():
    getcurrent().parent.switch()


def way(number):
    """The shapes on the way down of the greenlet with this number: two to six of them."""
    return [WAYS[number // 7 ** level % 7] for level in range(2 + number % 5)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--greenlets", type=int, default=10000)
    parser.add_argument("--seconds", type=float, default=3600)
    options = parser.parse_args()
    sleepers = [greenlet(descend) for _ in range(options.greenlets)]
    for number, sleeper in enumerate(sleepers):
        sleeper.switch(way(number))
    print("parked %d" % sum(1 for sleeper in sleepers if sleeper), flush=True)
    time.sleep(options.seconds)


if __name__ == "__main__":
    main()
