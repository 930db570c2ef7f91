"""What the commands and the pretty-printers say, and how they refuse."""

import os
import re
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import truth  # noqa: E402

count = truth.Count()


def says(command, *patterns):
    return truth.says(count, command, *patterns)


def refuses(command, pattern):
    truth.refuses(count, command, pattern)


for setting in ("pagination off", "confirm off", "width 0", "height 0", "debuginfod enabled off"):
    gdb.execute("set " + setting)
refuses("info greenlets", "^There is no process and no core file")
refuses("greenlet 3", "^There is no process and no core file")
gdb.execute("tbreak main")
gdb.execute("run > /dev/null", to_string=True)
says("info greenlets", r"^No greenlets\.$")
refuses("greenlet", "runs no greenlet")
refuses("greenlet 1", "has no greenlets")
gdb.execute("tbreak zoo_checkpoint")
gdb.execute("continue", to_string=True)

# The list.
ids = {name: truth.the(name) for name in ("deep-5", "sorter", "unstarted", "finished", "orphan")}
main = next(g["id"] for g in truth.snapshot()["greenlets"] if g["state"] == "running" and
            g["tid"] == gdb.selected_inferior().pid)
table = says("info greenlets",
             r"^  Id +Name +State +Thread +Waiting for +Frame$",
             r"^\* %s +running \(main\) +1 \(LWP \d+\) +zoo_checkpoint at gdb_zoo\.cpp:\d+$" % main,
             r'^  %s +deep-5 +suspended +1 \(LWP \d+\) +\(anonymous namespace\)::pause_here at gdb_zoo\.cpp:\d+$'
             % ids["deep-5"],
             r"^  %s +sorter +suspended +1 \(LWP \d+\) fd 5 +" % ids["sorter"],
             r"^  %s +unstarted unstarted" % ids["unstarted"],
             r"^  %s +finished +finished" % ids["finished"],
             r"^  %s +orphan +orphaned +- +\(anonymous" % ids["orphan"])
numbers = [int(line[2:].split()[0]) for line in table.splitlines()[1:]]
count.equal(numbers, sorted(numbers), "the order of the list")
count.equal(len(numbers), len(truth.snapshot()["greenlets"]), "the length of the list")
count.equal(len(says("info greenlets %s %s" % (ids["sorter"], ids["orphan"])).splitlines()), 3, "a list of two")
count.equal(len(says("info greenlets 2-4").splitlines()), 4, "a list of a range")

count.equal(len(says("info greenlets -state orphaned").splitlines()), 2, "a list of orphans")
says("info greenlets -with pausing_compare", r"^  %s +sorter " % ids["sorter"])
count.check("sorter" not in gdb.execute("info greenlets -without pausing_compare", to_string=True), "-without")
count.check("orphan" not in says("info greenlets -thread 1", "sorter"), "-thread 1 lists an orphan")
says("info greenlets -with no_such_function", r"^No greenlets\.$")
says("greenlet find ^sort", r"^  %s +sorter " % ids["sorter"])
says("greenlet groups", r"^\d+ greenlets?: .*%s.* \(suspended\)$" % ids["deep-5"], r"^#\d+ .*descend at gdb_zoo\.cpp:\d+$")
grouped = gdb.execute("greenlet groups", to_string=True)
count.equal(sum(int(n) for n in re.findall(r"^(\d+) greenlets?: ", grouped, re.MULTILINE)), len(truth.snapshot()["greenlets"]),
            "greenlets in groups")
says("info greenlets -group -state orphaned", r"^1 greenlet: %s \(orphaned\)$" % ids["orphan"])
says("greenlet waits", r'^(greenlet %s "sorter" waits for|\d+ greenlets wait for) fd 5$' % ids["sorter"], r"asleep: what for is not known$")
refuses("info greenlets -with", "^-with wants something after it")
refuses("info greenlets -state tired", "^No state tired: there are unstarted, ")
refuses("info greenlets -thread 99", r"^No thread 99\.")
refuses("info greenlets -odd", "^No option -odd")
refuses("info greenlets -with (", r"^\( is no regular expression: ")
refuses("greenlet find", "^Usage: greenlet find")

# Choosing one.
says("greenlet", r'^\[Current greenlet is %s \(running\), thread 1 \(LWP \d+\)\]$' % main)
says("greenlet %s" % ids["deep-5"], r'^\[Switching to greenlet %s "deep-5" \(suspended\), thread 1 \(LWP \d+\)\]$'
     % ids["deep-5"], r"^#\d+ .*pause_here")
