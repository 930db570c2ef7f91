"""How greenlets, frames and functions are written."""

import re

_MACHINERY = re.compile(r"coppice(::|_)")


def label(greenlet):
    """7 "worker" """
    return greenlet["id"] + (' "%s"' % greenlet["name"] if greenlet["name"] else "")


def without_parameters(name):
    """`std::function<int (int)>::operator()(int) const` to `std::function<int (int)>::operator()`, as GDB's own bt."""
    text = re.sub(r"(\s*(const|volatile|noexcept|&&?))+$", "", name)
    if not text.endswith(")"):
        return name
    depth = 0
    for at in range(len(text) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(text[at], 0)
        if depth == 0:
            bare = text[:at]
            return text if not bare or bare.endswith(("operator", "::", " ")) else bare
    return name


def frame_text(frame):
    """serve at server.cpp:88"""
    where = without_parameters(frame["function"] or "")
    if not where:
        module = (frame["module"] or "").rpartition("/")[2]
        where = "%s+%s" % (module, frame["offset"]) if module and frame["offset"] else frame["pc"]
    if frame["file"]:
        where += " at %s:%d" % (frame["file"].rsplit("/", 1)[-1], frame["line"] or 0)
    return where


def short_name(greenlet):
    """Of a greenlet of CPython without a name the class, without the module: "Hub"."""
    if greenlet["name"] or greenlet["provider"] != "cpython":
        return greenlet["name"] or ""
    return (greenlet["type"] or "").rpartition(".")[2]


def waiting_text(greenlet):
    """fd 5, or nothing"""
    waiting = greenlet["waiting"]
    if not waiting:
        return ""
    return waiting["detail"] or "%s %s" % (waiting["kind"], waiting["value"])


def where(greenlet):
    """The innermost frame that is not the switch itself, on CPython the innermost of Python's; or why there is none."""
    frames = greenlet["frames"] or []
    beyond = [f for f in frames if f["kind"] == "python" or not _MACHINERY.match(f["function"] or "")]
    frame = next((f for f in beyond if f["kind"] == "python"), (beyond + frames + [None])[0])
    if frame is not None:
        return frame_text(frame)
    if greenlet["error"] is not None:
        return "<%s>" % greenlet["error"]["message"]
    return ""
