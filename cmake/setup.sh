#!/usr/bin/env bash
# Installs what building (or trying the Python samples, or testing) needs: setup.sh build|samples|test|ci
#
# Nothing is ever removed or downgraded. A package whose installation would remove another one (libunwind-19-dev
# conflicts with nongnu's libunwind-dev, for instance) is unpacked under build/deps instead, where CMake looks first.
# Without root and sudo this prints the one command to run and exits 1.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
deps=$top/build/deps

build_packages=(g++ cmake ninja-build pkg-config libunwind-19-dev libdw-dev libelf-dev libncurses-dev libseccomp-dev
  libcli11-dev libfmt-dev nlohmann-json3-dev scdoc)
python_packages=(python3 python3-greenlet python3-gevent python3-eventlet python3-sqlalchemy python3-aiosqlite gunicorn)
test_packages=("${python_packages[@]}" python3-dev catch2 libbenchmark-dev libboost-context-dev gdb gdbserver tmux python3-pyte elfutils binutils dwz clang-19)
ci_packages=(git python3-dbg clang-format-19 clang-tidy-19 libclang-rt-19-dev lld-19 debootstrap python3-venv)

case "${1:-}" in
  build) wanted=("${build_packages[@]}") ;;
  samples) wanted=("${build_packages[@]}" "${python_packages[@]}") ;;
  test) wanted=("${build_packages[@]}" "${test_packages[@]}") ;;
  ci) wanted=("${build_packages[@]}" "${test_packages[@]}" "${ci_packages[@]}") ;;
  *) echo "usage: setup.sh build|samples|test|ci" >&2; exit 2 ;;
esac

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

if ! command -v apt-get >/dev/null; then
  echo "setup: this is no Debian system; install the equivalents of: ${wanted[*]}" >&2
  exit 0
fi

missing=()
for package in "${wanted[@]}"; do
  installed "$package" || [ -e "$deps/.unpacked/$package" ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" = 0 ]; then
  as_root=(env DEBIAN_FRONTEND=noninteractive)
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
  as_root=(sudo env DEBIAN_FRONTEND=noninteractive)
else
  echo "setup: please run this once, then start again:" >&2
  echo "  apt-get update && apt-get install --no-remove --no-install-recommends ${missing[*]}" >&2
  exit 1
fi

echo "setup: installing ${missing[*]}"
"${as_root[@]}" apt-get -qq update

# Unpacks a package, and those of its dependencies that are -dev packages and missing too, under build/deps.
unpack_privately() {
  local package=$1 dependency deb link target
  [ ! -e "$deps/.unpacked/$package" ] || return 0
  echo "setup: $package would replace installed packages, so it is unpacked under build/deps"
  mkdir -p "$deps/.unpacked" "$deps/.download"
  (cd "$deps/.download" && rm -f ./*.deb && apt-get -qq -o APT::Sandbox::User=root download "$package")
  for deb in "$deps/.download"/*.deb; do dpkg-deb -x "$deb" "$deps"; done
  # A linker name (libx.so) whose library is installed system-wide points there.
  find "$deps/usr/lib" -xtype l | while read -r link; do
    target=$(readlink "$link")
    target=${link#"$deps"}; target=$(dirname "$target")/$(readlink "$link")
    [ ! -e "$target" ] || ln -sfn "$target" "$link"
  done
  find "$deps" -name '*.pc' -exec sed -i "s|=/usr|=$deps/usr|" {} +
  touch "$deps/.unpacked/$package"
  apt-cache depends --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$package" |
    sed -n 's/^ *Depends: \([a-z0-9.+-]*-dev\)$/\1/p' | while read -r dependency; do
      installed "$dependency" || unpack_privately "$dependency"
    done
}

plain=()
for package in "${missing[@]}"; do
  if apt-get -qq -s --no-remove --no-install-recommends install "$package" >/dev/null 2>&1; then
    plain+=("$package")
  elif apt-cache show "$package" >/dev/null 2>&1; then
    unpack_privately "$package"
  else
    echo "setup: this system has no package $package (Debian 12 and newer have it)" >&2
    exit 1
  fi
done
if [ ${#plain[@]} -gt 0 ]; then
  "${as_root[@]}" apt-get -qq -y --no-remove --no-install-recommends -o Dpkg::Use-Pty=0 install "${plain[@]}" >"${TMPDIR:-/tmp}/coppice-setup.$$.log" 2>&1 || {
    cat "${TMPDIR:-/tmp}/coppice-setup.$$.log" >&2
    echo "setup: apt-get failed, see above" >&2
    exit 1
  }
  rm -f "${TMPDIR:-/tmp}/coppice-setup.$$.log"
fi
