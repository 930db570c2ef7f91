"""`info greenlets`, `greenlet find`, `greenlet groups` and `greenlet waits`: the commands that list."""

import re

import gdb

from .commands import complete, find_all, thread_text
from .engine import FRAMES, GROUPS, SYMBOLS, WAITS, threads
from .names import frame_text, label, short_name, waiting_text, where
from .selection import by_id

# Enough frames to leave the switch machinery behind.
FRAMES_TO_SEE_WHERE = 16
_IDS_SHOWN = 16
_STATES = ("unstarted", "running", "suspended", "finished", "orphaned")

_selection = None


def install(selection):
    """Registers the commands. Once per GDB."""
    global _selection
    _selection = selection
    InfoGreenlets()
    GreenletFind()
    GreenletGroups()
    GreenletWaits()


def _count(count):
    return "%d greenlet%s" % (count, "" if count == 1 else "s")


def _ids(ids):
    return ", ".join(ids[:_IDS_SHOWN]) + (", ..." if len(ids) > _IDS_SHOWN else "")


def _pattern(text):
    try:
        return re.compile(text)
    except re.error as problem:
        raise gdb.GdbError("%s is no regular expression: %s." % (text, problem))


def _mentions(greenlet, pattern):
    """Whether its name, what it waits for or a function on its stack matches."""
    texts = [short_name(greenlet), waiting_text(greenlet)] + [f["function"] or "" for f in greenlet["frames"] or []]
    return any(pattern.search(text) for text in texts)


class _Wanted:
    """What the words of `info greenlets` ask for."""

    def __init__(self, words):
        self.groups, self.names = False, []
        self._tests = []
        self.stacks = False  # whole stacks are looked at
        words = list(words)
        while words:
            word = words.pop(0)
            if word == "-group":
                self.groups = True
            elif word in ("-with", "-without", "-thread", "-state"):
                if not words:
                    raise gdb.GdbError("%s wants something after it: see `help info greenlets`." % word)
                self._add(word, words.pop(0))
            elif word.startswith("-"):
                raise gdb.GdbError("No option %s: see `help info greenlets`." % word)
            else:
                self.names.append(word)

    def _add(self, option, value):
        if option in ("-with", "-without"):
            pattern, wanted = _pattern(value), option == "-with"
            self.stacks = True
            self._tests.append(lambda g: _mentions(g, pattern) == wanted)
        elif option == "-state":
            if value not in _STATES:
                raise gdb.GdbError("No state %s: there are %s." % (value, ", ".join(_STATES)))
            self._tests.append(lambda g: g["state"] == value)
        else:
            thread = next((t for t in threads() if str(t.num) == value), None)
            if thread is None:
                raise gdb.GdbError("No thread %s." % value)
            self._tests.append(lambda g: _selection.thread_of(g) == thread)

    def chosen(self, greenlets):
        return [g for g in greenlets if all(test(g) for test in self._tests)]


