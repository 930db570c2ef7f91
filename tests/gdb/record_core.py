"""Records the truth, then leaves two cores of the same moment: GDB's own and the kernel's."""

import os
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import truth  # noqa: E402

truth.prepare()
gdb.execute("tbreak main")
gdb.execute("run > /dev/null")
recorder = truth.Recorder()
gdb.execute("break zoo_checkpoint if number == 3")
gdb.execute("continue")
# A selected greenlet must not get into the core.
gdb.execute("greenlet " + truth.the("deep-5"), to_string=True)
gdb.execute("generate-core-file gcore.core")
recorder.save("truth.json")
gdb.execute("signal SIGABRT")
