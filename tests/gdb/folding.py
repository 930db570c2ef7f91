"""What bt leaves out of a selected greenlet, against `bt -no-filters`: by the files that frames are in, not by names."""

import os
import re
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import truth  # noqa: E402

count = truth.Count()
REMARK = re.compile(r' <greenlet (.*) began here>')
# Of a frame without line information GDB's own bt says the library with "from", its frame filters with "at".
LIBRARY = re.compile(r" from (?=/\S+$)")
# The runtime's own files, and those of the C++ library through which it calls what a greenlet was given.
OWN = re.compile(r" at \S*(/runtime/(src|include)/|/bits/(std_function|invoke)\.h:)")


def numbered(text):
    """{level: line} of a backtrace without variables."""
    return {int(re.match(r"#(\d+)", line).group(1)): LIBRARY.sub(" at ", line) for line in text.splitlines() if line.startswith("#")}


def place(line):
    """A frame's number, pc and line, without the function: GDB's own bt leaves parameters at some names."""
    return line and (line.split()[0:2], line.rsplit(" at ", 1)[-1])


def raw():
    """All frames that are the greenlet's."""
    lines = numbered(gdb.execute("bt -no-filters", to_string=True))
    bridge = selected().bridge.level
    return {level: line for level, line in lines.items() if level > bridge}


def selected():
    import coppice_gdb
    return coppice_gdb._selection.selected


truth.prepare()
truth.says(count, "show greenlet raw-frames", r"^Backtraces .* show the frames of the switch: off\.$")
truth.says(count, "show greenlet", r"the frames of the switch: off\.$")
gdb.execute("break zoo_checkpoint if number == 3")
gdb.execute("run > /dev/null", to_string=True)
folded = 0
for greenlet in truth.stackful():
    identifier = greenlet["id"]
    gdb.execute("greenlet " + identifier, to_string=True)
    chosen = gdb.selected_frame().level()
    everything, shown = raw(), numbered(gdb.execute("bt", to_string=True))
    folded += len(everything) - len(shown)
    count.equal(chosen, min(shown), "the frame that `greenlet %s` selects" % identifier)
    outermost = max(everything)
    for level, line in everything.items():
        own = bool(OWN.search(line))
        if level == outermost and not greenlet["main"]:
            named = REMARK.search(shown.get(level, ""))
            who = identifier + (' "%s"' % greenlet["name"] if greenlet["name"] else "")
            count.check(named and named.group(1) == who, "the base of %s: %s" % (identifier, shown.get(level)))
            count.check("coppice_entry" in line, "the outermost frame of %s: %s" % (identifier, line))
            continue
        count.equal(level in shown, not own, "whether this is shown: " + line)
        if level in shown:
            count.equal(shown[level], line, "a frame of %s" % identifier)
    # Limits count what is shown; variables and frames by number are there as ever.
    levels = sorted(shown)
    count.equal(sorted(numbered(gdb.execute("bt 2", to_string=True))), levels[:2], "bt 2")
    count.equal(sorted(numbered(gdb.execute("bt -2", to_string=True))), levels[-2:], "bt -2")
    count.equal(sorted(numbered(gdb.execute("bt full", to_string=True))), levels, "bt full")
    hidden = next(level for level in everything if level not in shown)
    gdb.execute("frame %d" % hidden, to_string=True)
    count.equal(gdb.selected_frame().level(), hidden, "a frame that bt leaves out, by its number")
    gdb.execute("frame %d" % levels[-1], to_string=True)
    gdb.execute("set greenlet raw-frames on")
    unfolded = numbered(gdb.execute("bt", to_string=True))
    count.equal(sorted(unfolded), sorted(everything), "the raw frames of " + identifier)
    for level, line in everything.items():
        count.equal(place(unfolded.get(level)), place(line), "a raw frame of " + identifier)
    gdb.execute("greenlet " + identifier, to_string=True)
    count.equal(gdb.selected_frame().level(), selected().bridge.level + 1, "the frame selected with raw frames")
    gdb.execute("set greenlet raw-frames off")
count.check(folded >= 100, "only %d frames left out" % folded)
count.check(REMARK.search(gdb.execute("bt", to_string=True)), "nothing is marked at the end")
gdb.execute("thread 1", to_string=True)
count.check(not REMARK.search(gdb.execute("bt", to_string=True)), "a thread's own backtrace is changed")

# Stacks that are not whole, or nothing but the switch, are shown as they are.
from coppice_gdb import folding  # noqa: E402


class Fake:
    """A frame and its decorator in one."""

    def __init__(self, name):
        self._name = name

    def inferior_frame(self):
        return self

    def name(self):
        return self._name

    def pc(self):
        return 0


def names(*stack, base=None):
    return [f.name() for f in folding.fold([Fake(name) for name in stack], lambda f: f.name() == base)]


count.equal(names("coppice_switch_stacks", "f", "std::function<int ()>::operator()", "coppice_entry", base="coppice_entry"),
            ["f", "coppice_entry"], "a whole stack")
count.equal(names("coppice_switch_stacks", "f", "std::function<int ()>::operator()", "coppice::run"),
            ["f", "std::function<int ()>::operator()", "coppice::run"], "a stack without its end")
count.equal(names("coppice_switch_stacks", "f", "std::function<int ()>::operator()", "g", "coppice_entry", base="coppice_entry"),
            ["f", "std::function<int ()>::operator()", "g", "coppice_entry"], "a call amid the stack")
count.equal(names("coppice_switch_stacks", "coppice_entry", base="coppice_entry"), ["coppice_switch_stacks", "coppice_entry"],
            "nothing but the switch")
count.equal(names(None, "f"), [None, "f"], "a frame without a name")
count.equal(names(), [], "no frames")

# The settings.
truth.refuses(count, "set greenlet raw-frames perhaps", r'^"on" or "off" expected\.$')
truth.refuses(count, "set greenlet nothing", "^No setting nothing: see `help set greenlet`")
truth.refuses(count, "show greenlet nothing", "^No setting nothing: see `help show greenlet`")
truth.says(count, "help set greenlet", "Usage: set greenlet SETTING VALUE", r"^set greenlet raw-frames -- Set ")
truth.says(count, "help show greenlet", r"Usage: show greenlet \[SETTING\]")
truth.says(count, "help set greenlet raw-frames", r"Example:\n +\(gdb\) set greenlet raw-frames on")
truth.says(count, "complete set greenlet r", "^set greenlet raw-frames$")
count.finish(300)
