"""Holds what gldump shows of a process against what the process said about itself (zoo.publish).

    compare.py EXPECTED NATIVE [--python FILE] [--default FILE] [--way WAY] [--minimum N]

EXPECTED is zoo.py's line, the others are the output of `gldump bt --json` with --native, --python and without either.
Nothing is taken on trust: every greenlet must be there and no other, every Python frame and every native frame that
the probe could see must be equal, in order. Exit status 0: equal, and enough was compared.
"""
import argparse
import json
import os
import sys
from collections import Counter

MOST_LINES = 12  # of differences printed
MOST_WITHIN = {"zoo": 16, "gevent": 40}  # native frames of the switch itself, of which the probe sees nothing


class Comparison:
    """Counts and differences of one process, seen one way."""

    def __init__(self, expected, way):
        self.expected = {greenlet["id"]: greenlet for greenlet in expected["greenlets"]}
        self.way, self.probe, self.program = way, expected["probe"], expected["program"]
        self.bases = {g["native"][-1][0] for g in self.expected.values() if g.get("native") and not g["main"]}
        self.states = Counter()
        self.greenlets = self.python = self.native = self.crossings = 0
        self.cut = []  # incomplete stacks that say so, where they may be
        self.differences = []
        self.document = ""

    def differ(self, who, what):
        self.differences.append("%s%s: %s" % (self.document, who, what))

    def equal(self, who, what, found, wanted):
        if found != wanted:
            self.differ(who, "%s is %r, not %r" % (what, found, wanted))
        return found == wanted

    def pairs(self, name, document):
        """The greenlets of a document, each with what is expected of it."""
        self.document = name + " "
        found = {greenlet["id"]: greenlet for greenlet in document["greenlets"]}
        if len(found) != len(document["greenlets"]):
            self.differ("ids", "%d are shown twice" % (len(document["greenlets"]) - len(found)))
        for identity in self.expected.keys() - found.keys():
            wanted = self.expected[identity]
            self.differ(identity, "missing (%s %s)" % (wanted.get("state", "busy"), wanted["type"]))
        for identity in found.keys() - self.expected.keys():
            self.differ(identity, "there is no such greenlet (%s)" % found[identity]["state"])
        return [(found[i], wanted) for i, wanted in self.expected.items() if i in found]

    def compare_identity(self, found, wanted):
        who = found["id"]
        self.equal(who, "provider", found["provider"], "cpython")
        self.equal(who, "main", found["main"], wanted["main"])
        if wanted["type"] not in (found["type"] or ""):
            self.differ(who, "type is %r, not %s" % (found["type"], wanted["type"]))
        if wanted["busy"]:
            return
        self.greenlets += 1
        self.states[wanted["state"]] += 1
        self.equal(who, "state", found["state"], wanted["state"])
        self.equal(who, "parent", found["parent"], wanted["parent"])
        # A finished greenlet keeps nothing that leads to its thread.
        if wanted["state"] != "finished" or found["tid"] is not None:
            self.equal(who, "tid", found["tid"], wanted["tid"])
        # Inside the target's PID namespace; a core may not tell.
        if found["nstid"] is not None or self.way in ("busy", "live"):
            self.equal(who, "nstid", found["nstid"], wanted.get("nstid", wanted["tid"]) if found["tid"] is not None else None)

    def compare_python(self, found, wanted):
        frames = [f for f in found["frames"] if f["kind"] == "python"]
        shown = [[f["function"], f["file"], f["line"]] for f in frames]
        truth = [frame[:3] for frame in wanted["python"]]
        for number, (one, other) in enumerate(zip(shown, truth)):
            if not self.equal(found["id"], "Python frame %d of %d" % (number, len(truth)), one, other):
                return 0
        # The frames of a stack that ends early and says so.
        if self.may_be_cut(found) and len(shown) < len(truth):
            return len(shown)
        self.equal(found["id"], "count of Python frames", len(shown), len(truth))
        return len(shown)

    def may_be_cut(self, found):
        """Of a greenlet that runs not all registers may be known; gcore may have left out the stacks of threads (not the
        slices); the kernel's cores have all."""
        on_stack = found["state"] == "running" or self.way == "gcore" and (found["main"] or found["slice"]["unsaved"])
        return self.way != "kernel" and bool(on_stack) and found["end"] in ("truncated", "error") and found["error"] is not None

    @staticmethod
    def meeting(shown, truth, how):
        """Where the recorded frames begin to be those that are shown: its index in the truth, or None.

        That is the probe's own frame if it called the switch. Else it is the first frame that called both, whose pc has
        moved on but whose caller is where it was.
        """
        sps = {sp: index for index, (_, sp) in enumerate(shown)}
        if how == "leave":
            return 0 if truth[0][1] in sps else None
        for index in range(1, min(6, len(truth))):
            if truth[index][1] in sps and shown[sps[truth[index][1]] + 1:][:1] == truth[index + 1:index + 2]:
                return index
        return None

    def compare_native(self, found, wanted):
        who, how = found["id"], wanted["how"]
        frames = [f for f in found["frames"] if f["kind"] == "native" and not f["inlined"]]
        shown = [(int(f["pc"], 16), int(f["sp"], 16) if f["sp"] else None) for f in frames]
        truth = [tuple(frame) for frame in wanted["native"]]
        cut = self.may_be_cut(found)
        if cut:
            self.cut.append("%s: %s" % (who, found["error"]["message"]))
        else:
            self.equal(who, "end", found["end"], "base")
        first = self.meeting(shown, truth, how)
        if first is None:
            if not cut:
                self.differ(who, "no native frame at sp %#x (%s), where it left; it shows %d" % (truth[0][1], how, len(shown)))
            return 0
        start = [sp for _, sp in shown].index(truth[first][1])
        if how == "leave":
            self.equal(who, "module of the frame that left", os.path.basename(frames[start]["module"] or "?"), self.probe)
        if not 1 <= start <= MOST_WITHIN[self.program]:
            self.differ(who, "%d native frames between the switch and who called it" % start)
        compared = list(zip(shown[start + 1:], truth[first + 1:]))
        for number, (one, other) in enumerate(compared):
            if one != other:
                self.differ(who, "native frame %d: pc %#x sp %#x, not pc %#x sp %#x" % ((start + 1 + number,) + one + other))
                return 0
        if not cut:
            self.equal(who, "count of native frames", len(shown) - start, len(truth) - first)
        return len(compared)

    def compare_unseen(self, found):
        """A suspended greenlet of which the probe saw nothing: whole, and begun as all others were."""
        who = found["id"]
        native = [f for f in found["frames"] if f["kind"] == "native" and not f["inlined"]]
        self.equal(who, "end", found["end"], "base")
        if not native or (int(native[-1]["pc"], 16) in self.bases) == found["main"]:
            self.differ(who, "its outermost native frame is not that of a greenlet")
        self.native += len(native)

    def compare_order(self, found, wanted):
        """Python frames that the probe called stand right inside a frame of the probe, and only they."""
        frames = found["frames"]
        places = [i for i, f in enumerate(frames) if f["kind"] == "python"]
        if self.may_be_cut(found):
            # Python frames stand to the end also where native ones do not: nothing is between those after the last native one.
            last_native = max((i for i, f in enumerate(frames) if f["kind"] == "native"), default=-1)
            places = [i for i in places if i < last_native]
        else:
            places.append(len(frames))
        for place, outer, (function, _, _, called) in zip(places, places[1:], wanted["python"]):
            between = [os.path.basename(f["module"] or "") for f in frames[place + 1:outer]]
            if self.equal(found["id"], "%s being called by the probe" % function, self.probe in between, called):
                self.crossings += called

    def documents(self, native, python=None, default=None):
        for found, wanted in self.pairs("--native", native):
            self.compare_identity(found, wanted)
            if wanted["busy"]:
                continue
            if wanted["state"] in ("unstarted", "finished"):
                self.equal(found["id"], "frames", (found["frames"], found["end"]), ([], None))
                continue
            if wanted["python"] is not None:
                self.python += self.compare_python(found, wanted)
                self.compare_order(found, wanted)
            if wanted["native"]:
                self.native += self.compare_native(found, wanted)
            elif wanted["state"] != "running":
                self.compare_unseen(found)
        for name, document in (("--python", python), ("default", default)):
            for found, wanted in self.pairs(name, document) if document else []:
                if wanted["busy"] or wanted["python"] is None:
                    continue
                self.compare_python(found, wanted)
                if name == "--python":
                    self.equal(found["id"], "kinds", {f["kind"] for f in found["frames"]} - {"python"}, set())
                else:
                    self.compare_order(found, wanted)
                    for frame in found["frames"]:
                        if frame["function"] and frame["function"].startswith("_PyEval_EvalFrame"):
                            self.differ(found["id"], "an evaluator's frame is left: %s" % frame["function"])

    def too_little(self, minimum):
        """What is missing for the comparison to prove anything, or an empty string."""
        wanted = {"suspended": minimum // 4, "unstarted": 1, "finished": 1, "running": 1}
        if self.program == "zoo":
            wanted["orphaned"] = minimum // 20
        few = ["%d %s" % (self.states[state], state) for state, count in wanted.items() if self.states[state] < count]
        if self.greenlets < minimum:
            few.append("%d greenlets" % self.greenlets)
        if self.python < 4 * minimum or self.native < 4 * minimum:
            few.append("%d Python and %d native frames" % (self.python, self.native))
        return "compared only " + ", ".join(few) if few else ""

    def summary(self):
        text = "%d greenlets, %d Python frames, %d native frames, %d crossings" % (
            self.greenlets, self.python, self.native, self.crossings)
        text += ", %d differences" % len(self.differences)
        return text + (", %d on thread stacks cut short and said so" % len(self.cut) if self.cut else "")

    def details(self):
        lines = self.differences[:MOST_LINES]
        if len(self.differences) > MOST_LINES:
            lines.append("and %d more" % (len(self.differences) - MOST_LINES))
        return lines


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.loads(file.readline())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("expected")
    parser.add_argument("native")
    parser.add_argument("--python")
    parser.add_argument("--default")
    parser.add_argument("--way", choices=["busy", "live", "gcore", "kernel"], default="live")
    parser.add_argument("--minimum", type=int, default=2000)
    options = parser.parse_args()
    comparison = Comparison(load(options.expected), options.way)
    comparison.documents(load(options.native), options.python and load(options.python), options.default and load(options.default))
    few = comparison.too_little(options.minimum)
    print(comparison.summary(), *comparison.details(), *([few] if few else []), sep="\n")
    return 1 if comparison.differences or few else 0


if __name__ == "__main__":
    sys.exit(main())
