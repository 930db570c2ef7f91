"""A gevent program with greenlets spawned in many ways. Prints as one JSON object what gevent itself knows of each, by the
address of the greenlet: function, arguments, minimal_ident, spawner, stack; then waits for ever."""
import json

import gevent
import gevent.pool
import gevent.queue

kept = []


def forever(*arguments, **named):
    gevent.sleep(1000)


class Server:
    def handle(self, number, name="x"):
        if number:
            keep(gevent.spawn(self.handle, number - 1, name=name * 2))
        gevent.sleep(1000)


class Subclass(gevent.Greenlet):
    def _run(self):
        gevent.sleep(1000)


def keep(greenlet):
    kept.append(greenlet)
    return greenlet


def name_of(function):
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return getattr(code, "co_qualname", code.co_name) if code else function.__name__


def frames(frame):
    found = []
    while frame is not None:
        found.append([getattr(frame.f_code, "co_qualname", frame.f_code.co_name), frame.f_code.co_filename, frame.f_lineno])
        frame = frame.f_back
    return found


keep(gevent.spawn(forever))
keep(gevent.spawn(forever, 1, "two", b"three", None, flag=True, more=[1, 2]))
keep(gevent.spawn(Server().handle, 5, name="a"))
LONG = keep(gevent.spawn(forever, "y" * 100, *range(20)))
keep(gevent.spawn(lambda x: gevent.sleep(1000), 2.5))
keep(gevent.spawn(gevent.queue.Queue().get))
keep(gevent.spawn_later(1000, forever, "later"))
keep(Subclass.spawn())
pool = gevent.pool.Pool(30)
[keep(pool.spawn(forever, number)) for number in range(30)]
orphan = gevent.spawn(lambda: keep(gevent.spawn(forever, "its spawner ends")))
done = keep(gevent.spawn(lambda: 1))
gevent.sleep(0.1)
del orphan
# Only now gevent gives them one; the number of one that has gone is given again.
asked = {kept[0]: kept[0].minimal_ident, kept[20]: kept[20].minimal_ident}
kept[21].name  # its default is made of it
asked[kept[21]] = kept[21].minimal_ident
expected = {}
for greenlet in kept:
    spawner = greenlet.spawning_greenlet()
    arguments = [repr(value) for value in greenlet.args] + ["%s=%r" % pair for pair in (greenlet.kwargs or {}).items()]
    if greenlet is LONG:  # texts and numbers of arguments are bounded
        arguments = [repr("y" * 40) + "\u2026", *map(str, range(7)), "\u2026"]
    function = greenlet.__dict__.get("_run")
    expected[hex(id(greenlet))] = {
        "function": name_of(function) if function else None, "arguments": ", ".join(arguments),
        "minimal_ident": asked.get(greenlet), "spawner": hex(id(spawner)) if spawner is not None else None,
        "stack": frames(greenlet.spawning_stack)}
    spawner = None
print(json.dumps(expected), flush=True)
gevent.sleep(1000)
