# Switches as fast as it can. Wherever a greenlet is, three things agree: the Python function it runs (on_left, on_right),
# the function of C that called that (sides.left, sides.right), and the line of turn() where it called that one.
# usage: agreeing.py FOLDER-OF-SIDES GREENLETS same|new
# `new`: the stack of a greenlet never has the same bytes twice.
import sys

from greenlet import getcurrent, greenlet

sys.path.insert(0, sys.argv[1])
from sides import left, right  # noqa: E402

count = int(sys.argv[2])
step = 1 if sys.argv[3] == "new" else 0
main = getcurrent()


def on_left():
    main.switch()


def on_right():
    main.switch()


def turn(number=0):
    while True:
        left(on_left, number)
        right(on_right, number)
        number += step


greenlets = [greenlet(turn) for _ in range(count)]
for number, one in enumerate(greenlets):
    one.switch()
    if number % 2:
        one.switch()
first = turn.__code__.co_firstlineno
print("line.left %x\nline.right %x" % (first + 2, first + 3))
for number, one in enumerate(greenlets):
    print("id.%d %x" % (number, id(one)))
print("ready", flush=True)
while True:
    for one in greenlets:
        one.switch()
