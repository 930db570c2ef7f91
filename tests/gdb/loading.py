"""The commands are there without a `source`, or the user is told what is missing."""

import os
import re

import gdb

failures = 0


def check(good, what):
    global failures
    if not good:
        failures += 1
        print("FAILED: %s" % what)


gdb.execute("set confirm off")
gdb.execute("tbreak zoo_checkpoint")
gdb.execute("run > /dev/null")
if os.environ.get("COPPICE_INSPECT_LIBRARY") == "/nowhere":
    try:
        gdb.execute("info greenlets")
        check(False, "info greenlets worked without its library")
    except gdb.error as problem:
        check(re.search(r"libcoppice-inspect\.so\.0, which was not found\. Build it .*COPPICE_INSPECT_LIBRARY", str(problem)),
              str(problem))
else:
    check("deep-5" in gdb.execute("info greenlets", to_string=True), "no greenlets are listed")
    shown = gdb.execute("info pretty-printer .* coppice$", to_string=True)
    where = "objfile .*/libcoppice.so" if os.environ.get("ZOO_LOADED_BY_ITSELF") else "global"
    check(re.search("^%s.*pretty-printers:\n  coppice$" % where, shown, re.MULTILINE), shown)
    # Sourced a second time nothing changes.
    gdb.execute("source %s" % os.environ["COPPICE_GDB"])
    gdb.execute("greenlet apply 2-3 bt 1", to_string=True)
    check(gdb.execute("show user hook-return", to_string=True).count("greenlet-guard") == 1, "the hook of return")
    check(gdb.execute("show user hook-step", to_string=True).count("echo mine") == 1, "the user's own hook is gone")
print("%d failed" % failures if failures else "all checked, 0 failed")
gdb.execute("quit %d" % (1 if failures else 0))
