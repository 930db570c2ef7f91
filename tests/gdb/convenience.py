"""$_greenlet and its like in expressions, conditions and scripts. `prompts` raises the event of a prompt: a script has none."""

import os
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import truth  # noqa: E402

count = truth.Count()


def void(name):
    return gdb.parse_and_eval(name).type.code == gdb.TYPE_CODE_VOID


def value(expression):
    found = gdb.parse_and_eval(expression)
    return None if found.type.code == gdb.TYPE_CODE_VOID else int(found)


def state(which):
    return gdb.parse_and_eval("$_greenlet_state(%s)" % which).string()


def selection():
    import coppice_gdb
    return coppice_gdb._selection


def variables():
    """What keeps the variables, found among the listeners of the selection."""
    return selection().on_change.__self__


def prompt():
    variables().refresh()


truth.prepare()
count.check(void("$_greenlet") and void("$_greenlet_count"), "variables without a program")
truth.refuses(count, "print $_greenlet_id()", "^There is no process and no core file")
truth.refuses(count, "print $_greenlet_state(1)", "^There is no process and no core file")
prompt()
count.check(void("$_greenlet"), "a prompt without a program")
gdb.execute("tbreak main")
gdb.execute("run > /dev/null", to_string=True)
prompt()
count.check(void("$_greenlet"), "no greenlet runs yet")
count.equal((value("$_greenlet_count"), value("$_greenlet_id()"), value("$_greenlet_total()")), (0, 0, 0), "without greenlets")

# At a stop: void until a prompt, right at once by the functions.
gdb.execute("tbreak zoo_checkpoint if number == 3")
gdb.execute("continue", to_string=True)
count.check(void("$_greenlet") and void("$_greenlet_count"), "variables before a prompt")
everyone = truth.snapshot()["greenlets"]
total = len(everyone)
shallow = next(int(g["id"]) for g in everyone if g["name"] == "shallow")
count.equal(value("$_greenlet_id()"), shallow, "$_greenlet_id()")
count.equal(value("$_greenlet_total()"), total, "$_greenlet_total()")
selection().forget()
count.check(void("$_greenlet"), "what was read is forgotten")
prompt()
count.equal((value("$_greenlet"), value("$_greenlet_count")), (shallow, total), "at a prompt")
for greenlet in everyone:
    count.equal(state(greenlet["id"]), greenlet["state"], "state of " + greenlet["id"])
    count.equal(state(greenlet["address"]), greenlet["state"], "state of " + greenlet["address"])
count.equal(state('"orphan"'), "orphaned", "state by name")
count.equal(state('"deep-5"'), "ambiguous", "state by a name of several")
count.equal((state("4711"), state('"nobody"')), ("none", "none"), "state of none")
count.equal(value('$_streq($_greenlet_state($_greenlet), "running")'), 1, "state in an expression")

# A selection, another thread.
gdb.execute("greenlet " + truth.the("deep-5"), to_string=True)
count.equal(value("$_greenlet"), int(truth.the("deep-5")), "a selected greenlet")
count.equal((value("$_greenlet_id()"), value("$_greenlet_count")), (int(truth.the("deep-5")), total), "with a selection")
truth.says(count, "greenlet $_greenlet + 1", r"^\[Switching to greenlet %d " % (int(truth.the("deep-5")) + 1))
truth.says(count, "greenlet apply $_greenlet bt 1", r"^Greenlet %d " % (int(truth.the("deep-5")) + 1))
count.equal(value("$_greenlet"), int(truth.the("deep-5")) + 1, "after greenlet apply")
gdb.execute("thread 2", to_string=True)
count.check(value("$_greenlet") in (None, 1), "another thread's greenlet: %s" % value("$_greenlet"))
prompt()
count.equal((value("$_greenlet"), value("$_greenlet_id()")), (1, 1), "thread 2")
gdb.execute("thread 1", to_string=True)
count.check(value("$_greenlet") in (None, shallow), "thread 1 before a prompt: %s" % value("$_greenlet"))
gdb.execute("greenlet %d" % shallow, to_string=True)
count.equal(value("$_greenlet"), shallow, "a running greenlet, chosen")
truth.refuses(count, "greenlet $no_such_variable", r"^\$no_such_variable is void: it names no greenlet\.$")
truth.refuses(count, "greenlet 4711 + $_greenlet", "^No greenlet 4711")

# Running on makes them void, never old; conditions see the moment.
gdb.execute("next", to_string=True)
count.check(void("$_greenlet") and void("$_greenlet_count"), "variables after a step")
gdb.execute("kill")
prompt()
count.check(void("$_greenlet") and void("$_greenlet_count"), "variables after the end")
for condition, number in (("$_greenlet_id() == %d" % (shallow - 1), 2), ('$_streq($_greenlet_state("nested"), "finished")', 3),
                          ("$_greenlet_total() == %d" % total, 3)):
    gdb.execute("delete")
    gdb.execute("break zoo_checkpoint if " + condition)
    gdb.execute("run > /dev/null", to_string=True)
    count.equal(value("number"), number, "where `if %s` stops" % condition)
    count.check(void("$_greenlet"), "a condition left the variables set")

# In the view a thread stands for its greenlet.
gdb.execute("greenlet view", to_string=True)
sleeper = next(t for t in gdb.selected_inferior().threads() if '"greenlet %s ' % truth.the("deep-12") in
               gdb.execute("info threads %d.%d" % (t.inferior.num, t.num), to_string=True))
sleeper.switch()
prompt()
count.equal((value("$_greenlet"), value("$_greenlet_id()")), (int(truth.the("deep-12")),) * 2, "a thread of the view")
gdb.execute("inferior 1", to_string=True)
prompt()
count.equal(value("$_greenlet"), shallow, "back from the view")

# The setting.
truth.says(count, "show greenlet variables", r"are kept at every prompt: auto\.$")
gdb.execute("set greenlet variables off")
selection().forget()
prompt()
count.check(void("$_greenlet"), "kept although off")
gdb.execute("info greenlets 1", to_string=True)
prompt()
count.equal(value("$_greenlet"), shallow, "what another command has read is taken")
gdb.execute("set greenlet variables auto")
variables()._first = False
import coppice_gdb.convenience  # noqa: E402
coppice_gdb.convenience._BUDGET = 0.0
selection().forget()
prompt()
count.equal(value("$_greenlet"), shallow, "the prompt at which it was too slow")
selection().forget()
prompt()
count.check(void("$_greenlet"), "read again although it was too slow")
gdb.execute("set greenlet variables on")
prompt()
count.equal(value("$_greenlet"), shallow, "read all the same")
truth.refuses(count, "set greenlet variables sometimes", "^Undefined item: ")
for name in ("_greenlet_id", "_greenlet_total", "_greenlet_state"):
    truth.says(count, "help function " + name, r"\$%s\(" % name, r"Example:\n +\(gdb\) ")
truth.says(count, "help set greenlet variables", r"Example:\n +\(gdb\) set greenlet variables on")
count.finish(80)
