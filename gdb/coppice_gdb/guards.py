"""What keeps a selected greenlet and the program that really runs apart.

GDB would let the user step, return or write "in" the greenlet shown, and do it to the thread behind it. Each command
where the two differ is refused, or begins by letting go of the selection. Commands are caught by hooks (`define
hook-X`), which also see their aliases; events catch what reaches the program by other ways (MI, other scripts).
"""

import contextlib
import re

import gdb

from . import view, watchpoints
from .engine import select_level

# They act on the thread where it really stands, or need the target's own memory.
LETTING_GO = ("continue step next stepi nexti until advance signal detach disconnect kill run start starti attach "
              "target core-file file exec-file symbol-file generate-core-file checkpoint restart "
              "reverse-continue reverse-step reverse-next reverse-stepi reverse-nexti").split()
# They would change where the thread continues, by the greenlet's frames.
REFUSED = {
    "return": "return would pop the thread's frames, not the greenlet's",
    "jump": "jump would send the thread there, not the greenlet",
}
# They may have chosen another thread or frame.
CHOOSING = ("inferior", "frame", "frame level", "frame function", "frame address", "down", "up", "select-frame",
            "select-frame level", "select-frame function", "select-frame address")
# They are about threads as they really stand: the selection is away meanwhile. `thread N` ends it, by choosing.
ABOUT_THREADS = ("thread", "thread apply", "thread apply all", "info threads")

_selection = None
_away = None  # what was selected before a command of ABOUT_THREADS: (greenlet, level of the frame)


class Guard(gdb.Command):
    """What the hooks call: maintenance greenlet-guard (before | after) COMMAND."""

    def __init__(self):
        super().__init__("maintenance greenlet-guard", gdb.COMMAND_MAINTENANCE)

    def invoke(self, argument, from_tty):
        when, command = argument.split(None, 1)
        if when == "after" and command in ("thread", "inferior"):
            _selection.on_change()
        if when == "before" and command in LETTING_GO:
            view.leave(command)
        if when == "after" and command in ABOUT_THREADS:
            _come_back(command)
        elif _selection.selected is not None:
            (_before if when == "before" else _after)(command, _selection.selected)


def _before(command, selected):
    if command in REFUSED:
        raise gdb.GdbError("Greenlet %s is selected, and %s. Select its thread first (thread %d)."
                           % (selected.greenlet["id"], REFUSED[command], selected.thread.num))
    if command == "finish" and selected.stack.orphaned:
        raise gdb.GdbError("Greenlet %s is orphaned: its thread has exited, it never goes on." % selected.greenlet["id"])
    if command == "down" and gdb.selected_frame().level() == selected.bridge.level + 1:
        raise gdb.GdbError("Bottom (innermost) frame selected; you cannot go down.")
    if command in ABOUT_THREADS:
        _go_away(selected)
    if command in LETTING_GO:
        _selection.deselect()


def _after(command, selected):
    if command in watchpoints.COMMANDS:
        watchpoints.refuse_newest(selected)
    if _selection.check_context() and command.split()[0] in ("frame", "down", "up"):
        gdb.write("[That is the thread's own frame: greenlet %s is no longer selected]\n" % selected.greenlet["id"])
        gdb.execute("frame")


def _go_away(selected):
    """Shows the threads as they are. Should the command fail, its second hook is not called: then the next prompt puts
    the selection back."""
    global _away
    _away = selected.greenlet, gdb.selected_frame().level(), selected.thread
    _selection.deselect()
    select_level(1)


def _come_back(command):
    """After the command, unless it was `thread N`, which selects the frame 0."""
    global _away
    away, _away = _away, None
    if away is None or _selection.selected is not None:
        return
    greenlet, level, thread = away
    with contextlib.suppress(gdb.error):
        if gdb.selected_thread() == thread and (command != "thread" or gdb.selected_frame().level() == 1):
            _selection.select(greenlet)
            select_level(level)


def _stay_away():
    """The program runs on: what was selected is no longer as it was."""
    global _away
    _away = None


# While GDB loads this by itself the program is just starting, and a command that fails would make GDB think that the
# program was let go: what follows must not fail.

def _define_hook(command, when):
    """Defines `hook-COMMAND` or `hookpost-COMMAND`, keeping what the user's own hook does. Of a command of two words
    the hook is named for the second: `thread hook-apply`."""
    *prefix, last = command.split()
    name = " ".join(prefix + [("hook-" if when == "before" else "hookpost-") + last])
    call = "maintenance greenlet-guard %s %s" % (when, command)
    body = _user_commands().get(name, [])
    if call not in body:
        gdb.execute("define %s\n%s\nend" % (name, "\n".join([call] + body)), to_string=True)


def _user_commands():
    """{name: lines} of everything that was made by `define`."""
    commands, body = {}, []
    for line in gdb.execute("show user", to_string=True).splitlines():
        found = re.match(r'User (?:prefix)?command "(.*)":$', line)
        if found:
            body = commands[found.group(1)] = []
        elif line.strip():
            body.append(line[2:])
    return commands


def _exists(command):
    return command in gdb.execute("complete " + command, to_string=True).splitlines()


def _register_name(event):
    return list(event.frame.architecture().registers())[event.regnum].name


def install(selection):
    """Hooks and events. Once per GDB."""
    global _selection
    _selection = selection
    Guard()
    for command in LETTING_GO + list(REFUSED) + ["down", "finish", *ABOUT_THREADS]:
        if _exists(command):
            _define_hook(command, "before")
    for command in CHOOSING + ABOUT_THREADS + watchpoints.COMMANDS:
        _define_hook(command, "after")

    events = gdb.events
    events.cont.connect(lambda event: _stay_away())
    events.cont.connect(lambda event: selection.forget())
    events.stop.connect(lambda event: selection.forget())
    events.exited.connect(lambda event: selection.forget())
    events.memory_changed.connect(lambda event: selection.memory_written(event.address, event.length))
    events.register_changed.connect(lambda event: selection.register_written(event.frame, _register_name(event)))
    events.new_objfile.connect(lambda event: selection.modules_changed())
    events.clear_objfiles.connect(lambda event: selection.modules_changed())
    events.inferior_deleted.connect(lambda event: selection.drop_inferior(event.inferior.num))
    events.before_prompt.connect(lambda: _come_back("thread"))
    events.before_prompt.connect(selection.check_context)
    if hasattr(events, "gdb_exiting"):
        events.gdb_exiting.connect(lambda event: selection.close())
