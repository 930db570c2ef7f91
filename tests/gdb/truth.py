"""Inside GDB: what `bt -full` says of each greenlet when it really switches out, compared with what it says later.

The truth is taken where the runtime is about to leave the greenlet, while its stack is still the thread's own. Level 0
is coppice_depart there and the hidden frame later; level 1 is the switch, at another instruction; from level 2 on every
line must be equal.
"""

import json
import re

import gdb

_FRAME = re.compile(r"^#(\d+)\s")
_ARGUMENTS = re.compile(r" \([^()]*\)(?= at )")


def prepare():
    for setting in ("pagination off", "confirm off", "width 0", "height 0", "print elements 100",
                    "debuginfod enabled off"):
        gdb.execute("set " + setting)
    # Handles print their greenlet's state, which is not the stack's.
    gdb.execute("disable pretty-printer .* coppice", to_string=True)


def frames(text):
    """{level: [line, ...]} of a `bt -full`."""
    result, level = {}, None
    for line in text.splitlines():
        found = _FRAME.match(line)
        if found:
            level = int(found.group(1))
            result[level] = []
        if level is not None and line.strip():
            result[level].append(line.rstrip())
    return result


def backtrace():
    return gdb.execute("bt -full -no-filters", to_string=True)


def comparable(text):
    """The lines that must be equal. Of the runtime's own frames only the first, without arguments: their locals lead to
    the thread's state, which has moved on, and what a caller-saved register held is lost in the switch."""
    lines = []
    for level, frame in frames(text).items():
        if level >= 2:
            lines += [_ARGUMENTS.sub("", frame[0])] if "/runtime/src/" in frame[0] else frame
    return lines


def renumbered(text):
    """Of a greenlet that is shown as a thread: it begins with the switch itself, which is level 1 in the truth."""
    return re.sub(r"^#(\d+) *", lambda found: "#%-3d" % (int(found.group(1)) + 1), text, flags=re.MULTILINE)


class Recorder(gdb.Breakpoint):
    """Notes the truth at every switch-out; the last one of each greenlet counts."""

    def __init__(self):
        super().__init__("*coppice_depart", internal=True)
        self.truth = {}
        self.taken = 0

    def stop(self):
        state = "((coppice::internal::ThreadState*)$rdi)"
        identifier = str(int(gdb.parse_and_eval(state + "->current->id")))
        self.truth[identifier] = backtrace()
        self.taken += 1
        return False

    def save(self, path):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.truth, file)


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


class Count:
    """Failures are told at once and make the exit status."""

    def __init__(self):
        self.checks = self.failures = 0

    def check(self, good, what):
        self.checks += 1
        if not good:
            self.failures += 1
            print("FAILED: %s" % what)
        return good

    def equal(self, got, wanted, what):
        return self.check(got == wanted, "%s: got %r, wanted %r" % (what, got, wanted))

    def finish(self, least):
        """Ends GDB, and with it what it runs. `least`: fewer checks than these are a failure too."""
        self.check(self.checks >= least, "fewer than %d checks" % least)
        print("%d checks, %d failed" % (self.checks, self.failures))
        gdb.execute("quit %d" % (1 if self.failures else 0))


def says(count, command, *patterns):
    """Checks that a command's output has lines like these; returns it."""
    text = gdb.execute(command, to_string=True)
    for pattern in patterns:
        count.check(re.search(pattern, text, re.MULTILINE), "%s does not say %s but:\n%s" % (command, pattern, text))
    return text


def refuses(count, command, pattern):
    """Checks that a command fails with a message like this."""
    try:
        text = gdb.execute(command, to_string=True)
        count.check(False, "%s was not refused but said:\n%s" % (command, text))
    except gdb.error as problem:
        count.check(re.search(pattern, str(problem)), "%s: %s" % (command, problem))


def snapshot():
    import coppice_gdb
    return coppice_gdb._selection.engine().snapshot(3)


def forget():
    """The library reads everything anew."""
    import coppice_gdb
    coppice_gdb._selection.engine().forget()


def stackful():
    """The greenlets that have a stack and do not run."""
    return [g for g in snapshot()["greenlets"] if g["state"] in ("suspended", "orphaned")]


def the(name, thread=1):
    """The id of the greenlet with that name which belongs to that thread (of those with equal names)."""
    import coppice_gdb
    selection = coppice_gdb._selection
    return next(g["id"] for g in snapshot()["greenlets"] if g["name"] == name and
                (selection.thread_of(g) is None or selection.thread_of(g).num == thread))


def last_name(function):
    """The identifier that names a function, however its scopes, parameters, template arguments, clones and aliases
    are written: libdw's names and GDB's differ in all of those."""
    from coppice_gdb.names import without_parameters
    text = without_parameters(re.sub(r" \[clone .*", "", function or "??"))
    if text.endswith(">") and not text.endswith("operator>"):
        depth = 0
        for at in range(len(text) - 1, -1, -1):
            depth += {">": 1, "<": -1}.get(text[at], 0)
            if depth == 0:
                text = text[:at]
                break
    text = text.split("::")[-1].split("@")[0]
    return re.sub(r"^(__GI)?_+(?=[a-z])|_impl$", "", text)


def physical(pairs):
    """Without the inlined frames, which repeat the pc of the frame they are in: the outermost of each run of pcs."""
    result = []
    for pc, name in pairs:
        if result and result[-1][0] == pc:
            result[-1] = (pc, name)
        else:
            result.append((pc, name))
    return result


def compare(count, truth):
    """Selects every greenlet and compares: bt -full with the truth, pcs and names with the library's own frames."""
    lines = different = greenlets = 0
    for greenlet in stackful():
        identifier = greenlet["id"]
        if not count.check(identifier in truth, "greenlet %s never switched out" % identifier):
            continue
        gdb.execute("greenlet " + identifier, to_string=True)
        got, wanted = comparable(backtrace()), comparable(truth[identifier])
        greenlets += 1
        lines += len(wanted)
        for number in range(max(len(got), len(wanted))):
            pair = [x[number] if number < len(x) else "<nothing>" for x in (got, wanted)]
            if pair[0] != pair[1]:
                different += 1
                print("greenlet %s, line %d:\n  got    %s\n  wanted %s" % (identifier, number, *pair))
        _compare_with_library(count, greenlet)
    print("%d greenlets, %d lines compared, %d differ" % (greenlets, lines, different))
    count.check(different == 0, "%d lines differ" % different)
    count.check(greenlets >= 7 and lines >= 20 * greenlets, "too little compared")


def _compare_with_library(count, greenlet):
    ours = physical([(int(f["pc"], 16), last_name(f["function"])) for f in greenlet["frames"]])
    for what in ("main", "entry"):  # where GDB stops for convenience
        gdb.execute("set backtrace past-%s on" % what)
    gdbs, frame = [], gdb.newest_frame().older()
    while frame is not None:
        gdbs.append((frame.pc(), last_name(frame.name())))
        frame = frame.older()
    for what in ("main", "entry"):
        gdb.execute("set backtrace past-%s off" % what)
    gdbs = physical(gdbs)
    count.equal(["%#x %s" % p for p in ours], ["%#x %s" % p for p in gdbs],
                "greenlet %s: the library's frames and GDB's" % greenlet["id"])
