#!/bin/sh
# Prepares .venv: finds a Python, checks the system libraries, installs the packages pinned in constraints.txt.
# Quick when everything is there. Run by `make environment`; PYTHON names the interpreter to use (optional).
set -eu
cd "$(dirname "$0")/.."
exec </dev/null

library=TissueElasticRegistration/TissueElasticRegistrationLib
stamp=.venv/up-to-date
# The folder belongs to the key because a virtual environment cannot be moved.
key="$(cat pyproject.toml constraints.txt Testing/environment.sh $library/__init__.py | cksum) $(pwd)"

say() { echo "environment: $*"; }
stop() { echo "environment: $*" >&2; exit 1; }
version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

venv_is_current() {
    [ -x .venv/bin/python ] && [ "$(cat $stamp 2>/dev/null)" = "$key" ] || return 1
    [ -z "${PYTHON:-}" ] || [ "$(version_of "$PYTHON")" = "$(version_of .venv/bin/python)" ]
}

# Prints the Debian packages of what OpenGL (VTK) and Qt load at run time and $1 does not find. VTK crashes without them.
missing_libraries() {
    [ "$(uname -s)" = Linux ] || return 0
    "$1" -c '
import ctypes
packages = {"libGL.so.1": "libgl1", "libEGL.so.1": "libegl1", "libgthread-2.0.so.0": "libglib2.0-0",
            "libxkbcommon.so.0": "libxkbcommon0", "libdbus-1.so.3": "libdbus-1-3", "libfontconfig.so.1": "libfontconfig1"}
for library, package in packages.items():
    try:
        ctypes.CDLL(library)
    except OSError:
        print(package, end=" ")
'
}

# Debian 13 and Ubuntu 24.04 renamed libglib2.0-0.
newest_names() {
    if apt-cache policy libglib2.0-0t64 2>/dev/null | grep -q 'Candidate: [0-9]'; then
        echo "$1" | sed 's/libglib2\.0-0 /libglib2.0-0t64 /'
    else
        echo "$1"
    fi
}

install_system_packages() {
    if ! command -v apt-get >/dev/null; then
        stop "these system packages (Debian names) are missing; install them with your package manager and try again: $1"
    elif [ "$(id -u)" -ne 0 ]; then
        stop "some system packages are missing. Run this, then try again:
    sudo apt-get install --no-install-recommends $(newest_names "$1")"
    fi
    say "installing system packages: $1"
    apt-get update -qq
    # shellcheck disable=SC2046 # one word for each package
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(newest_names "$1") >/dev/null
}

if venv_is_current; then
    missing=$(missing_libraries .venv/bin/python)
    [ -z "$missing" ] || install_system_packages "$missing"
    exit 0
fi

# 3.14 is left out because slicer-core and PySide6 6.8 have no packages for it.
python=
for candidate in ${PYTHON:-python3.12 python3.11 python3 python3.13}; do
    case "$(version_of "$candidate")" in
        3.11 | 3.12 | 3.13) python=$candidate; break ;;
    esac
done
if [ -z "$python" ]; then
    [ -z "${PYTHON:-}" ] || stop "PYTHON=$PYTHON is not a working Python 3.11, 3.12 or 3.13."
    stop "Python 3.11, 3.12 or 3.13 is needed and none was found. Install one or name it: make test PYTHON=/path/to/python3.12"
fi
version=$(version_of "$python")
say "using $python (Python $version)"

missing=$(missing_libraries "$python")
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing="${missing}python$version-venv "
[ -z "$missing" ] || install_system_packages "$missing"

rm -f "$stamp"
if [ "$(version_of .venv/bin/python)" != "$version" ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    say "making .venv"
    "$python" -m venv --clear .venv
fi

say "installing Python packages into .venv (a few minutes the first time)"
pip_install() { .venv/bin/python -m pip install --no-input --disable-pip-version-check --constraint constraints.txt "$@"; }
# Without build isolation pip builds with the pinned setuptools instead of fetching the newest one.
pip_install -q setuptools
pip_install --progress-bar off --no-build-isolation --editable '.[dev]'

echo "$key" >"$stamp"
say "ready"
