"""Debian releases under build/cpython-matrix, made once by debootstrap, to run programs with another release's files."""
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "build/cpython-matrix"
PREPARATION_LIMIT = 900  # seconds
# The script that debootstrap is to use, where it may be too old to know the release.
RELEASES = {"bullseye": "bullseye", "trixie": "trixie", "forky": "sid"}


class Skipped(Exception):
    """This machine cannot try it; says why."""


def run(command, limit=PREPARATION_LIMIT, **more):
    """Standard output; raises Skipped with the last line of what a failing command said."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=limit, **more)
    except subprocess.TimeoutExpired:
        raise Skipped("%s took more than %d s" % (command[0], limit))
    except OSError as error:
        raise Skipped(str(error))
    if done.returncode != 0:
        said = done.stdout.strip().splitlines() or ["status %d" % done.returncode]
        raise Skipped("%s: %s" % (os.path.basename(str(command[0])), said[-1]))
    return done.stdout


def mirror():
    """Where this system's own packages come from."""
    targets = run(["apt-get", "indextargets", "--format", "$(ORIGIN) $(CREATED_BY) $(REPO_URI)"])
    found = re.search(r"^Debian Packages (\S+/debian/?)$", targets, re.M)
    if not found:
        raise Skipped("apt-get knows no mirror of Debian")
    return found.group(1)


_being_made = {release: threading.Lock() for release in RELEASES}


def bootstrap(release):
    """The folder of a Debian release with greenlet and every CPython it was built for."""
    with _being_made[release]:
        return _bootstrap(release)


def _bootstrap(release):
    folder = CACHE / release
    if (folder / ".complete").exists():
        return folder
    if os.getuid() != 0:
        raise Skipped("debootstrap needs root")
    script = Path("/usr/share/debootstrap/scripts") / RELEASES[release]
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    run(["debootstrap", "--variant=minbase", "--include=python3-greenlet", release, folder, mirror(), script])
    built_for = {re.sub(r".*cpython-3(\d+)-.*", r"python3.\1", str(file)) for file in folder.glob("usr/lib/python3/dist-packages/**/*greenlet*.so")}
    for python in sorted(built_for):
        if not (folder / "usr/bin" / python).exists():
            run(["chroot", folder, "apt-get", "-qq", "-y", "--no-install-recommends", "install", python],
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    shutil.rmtree(folder / "var/cache/apt/archives", ignore_errors=True)
    (folder / ".complete").touch()
    return folder


def install(release, packages):
    """Adds packages to a bootstrapped release; at once where they are there."""
    folder = CACHE / release
    noninteractive = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    wanted = [package for package in packages if not (folder / "var/lib/dpkg/info" / (package + ".list")).exists()]
    if wanted:
        if os.getuid() != 0:
            raise Skipped("installing %s needs root" % ", ".join(wanted))
        # Old lists name files that the mirror has replaced since; an unmaintained mirror's are "expired".
        run(["chroot", folder, "apt-get", "-qq", "-o", "Acquire::Check-Valid-Until=false", "update"], env=noninteractive)
        run(["chroot", folder, "apt-get", "-qq", "-y", "--no-install-recommends", "install", *wanted], env=noninteractive)
        shutil.rmtree(folder / "var/cache/apt/archives", ignore_errors=True)


def carry_libraries(release, binaries):
    """Copies to the release's /usr/local/lib the libraries which this system's binaries need and it has not."""
    folder = CACHE / release
    for binary in binaries:
        needed = dict(re.findall(r"^\s+(\S+) => (/\S+)", run(["ldd", binary]), re.M))
        for name, path in needed.items():
            seen = ROOT in Path(path).parents or (folder / "usr/lib/x86_64-linux-gnu" / name).exists()
            if not seen:
                shutil.copy(path, folder / "usr/local/lib" / name)
    run(["chroot", folder, "ldconfig"])


# What a shell does as root of a mount namespace of its own, and of PIDs: both end with it, whatever it leaves behind.
_ENTER = """
set -e
root=$1 top=$2; shift 2
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mkdir -p "$root$top"
mount --bind "$top" "$root$top"
mount -o remount,bind,ro "$root$top"
exec chroot "$root" "$@"
"""


def inside(release, top, command):
    """The command as it is run in the release, which sees `top` read-only at its own path."""
    return ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "sh", "-c", _ENTER, "enter",
            str(CACHE / release), str(top), *(str(word) for word in command)]
