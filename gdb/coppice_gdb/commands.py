"""`greenlet` and `greenlet apply`: the commands that choose. Those that list are in listing.py."""

import re

import gdb

from .names import label
from .overlay import quietly
from .selection import by_id

_selection = None


def install(selection):
    """Registers the commands. Once per GDB."""
    global _selection
    _selection = selection
    GreenletCommand()
    GreenletApply()


def find(text):
    """The greenlet that an id, a 0xADDRESS, a name or an expression with $ means. GdbError when there is none, or more
    than one."""
    greenlets = _selection.engine().snapshot()["greenlets"]
    text = text.strip().strip('"')
    if not greenlets:
        raise gdb.GdbError("This program has no greenlets.")
    if text.startswith("$"):
        value = gdb.parse_and_eval(text)
        if value.type.code == gdb.TYPE_CODE_VOID:
            raise gdb.GdbError("%s is void: it names no greenlet." % text)
        number = int(value)
        text = next((g["id"] for g in greenlets if int(g["id"], 0) == number), str(number))
    for key in ("id", "address", "name"):
        wanted = text
        if key == "address" and re.fullmatch(r"0[xX][0-9a-fA-F]+", text):
            wanted = "0x%x" % int(text, 16)
        found = [g for g in greenlets if g[key] == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            raise gdb.GdbError('%d greenlets are named "%s": %s.'
                               % (len(found), text, ", ".join(g["id"] for g in by_id(found)[:10])))
    raise gdb.GdbError("No greenlet %s: `info greenlets` lists ids, names and addresses are accepted too." % text)


def find_all(words):
    """The greenlets that words mean: ids, ranges of ids (3-7), addresses, names, or all of them by "all"."""
    everyone = by_id(_selection.engine().snapshot()["greenlets"])
    chosen = []
    for word in words:
        bounds = re.fullmatch(r"(\d+)-(\d+)", word)
        if word == "all":
            chosen += everyone
        elif bounds:
            low, high = int(bounds.group(1)), int(bounds.group(2))
            inside = [g for g in everyone if low <= int(g["id"], 0) <= high]
            if not inside:
                raise gdb.GdbError("No greenlet has an id from %d to %d." % (low, high))
            chosen += inside
        else:
            chosen.append(find(word))
    return chosen


def complete(text, word):
    """Ids and names that begin with the word; None for a word, where GDB only asks how words are told apart."""
    if word is None:
        return gdb.COMPLETE_NONE
    try:
        greenlets = by_id(_selection.engine().snapshot()["greenlets"])
    except (gdb.error, gdb.GdbError):
        return gdb.COMPLETE_NONE
    names = [g["id"] for g in greenlets] + [g["name"] for g in greenlets if g["name"]]
    return [name for name in names if name.startswith(word)]


def thread_text(greenlet):
    """1 (LWP 812)"""
    if greenlet["tid"] is None:
        return "-"
    thread = _selection.thread_of(greenlet)
    return "%s(LWP %d)" % ("%d " % thread.num if thread else "", greenlet["tid"])


class GreenletCommand(gdb.Command):
    """Select a greenlet, or tell which one is current.
Usage: greenlet [ID | NAME | 0xADDRESS]

Afterwards bt, up, down, frame, info locals, print and so on show that greenlet, while it sleeps, without changing
the program. The thread it belongs to is selected too. `thread N`, and every command that lets the program run,
end the selection.

Examples:
  (gdb) greenlet 7
  (gdb) bt"""

    def __init__(self):
        super().__init__("greenlet", gdb.COMMAND_STACK, prefix=True)

    def complete(self, text, word):
        return complete(text, word)

    def invoke(self, argument, from_tty):
        if argument:
            _selection.select(find(argument))
            self._tell("Switching to greenlet")
            gdb.execute("frame")
        else:
            self._tell("Current greenlet is")

    def _tell(self, what):
        greenlet = _selection.current()
        if greenlet is None:
            raise gdb.GdbError("The selected thread runs no greenlet.")
        thread = "thread " + thread_text(greenlet)
        if greenlet["state"] == "orphaned":
            thread = "its thread has exited: registers and thread-local variables are those of thread %d" % (
                gdb.selected_thread().num)
        gdb.write("[%s %s (%s), %s]\n" % (what, label(greenlet), greenlet["state"], thread))


class GreenletApply(gdb.Command):
    """Apply a command to greenlets.
Usage: greenlet apply (all | ID | NAME | 0xADDRESS | FIRST-LAST)... [-q] [-c | -s] COMMAND

-q leaves out the headings; -c tells errors and goes on; -s goes on and shows nothing where it failed.
Greenlets without a stack (unstarted, finished) are passed over by "all".

Examples:
  (gdb) greenlet apply all bt 3
  (gdb) greenlet apply 4-6 9 -q info locals"""

    def __init__(self):
        super().__init__("greenlet apply", gdb.COMMAND_STACK)

    def complete(self, text, word):
        return complete(text, word)

    def invoke(self, argument, from_tty):
        chosen, flags, command = self._parse(argument)
        before = (gdb.selected_thread(), gdb.selected_frame().level(), _selection.selected)
        try:
            for greenlet in chosen:
                self._apply(greenlet, flags, command)
        finally:
            self._put_back(*before)

    def _parse(self, argument):
        rest = argument.strip()
        words, flags = [], set()
        while rest:
            word = rest.split(None, 1)[0]
            if word in ("-q", "-c", "-s"):
                flags.add(word)
            elif flags or not (word == "all" or re.match(r"[\d$]", word) or self._is_name(word)):
                break
            else:
                words.append(word)
            rest = rest[len(word):].lstrip()
        if not words or not rest:
            raise gdb.GdbError("Usage: greenlet apply (all | ID...) [-q] [-c | -s] COMMAND")
        if "-c" in flags and "-s" in flags:
            raise gdb.GdbError("-c and -s exclude each other.")
        chosen = find_all(words)
        if "all" in words:
            chosen = [g for g in chosen if g["state"] not in ("unstarted", "finished")]
        return chosen, flags, rest

    def _is_name(self, word):
        return any(g["name"] == word for g in _selection.engine().snapshot()["greenlets"])

    def _apply(self, greenlet, flags, command):
        heading = "" if "-q" in flags else "\nGreenlet %s (%s):\n" % (label(greenlet), greenlet["state"])
        try:
            _selection.select(greenlet)
            text = gdb.execute(command, to_string=True)
        except gdb.error as problem:
            if "-s" in flags:
                return
            gdb.write(heading)
            if "-c" not in flags:
                raise
            text = "%s\n" % problem
        else:
            gdb.write(heading)
        gdb.write(text)

    def _put_back(self, thread, level, selected):
        _selection.deselect()
        if selected is not None:
            _selection.select(selected.greenlet)
        elif thread is not None and thread.is_valid():
            thread.switch()
        with_level = "frame %d" % level
        try:
            quietly(with_level)
        except gdb.error:
            pass
