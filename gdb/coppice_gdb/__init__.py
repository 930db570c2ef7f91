"""Coppice for GDB: `info greenlets`, `greenlet N`, and pretty-printers of the runtime's types."""

import gdb

_selection = None


def load(objfile=None):
    """Installs commands and guards once, and the pretty-printers for the objfile."""
    global _selection
    from . import (commands, convenience, guards, listing, printers, python_printers, selection, settings, slices,
                   stops, tree, view, written_core)
    if _selection is None:
        settings.install()
        _selection = selection.Selection()
        commands.install(_selection)
        listing.install(_selection)
        tree.install(_selection)
        slices.install(_selection)
        stops.install(_selection)
        view.install(_selection)
        written_core.install(_selection)
        guards.install(_selection)
        convenience.install(_selection)
        python_printers.install()
    printers.register(_selection, objfile)
