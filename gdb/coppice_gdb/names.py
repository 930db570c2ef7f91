"""How greenlets, frames and functions are written."""

import re


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
        where = "%s+%s" % (frame["module"], frame["offset"]) if frame["module"] and frame["offset"] else frame["pc"]
    if frame["file"]:
        where += " at %s:%d" % (frame["file"].rsplit("/", 1)[-1], frame["line"] or 0)
    return where
