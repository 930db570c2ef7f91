#!/usr/bin/env python3
"""Does compare.py see every kind of difference? Documents made from an expectation are equal; each fault put into one
of them is found."""
import copy
import sys

from compare import Comparison

BASE = [0x7000, 0x9f00]


def greenlet(number, **fields):
    native = [[0x1000 + i, 0x9000 + 0x10 * i] for i in range(8)] + [BASE]
    python = [["leave", "zoo.py", 10, False], ["c_go", "zoo.py", 20, True], ["shape", "shapes.py", 30, False]]
    return {"id": hex(number), "type": "Sprout", "state": "suspended", "main": False, "tid": 7, "parent": "0x1", "python": python,
            "native": native, "how": "leave", "busy": False, **fields}


EXPECTED = {"program": "zoo", "probe": "probe.so", "greenlets": [
    greenlet(1, main=True, parent=None, state="running"), greenlet(2), greenlet(3, how="note"),
    greenlet(4, state="finished", python=[], native=[]), greenlet(5, state="orphaned", tid=None),
    greenlet(6, python=[], native=None), {"id": "0x7", "type": "greenlet", "busy": True, "main": False, "tid": 8}]}


def frame(kind, **fields):
    return {"kind": kind, "pc": None, "sp": None, "module": None, "function": None, "file": None, "line": None, "inlined": False,
            **fields}


def shown(wanted):
    """What an inspector that makes no error shows, with --native."""
    if wanted["busy"]:
        return {"frames": [], "end": None, "state": "suspended", "parent": None}
    if wanted["state"] == "finished":
        return {"frames": [], "end": None, "state": "finished", "parent": wanted["parent"]}
    head = [frame("native", pc=hex(0x500 + i), sp=hex(0x8f00 + 0x10 * i), module="/lib/greenlet.so") for i in range(3)]
    native = [frame("native", pc=hex(pc), sp=hex(sp), module="/lib/python") for pc, sp in wanted["native"] or [BASE]]
    if wanted["native"] is None:
        pass
    elif wanted["how"] == "leave":
        native[0].update(module="/tmp/probe.so", pc="0x4")  # another place in the probe's function
    else:
        del native[0]
        native[0].update(pc="0x4")  # another call of the evaluator's
    python = [frame("python", function=f, file=file, line=line) for f, file, line, _ in wanted["python"]]
    frames = head + native
    if python:
        probe = frame("native", pc="0x1002", sp="0x9020", module="/tmp/probe.so")
        frames[-6:-6] = python[:2]
        place = next(i for i, f in enumerate(frames) if f["pc"] == "0x1004")
        frames[place] = {**probe, "pc": frames[place]["pc"], "sp": frames[place]["sp"]}
        frames[place + 1:place + 1] = python[2:]
    return {"frames": frames, "end": "base", "state": wanted["state"], "parent": wanted["parent"]}


def document():
    return {"greenlets": [{"id": w["id"], "provider": "cpython", "main": w["main"], "type": "zoo." + w["type"], "tid": w["tid"],
                           "nstid": w["tid"], "error": None, "slice": {"unsaved": None}, **shown(w)} for w in EXPECTED["greenlets"]]}


def views():
    native = document()
    python, default = copy.deepcopy(native), copy.deepcopy(native)
    for g in python["greenlets"]:
        g["frames"] = [f for f in g["frames"] if f["kind"] == "python"]
    for g in default["greenlets"]:
        g["frames"] = [f for f in g["frames"] if f["kind"] == "python" or "probe" in f["module"]]
    return [native, python, default]


def compare(documents, way="live"):
    comparison = Comparison(EXPECTED, way)
    comparison.documents(*documents)
    return comparison


def of_kind(documents, view, number, kind):
    return [f for f in documents[view]["greenlets"][number]["frames"] if f["kind"] == kind]


