"""What GDB sources: by itself beside libcoppice.so (auto-load), or by `source .../coppice-gdb.py`."""

import os
import sys

import gdb

if int(gdb.VERSION.split(".")[0]) < 12:
    # No exception: GDB would show where it was raised, too.
    gdb.write("Coppice needs GDB 12 or newer; this is %s.\n" % gdb.VERSION, gdb.STDERR)
else:
    # Not __file__: that is the outer script's when GDB loads this while it runs another one.
    _folder = os.path.dirname(os.path.realpath(sys._getframe().f_code.co_filename))
    if _folder not in sys.path:
        sys.path.insert(0, _folder)

    import coppice_gdb  # found only now

    coppice_gdb.load(gdb.current_objfile())