class InfoGreenlets(gdb.Command):
    """List the program's greenlets, like `info threads`.
Usage: info greenlets [OPTION]... [ID | NAME | 0xADDRESS | FIRST-LAST]...

The current greenlet is marked with an asterisk: the selected one, else the one that the selected thread runs.
"Frame" is the innermost frame outside the switch itself, on CPython the innermost of Python's.

Options:
  -with REGEX     those of which the name, what they wait for or a function on their stack matches
  -without REGEX  those of which none matches
  -thread N       those of one thread, by its GDB number
  -state STATE    unstarted, running, suspended, finished or orphaned
  -group          equal stacks once, with the greenlets that have them

Examples:
  (gdb) info greenlets 1 7-9
  (gdb) info greenlets -state suspended -with epoll"""

    def __init__(self):
        super().__init__("info greenlets", gdb.COMMAND_STATUS)

    def complete(self, text, word):
        if word is None:
            return complete(text, word)
        if word.startswith("-") or text.rstrip().endswith("-"):
            options = ("group", "with", "without", "thread", "state")
            return [option for option in options if option.startswith(word.lstrip("-"))]
        before = text[:len(text) - len(word)].split()
        if before and before[-1] == "-state":
            return [state for state in _STATES if state.startswith(word)]
        return complete(text, word)

    def invoke(self, argument, from_tty):
        wanted = _Wanted(gdb.string_to_argv(argument))
        asked = [g["id"] for g in find_all(wanted.names)] if wanted.names else []
        engine = _selection.engine()
        current = _selection.current()
        frames = 0 if wanted.stacks or wanted.groups else FRAMES_TO_SEE_WHERE
        shown = engine.snapshot(FRAMES | SYMBOLS | (GROUPS if wanted.groups else 0), asked, frames)
        greenlets = by_id(wanted.chosen(g for g in shown["greenlets"] if not asked or g["id"] in set(asked)))
        if not greenlets:
            gdb.write("No greenlets.\n")
        elif wanted.groups:
            write_groups(shown, {g["id"] for g in greenlets})
        else:
            self._table(greenlets, current["id"] if current else None)
        for warning in shown["warnings"]:
            gdb.write("warning: %s\n" % warning)

    def _table(self, greenlets, current):
        rows = [("Id", "Name", "State", "Thread", "Waiting for", "Frame")]
        for g in greenlets:
            state = g["state"] + (" (main)" if g["main"] else "")
            rows.append((g["id"], short_name(g), state, thread_text(g), waiting_text(g), where(g)))
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        for row in rows:
            mark = "* " if row[0] == current else "  "
            cells = [cell.ljust(width) for cell, width in zip(row, widths)]
            gdb.write((mark + " ".join(cells) + " " + row[5]).rstrip() + "\n")


def write_groups(snapshot, ids):
    """The groups of a snapshot, as far as those ids are in them."""
    by_identity = {g["id"]: g for g in snapshot["greenlets"]}
    first = True
    for group in snapshot["groups"]:
        members = [i for i in group["ids"] if i in ids]
        if not members:
            continue
        state = by_identity[members[0]]["state"]
        gdb.write("%s%s: %s (%s)\n" % ("" if first else "\n", _count(len(members)), _ids(members), state))
        first = False
        for number, frame in enumerate(group["frames"] or []):
            gdb.write("#%-2d %s\n" % (number, frame_text(frame)))


class GreenletFind(gdb.Command):
    """List the greenlets of which the name, what they wait for or a function on their stack matches.
Usage: greenlet find REGEX

Short for `info greenlets -with REGEX`.

Example:
  (gdb) greenlet find read_line"""

    def __init__(self):
        super().__init__("greenlet find", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        pattern = argument.strip()
        if not pattern:
            raise gdb.GdbError("Usage: greenlet find REGEX")
        _pattern(pattern)
        gdb.execute("info greenlets -with '%s'" % pattern.replace("'", "'\\''"))


class GreenletGroups(gdb.Command):
    """Show equal stacks once, with the greenlets that have them; most first.
Usage: greenlet groups

Example:
  (gdb) greenlet groups"""

    def __init__(self):
        super().__init__("greenlet groups", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        gdb.execute("info greenlets -group")


class GreenletWaits(gdb.Command):
    """Show what greenlets wait for, and who waits for whom.
Usage: greenlet waits

Greenlets that wait for each other in a circle come first: they will never go on.

Example:
  (gdb) greenlet waits"""

    def __init__(self):
        super().__init__("greenlet waits", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        shown = _selection.engine().snapshot(FRAMES | SYMBOLS | WAITS)
        greenlets = {g["id"]: g for g in shown["greenlets"]}
        for cycle in shown["cycles"]:
            gdb.write("deadlock: %s\n" % " waits for ".join(label(greenlets[i]) for i in cycle + cycle[:1]))
        told = 0
        for group in shown["waits"]:
            members = [label(greenlets[i]) for i in group["ids"]]
            told += len(members)
            what = group["detail"] or "%s %s" % (group["kind"], group["value"])
            if len(members) == 1:
                gdb.write("greenlet %s waits for %s\n" % (members[0], what))
            else:
                gdb.write("%s wait for %s\n    %s\n" % (_count(len(members)), what, _ids(members)))
        asleep = sum(g["state"] in ("suspended", "orphaned") for g in greenlets.values())
        if asleep > told:
            gdb.write("%s asleep: what for is not known\n" % _count(asleep - told))
