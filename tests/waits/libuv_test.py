"""waits_test.py with gevent on libuv, which Debian's gevent has not: with PyPI's wheels, installed into FOLDER the first time.
Exit status 77 (skipped) where they cannot be had.

usage: libuv_test.py GLDUMP FOLDER"""
import os
import subprocess
import sys

gldump, folder = sys.argv[1:]
here = os.path.dirname(os.path.abspath(__file__))
python = ["env", "PYTHONPATH=" + folder, "GEVENT_LOOP=libuv", sys.executable]
loop = [*python, "-c", "import gevent; print(type(gevent.get_hub().loop).__module__)"]


def runs_on_libuv():
    return subprocess.run(loop, capture_output=True, text=True).stdout == "gevent.libuv.loop\n"


if not runs_on_libuv():
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary=:all:", "--upgrade", "--target", folder, "gevent", "cffi"]
    done = subprocess.run(install, capture_output=True, text=True, timeout=200)
    if not runs_on_libuv():
        print("SKIPPED: gevent on libuv cannot be had here", *done.stderr.strip().splitlines()[-1:], sep=": ")
        sys.exit(77)
sys.exit(subprocess.run([sys.executable, os.path.join(here, "waits_test.py"), gldump, "gevent", *python]).returncode)
