"""`set greenlet ...` and `show greenlet ...`."""

import gdb


class SetGreenlet(gdb.Command):
    """Change how greenlets are shown.
Usage: set greenlet SETTING VALUE

Example:
  (gdb) set greenlet raw-frames on"""

    def __init__(self):
        super().__init__("set greenlet", gdb.COMMAND_STACK, prefix=True)

    def invoke(self, argument, from_tty):
        if argument:
            raise gdb.GdbError("No setting %s: see `help set greenlet`." % argument.split()[0])
        gdb.execute("help set greenlet")


class ShowGreenlet(gdb.Command):
    """Show the settings for greenlets.
Usage: show greenlet [SETTING]

Example:
  (gdb) show greenlet"""

    def __init__(self):
        super().__init__("show greenlet", gdb.COMMAND_STACK, prefix=True)

    def invoke(self, argument, from_tty):
        if argument:
            raise gdb.GdbError("No setting %s: see `help show greenlet`." % argument.split()[0])
        for name in sorted(_settings):
            gdb.execute("show " + name)


class RawFrames(gdb.Parameter):
    """Whether backtraces of a selected greenlet show the frames of the switch.

Off, bt leaves out the frames by which the greenlet left and by which it was started, marks the one in which it began,
and `greenlet N` selects the innermost of the others. Frame numbers are the same either way, and `frame K`, `up` and
`down` reach every frame. `bt -no-filters` shows all frames once.

Example:
  (gdb) set greenlet raw-frames on"""

    set_doc = "Set whether backtraces of a selected greenlet show the frames of the switch."
    show_doc = "Show whether backtraces of a selected greenlet show the frames of the switch."

    def __init__(self):
        super().__init__("greenlet raw-frames", gdb.COMMAND_STACK, gdb.PARAM_BOOLEAN)
        self.value = False

    def get_set_string(self):
        return ""

    def get_show_string(self, value):
        return "Backtraces of a selected greenlet show the frames of the switch: %s." % value


class Variables(gdb.Parameter):
    """Whether $_greenlet and $_greenlet_count are kept at every prompt.

on: they are read anew at the first prompt after the program has run, or another thread has been selected.
auto: so too, until that takes more than 0.05 s (many thousands of greenlets).
off: they are set only by commands that read all greenlets anyway, such as `info greenlets` and `greenlet N`.
They are void whenever they are not known. $_greenlet_id() and $_greenlet_total() read anew each time.

Example:
  (gdb) set greenlet variables on"""

    set_doc = "Set whether $_greenlet and $_greenlet_count are kept at every prompt."
    show_doc = "Show whether $_greenlet and $_greenlet_count are kept at every prompt."

    def __init__(self):
        super().__init__("greenlet variables", gdb.COMMAND_STACK, gdb.PARAM_ENUM, ["auto", "on", "off"])
        self.value = "auto"

    def get_set_string(self):
        return ""

    def get_show_string(self, value):
        return "$_greenlet and $_greenlet_count are kept at every prompt: %s." % value


_settings = {}


def install():
    """Registers the settings. Once per GDB."""
    SetGreenlet()
    ShowGreenlet()
    _settings["greenlet raw-frames"] = RawFrames()
    _settings["greenlet variables"] = Variables()


def raw_frames():
    return _settings["greenlet raw-frames"].value


def variables():
    return _settings["greenlet variables"].value