says("info greenlets", r"^\* %s +deep-5" % ids["deep-5"], r"^  %s +running" % main)
innermost = gdb.selected_frame().level()
says("bt", r"^#%d .*pause_here" % innermost, r"descend \(depth=", r"coppice_entry")
count.check(not re.search(r"^#0", gdb.execute("bt", to_string=True), re.MULTILINE), "bt shows the hidden frame")
says("up 3")
says("frame", r"^#%d .*descend" % (innermost + 3))
says("info locals", "^mine = ", "^point = ") if "O0" in gdb.current_progspace().filename else None
says("greenlet", r'^\[Current greenlet is %s "deep-5"' % ids["deep-5"])
address = next(g["address"] for g in truth.snapshot()["greenlets"] if g["id"] == ids["sorter"])
says("greenlet " + address, '"sorter"')
says("bt", "pausing_compare", "msort_with_tmp|qsort", "sorted")
says("greenlet orphan", r"its thread has exited: registers and thread-local variables are those of thread \d")
says("bt", "descend", "coppice_entry")
refuses("greenlet deep-5", '^2 greenlets are named "deep-5": ')
refuses("greenlet 4711", "^No greenlet 4711")
refuses("greenlet nobody", "^No greenlet nobody")
refuses("greenlet unstarted", "is unstarted: it has no stack")
refuses("greenlet finished", "is finished: it has no stack")
refuses("info greenlets 1 4711", "^No greenlet 4711")
says("greenlet", '"orphan"')  # what was refused changed nothing

# Applying.
text = says("greenlet apply %s %s bt 3" % (ids["sorter"], ids["deep-5"]), r'^Greenlet %s "sorter" \(suspended\):$'
            % ids["sorter"])
count.equal(text.count("pause_here"), 2, "frames by apply")
says("greenlet", '"orphan"')
everyone = says("greenlet apply all -q bt 1")
count.check("Greenlet" not in everyone, "-q has headings")
count.equal(len(re.findall(r"^#\d+ ", everyone, re.MULTILINE)), len(truth.stackful()) + 2, "frames by apply all")
says("greenlet apply 1-3 -s print no_such_symbol")
says("greenlet apply 2-3 -c print no_such_symbol", r'No symbol "no_such_symbol" in current context\.$')
refuses("greenlet apply 2-3 print no_such_symbol", "No symbol")
refuses("greenlet apply all", "^Usage: greenlet apply")
refuses("greenlet apply bt", "^Usage: greenlet apply")

# Help and completion.
for command in ("info greenlets", "greenlet", "greenlet apply", "greenlet find", "greenlet groups", "greenlet waits"):
    says("help " + command, "Usage: " + command, r"Example.*:\n +\(gdb\) ")
says("complete info greenlets sor", "^info greenlets sorter$")
says("complete greenlet sor", "^greenlet sorter$")
says("complete greenlet apply sor", "^greenlet apply sorter$")
says("complete info greenlets orp", "^info greenlets orphan$")

# Pretty-printers, also where GDB is in the midst of printing frames.
says("thread 1")
says("up")
says("frame", "^#1 .* main ")
says("print *(zoo._M_impl._M_start + 3)", r'= greenlet %s "sorter", suspended, waiting for fd 5 = \{#0 = coppice_switch_stacks at ' % ids["sorter"],
     r"#\d+ = .*pausing_compare at gdb_zoo\.cpp:\d+")
says("print unstarted", r'= greenlet %s "unstarted", unstarted$' % ids["unstarted"])
says("print finished", r'= greenlet %s "finished", finished$' % ids["finished"])
says("print outer", r"= (no greenlet|greenlet at 0x[0-9a-f]+ \(not one of this program's\))$")  # not yet constructed
gdb.set_convenience_variable("empty", gdb.Value(bytes(8), gdb.lookup_type("coppice::Greenlet")))
says("print $empty", "= no greenlet$")
gdb.execute("break zoo_checkpoint if number == 3")
gdb.execute("continue", to_string=True)
says("greenlet outer")
says("bt", r'deeper \(shallow=(<optimized out>|greenlet \d+ "shallow", running( = .*)?)\)')
gdb.execute("delete")
gdb.execute("tbreak deeper")
gdb.execute("kill")
gdb.execute("run > /dev/null", to_string=True)
says("bt 1", r'deeper \(shallow=greenlet \d+ "shallow", suspended = ')
count.finish(65)