def faults():
    """(name, function that puts the fault into the documents)."""
    def change(name, view, number, **fields):
        return "%s of greenlet %d in view %d" % (name, number, view), lambda d: d[view]["greenlets"][number].update(fields)

    def change_frame(name, view, number, kind, index, **fields):
        return "%s of %s frame %d of greenlet %d in view %d" % (name, kind, index, number, view), lambda d: of_kind(
            d, view, number, kind)[index].update(fields)

    def drop_frame(view, number, kind, index):
        return "a lost %s frame %d of greenlet %d in view %d" % (kind, index, number, view), lambda d: d[view]["greenlets"][
            number]["frames"].remove(of_kind(d, view, number, kind)[index])

    yield from [change("state", 0, n, state="unstarted") for n in range(6)]
    yield from [change("main", 0, n, main=n != 0) for n in range(7)]
    yield from [change("tid", 0, n, tid=99) for n in range(6)]
    yield from [change("nstid", 0, n, nstid=99) for n in range(6)]
    yield from [change("parent", 0, n, parent="0x99") for n in range(6)]
    yield from [change("type", 0, 1, type="greenlet"), change("provider", 0, 1, provider="coppice")]
    yield from [change("end", 0, n, end="truncated") for n in (0, 1, 2, 4, 5)]
    yield change("end with a reason", 0, 1, end="error", error={"message": "why"})
    yield from [change("frames", view, n, frames=[]) for view in range(3) for n in (0, 1, 2, 4)]
    yield change("native frames", 0, 5, frames=[])
    yield change("frames", 0, 3, frames=[frame("native", pc="0x1", sp="0x2")])
    for number in (0, 1, 2, 4):
        for view in range(3):
            for index in range(3):
                for fields in ({"function": "other"}, {"file": "other"}, {"line": 11}, {"line": None}):
                    yield change_frame(str(fields), view, number, "python", index, **fields)
                yield drop_frame(view, number, "python", index)
        for index in range(5, 11):
            yield change_frame("pc", 0, number, "native", index, pc="0x9999")
            yield change_frame("sp", 0, number, "native", index, sp="0x9999")
            yield drop_frame(0, number, "native", index)
    yield "the order of frames", lambda d: d[0]["greenlets"][1]["frames"].sort(key=lambda f: f["kind"])
    yield "the order of frames by default", lambda d: d[2]["greenlets"][1]["frames"].sort(key=lambda f: f["kind"])
    yield "a lost crossing by default", lambda d: [g.update(frames=[f for f in g["frames"] if f["kind"] == "python"])
                                                   for g in d[2]["greenlets"]]
    yield "an evaluator's frame by default", lambda d: d[2]["greenlets"][1]["frames"].append(
        frame("native", module="/lib/python", function="_PyEval_EvalFrameDefault.cold"))
    yield "native frames with --python", lambda d: d[1]["greenlets"][1]["frames"].append(frame("native"))
    yield from [("a lost greenlet in view %d" % view, lambda d, view=view, n=n: d[view]["greenlets"].pop(n)) for view in range(3) for n in
                range(7)]
    yield from [("a greenlet shown twice in view %d" % view, lambda d, view=view: d[view]["greenlets"].append(
        d[view]["greenlets"][1])) for view in range(3)]
    yield from [("a greenlet too many in view %d" % view, lambda d, view=view: d[view]["greenlets"].append(
        {**d[view]["greenlets"][1], "id": "0x99"})) for view in range(3)]


def main():
    good = compare(views())
    assert not good.differences, good.differences
    counts = (good.greenlets, good.python, good.native, good.crossings)
    assert counts == (6, 12, 8 * 3 + 7 + 4, 8), counts
    assert good.too_little(2000)
    unseen = []
    tried = 0
    for name, put in faults():
        documents = views()
        put(documents)
        tried += 1
        if not compare(documents).differences:
            unseen.append(name)
    # A running greenlet may end early when it says so, except in a kernel's core.
    documents = views()
    documents[0]["greenlets"][0].update(end="truncated", error={"message": "rbp is not known"})
    del documents[0]["greenlets"][0]["frames"][9:]
    assert not compare(documents).differences and len(compare(documents).cut) == 1
    assert compare(documents, "kernel").differences
    # Its Python frames may all be known nevertheless; between those after its last native frame stands nothing.
    documents = views()
    for document in (documents[0], documents[2]):
        cut = document["greenlets"][0]
        cut.update(end="truncated", error={"message": "rbp is not known"})
        first = next(i for i, f in enumerate(cut["frames"]) if f["kind"] == "python")
        cut["frames"] = cut["frames"][:first] + [f for f in cut["frames"][first:] if f["kind"] == "python"]
    assert not compare(documents).differences and compare(documents).crossings == good.crossings - 2
    # What is known of the native ones is compared.
    cut = documents[0]["greenlets"][0]["frames"]
    cut.append(frame("native", pc="0x1004", sp="0x9040", module="/lib/python"))
    assert any("being called by the probe" in difference for difference in compare(documents).differences)
    print("%d faults, %d unseen" % (tried, len(unseen)), *unseen, sep="\n")
    return 1 if unseen or tried < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
