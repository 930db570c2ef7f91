"""Inside GDB, for check_gdb_python: what printers and python3-dbg's commands say of greenlets, against what they said of
themselves."""
import json
import os
import re

import gdb

import coppice_gdb

checks = failures = 0


def check(good, what):
    global checks, failures
    checks += 1
    if not good:
        failures += 1
        print("FAILED: %s" % what)


def output(command):
    """What a command says, or why it does not."""
    try:
        return gdb.execute(command, to_string=True)
    except gdb.error as problem:
        return "<%s>" % problem


def printers(greenlets):
    """*(PyGreenlet*) shows the greenlet with its frames, pointers to it one line, other objects are left alone."""
    gdb.execute("add-symbol-file %s 0x100" % os.environ["TYPES"], to_string=True)
    for identity, greenlet in greenlets.items():
        first = r"greenlet %s, %s(, waiting for [^\n]*)?" % (identity, greenlet["state"])
        text = output("print *(PyGreenlet*)%s" % identity)
        asleep = greenlet["state"] in ("suspended", "orphaned")
        check(re.match(r"\$\d+ = %s%s" % (first, r" = \{#0 = " if asleep and greenlet["python"] else ""), text), text)
        for function, file, line, _ in (greenlet["python"] or []) if asleep else []:
            check("%s at %s:%d" % (function, os.path.basename(file), line) in text, "%s is not in %s" % (function, text))
        for kind in ("PyGreenlet*", "PyObject*"):
            text = output("print (%s)%s" % (kind, identity))
            check(re.match(r"\$\d+ = %s$" % first, text.strip()), "%s: %s" % (kind, text))
    # A type is an object too, but no greenlet; neither is anything at a bad address.
    for expression in ("(PyObject*)((PyObject*)%s)->ob_type" % next(iter(greenlets)), "(PyObject*)0", "(PyObject*)8"):
        text = output("print " + expression)
        check(re.match(r"\$\d+ = \(PyObject \*\) 0x", text), text)
    check("weakreflist = " in output("print/r *(PyGreenlet*)%s" % next(iter(greenlets))), "print/r")
    check(len(re.findall("^  coppice-python$", output("info pretty-printer global coppice-python$"), re.MULTILINE)) == 1, "global printers")
    check("coppice-python" in output("info pretty-printer .*/python3 coppice-python$"), "the interpreter's own printers")
    output("disable pretty-printer .* coppice-python")
    check("weakreflist = " in output("print *(PyGreenlet*)%s" % next(iter(greenlets))), "a printer that is switched off")


def helper(greenlets):
    """py-bt, py-list, py-locals after `greenlet ID`, of whole stacks: python3-dbg knows only the frames of Python."""
    gdb.execute("source " + os.environ["HELPER"])
    compared = 0
    for identity, greenlet in greenlets.items():
        if greenlet["state"] not in ("suspended", "orphaned") or not greenlet["python"]:
            continue
        gdb.execute("greenlet " + identity, to_string=True)
        wanted = [(file, line, function.rsplit(".", 1)[-1]) for function, file, line, _ in greenlet["python"]]
        text = output("py-bt")
        found = re.findall(r'^  File "(.*)", line (\d+|\?), in (.*)$', text, re.MULTILINE)
        check(len(found) == len(wanted), "py-bt of %s has %d frames, not %d" % (identity, len(found), len(wanted)))
        for (file, line, function), pair in zip(found, wanted):
            # "?": python3-dbg cannot read the line table of some modules' own code.
            line = pair[1] if line == "?" and function == "<module>" else int(line.replace("?", "0"))
            check((file, line, function) == pair, "py-bt of %s: %r, not %r" % (identity, (file, line, function), pair))
        text = output("py-list")
        check(re.search(r"^ *>%d " % wanted[0][1], text, re.MULTILINE), "py-list of %s: %s" % (identity, text))
        text = output("py-locals")
        for _ in range(4):
            if text.startswith("Unable to read information on python frame"):  # as on a thread that is in a function of C
                output("py-up")
                text = output("py-locals")
        check(("Locals for %s\n" % wanted[0][2]) in text, "py-locals of %s: %s" % (identity, text))
        check(greenlet["main"] or "<greenlet %s began here>" % identity in output("bt"), "bt of " + identity)
        pointer = output("print (PyObject*)" + identity)
        check(" = greenlet %s, %s" % (identity, greenlet["state"]) in pointer, pointer)
        compared += len(wanted)
    check(compared >= 100, "only %d Python frames compared" % compared)
    print("%d Python frames compared" % compared)


for setting in ("pagination off", "width 0", "print elements 0"):
    gdb.execute("set " + setting)
with open(os.environ["EXPECTED"], encoding="utf-8") as file:
    expected = {g["id"]: g for g in json.load(file)["greenlets"]}
{"printers": printers, "helper": helper}[os.environ["SCENARIO"]](expected)
check(checks >= 150, "fewer than 150 checks")
print("%d checks, %d failed" % (checks, failures))
coppice_gdb._selection.deselect()
gdb.execute("detach")
gdb.execute("quit %d" % (1 if failures else 0))
