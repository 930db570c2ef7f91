"""Greenlets that switched away by themselves: plain ones, and SQLAlchemy's. Prints as one JSON object what each waits for, by
the address of the greenlet, as gevent_program.py does; then waits for ever."""
import asyncio
import json

import greenlet
from sqlalchemy.util import await_only, greenlet_spawn

expected, kept = {}, []


def expect(g, kind, value=None, detail=""):
    expected[hex(id(g))] = {"kind": kind, "value": value, "greenlet": None, "name": None, "detail": detail}


def park():
    greenlet.getcurrent().parent.switch()


def deep(depth):
    """Parks below Python frames and C callbacks."""
    return sorted([depth], key=lambda _: deep(depth - 1)) if depth else park()


class Derived(greenlet.greenlet):
    pass


def nest(depth):
    """Each is the parent of the next, and waits in this function."""
    g = Derived(nest if depth else park)
    kept.append(g)
    if depth:
        where = ", in nest$" if depth < 10 else ""
        expect(g, "parent", id(greenlet.getcurrent()), "a switch; its parent is 0x[0-9a-f]+" + where)
        g.switch(depth - 1)
    else:
        expect(g, "parent", id(greenlet.getcurrent()), "a switch; its parent is .*, in nest$")
        g.switch()
        main.switch()


async def never(number):
    """The coroutine that SQLAlchemy's greenlets hand to their parent."""
    await asyncio.sleep(1000)


async def at_once():
    return 1


class Database:
    async def execute(self):
        await never(0)


def synchronous(number):
    await_only(at_once())
    coroutine = Database().execute() if number % 2 else never(number)
    name = "Database.execute" if number % 2 else "never"
    expect(greenlet.getcurrent(), "await", id(coroutine), "^coroutine %s, awaited by its parent 0x" % name)
    kept.append(coroutine)
    sorted([1], key=lambda _: await_only(coroutine)) if number % 3 else await_only(coroutine)


main = greenlet.getcurrent()
finished, unstarted = greenlet.greenlet(lambda: None), greenlet.greenlet(park)
finished.switch()
kept += [finished, unstarted]
expect(finished, None)
expect(unstarted, None)
for depth in range(30):
    g = greenlet.greenlet(deep)
    g.switch(depth % 5)
    kept.append(g)
    expect(g, "parent", id(main), "a switch; its parent is %s" % hex(id(main)))
nest(10)


async def run():
    tasks = [asyncio.ensure_future(greenlet_spawn(synchronous, number)) for number in range(40)]
    await asyncio.sleep(0.2)
    expect(main, None)
    print(json.dumps(expected), flush=True)
    await asyncio.wait(tasks)


asyncio.run(run())
