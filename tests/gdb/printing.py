"""What the pretty-printers of the runtime's types say, against the fields that print/r shows."""

import collections
import os
import re
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import truth  # noqa: E402

count = truth.Count()


def printed(expression):
    return gdb.execute("print " + expression, to_string=True).split(" = ", 1)[1].strip()


def number(expression):
    return int(gdb.parse_and_eval(expression))


truth.prepare()
gdb.execute("enable pretty-printer .* coppice", to_string=True)
gdb.execute("set print elements 0")
gdb.execute("break zoo_checkpoint if number == 3")
gdb.execute("run > /dev/null", to_string=True)
everyone = truth.snapshot()["greenlets"]
block = {g["id"]: "((coppice_greenlet*)%s)" % g["address"] for g in everyone}
by_name = {g["name"]: g for g in everyone}

# Control blocks, as handles to them are shown (views.py).
for greenlet in everyone:
    text = printed("*" + block[greenlet["id"]])
    name = ' "%s"' % greenlet["name"] if greenlet["name"] else ""
    count.check(text.startswith("greenlet %s%s, %s" % (greenlet["id"], name, greenlet["state"])), text)
    count.check(greenlet["state"] not in ("suspended", "orphaned") or "{#0 = coppice_switch_stacks at" in text, "no frames: " + text)
count.check(", waiting for fd 5 = {" in printed("*" + block[by_name["sorter"]["id"]]), "what sorter waits for")
count.check(re.search(r"\bid = %s\b" % by_name["sorter"]["id"], printed("/r *" + block[by_name["sorter"]["id"]])), "print/r")
count.check(printed(block["2"]).startswith("(coppice_greenlet *) 0x"), "a pointer is shown as GDB does")
gdb.execute("set var $copy = *" + block["2"])
count.check("greenlet 2" not in printed("$copy"), "a copy that is nowhere in memory")

# Slices.
saved = {}
for identifier, it in block.items():
    saved[identifier] = number(it + "->slice.saved_")
    what = "%d bytes saved at 0x%x" % (saved[identifier], number(it + "->slice.copy_")) if saved[identifier] else "nothing saved"
    count.equal(printed(it + "->slice"), "%s, room for %d" % (what, number(it + "->slice.capacity_") * 16), "slice of " + identifier)
    count.check(number(it + "->slice.capacity_") * 16 >= saved[identifier], "less room than bytes")
count.check(sum(size > 0 for size in saved.values()) >= 14, "too few slices")

# Events: what they say of saved and restored bytes adds up to what is saved, and who was switched to last runs.
gdb.execute("set var $thread = %s->thread._M_b._M_p" % block[by_name["shallow"]["id"]])
written, sums, last, spawned = number("$thread->ring_written"), collections.Counter(), None, []
count.check(40 < written <= number("$thread->ring_capacity"), "%d events" % written)
for event in range(written):
    text = printed("$thread->ring[%d]" % event)
    kind, address = number("$thread->ring[%d].type_address >> 56" % event), number("$thread->ring[%d].type_address & ((1ul << 56) - 1)" % event)
    where, who, size = "0x%x" % address, number("$thread->ring[%d].greenlet" % event), number("$thread->ring[%d].bytes" % event)
    wanted = {1: r"spawn of greenlet %d, called from %s <.*>", 2: "switch to greenlet %d, with sp %s", 3: "greenlet %d saved, {} bytes from %s",
              4: "greenlet %d restored, {} bytes to %s", 5: "greenlet %d returned, its base is %s", 6: "throw into greenlet %d, called from %s"}[kind]
    pattern = r"#%d %s, at tick %d$" % (event, wanted.format(size) % (who, where), number("$thread->ring[%d].ticks" % event))
    count.check(re.match(pattern, text), "event %d: %s, wanted %s" % (event, text, pattern))
    sums[str(who)] += {3: size, 4: -size}.get(kind, 0)
    last = who if kind == 2 else last
    spawned += [who] if kind == 1 else []
count.equal(str(last), by_name["shallow"]["id"], "the last one switched to")
count.equal(spawned, sorted(int(g["id"]) for g in everyone if g["tid"] == by_name["shallow"]["tid"] and not g["main"]), "who was spawned")
for greenlet in everyone:
    if greenlet["tid"] == by_name["shallow"]["tid"]:
        count.equal(sums[greenlet["id"]], saved[greenlet["id"]], "bytes saved by the events of " + greenlet["id"])
count.equal(printed("$thread->ring[%d]" % written), "no event", "an event not yet written")
count.check("type_address = " in printed("/r $thread->ring[0]"), "print/r of an event")
count.equal(printed("*(coppice::SwitchEvent*)&$thread->ring_capacity"),
            "switch from greenlet %d to %d" % (number("$thread->ring_capacity"), number("$thread->ring_written")), "a SwitchEvent")

# They can be switched off, and registered again without there being two.
gdb.execute("source %s" % os.environ["COPPICE_GDB"])
count.equal(len(re.findall(r"^  coppice$", gdb.execute("info pretty-printer global coppice$", to_string=True), re.MULTILINE)), 1, "printers")
gdb.execute("disable pretty-printer global coppice;SliceBuffer", to_string=True)
count.check("copy_ = " in printed(block["2"] + "->slice"), "a printer that is switched off")
gdb.execute("enable pretty-printer global coppice;SliceBuffer", to_string=True)
count.check("copy_ = " not in printed(block["2"] + "->slice"), "a printer that is switched on again")
count.finish(150)
