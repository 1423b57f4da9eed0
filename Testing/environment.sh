#!/bin/sh
# Prepares .venv: finds a Python, checks the system libraries, installs the packages pinned in constraints.txt.
# Does nothing when .venv is up to date. Run by `make environment`; PYTHON names the interpreter to use (optional).
set -eu
cd "$(dirname "$0")/.."
exec </dev/null

stamp=.venv/up-to-date
inputs="pyproject.toml constraints.txt Testing/environment.sh TissueElasticRegistration/TissueElasticRegistrationLib/__init__.py"

say() { echo "environment: $*"; }
stop() { echo "environment: $*" >&2; exit 1; }
version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

# The folder belongs to the key because a virtual environment cannot be moved.
key="$(cat $inputs | cksum) $(pwd)"
if [ -x .venv/bin/python ] && [ "$(cat $stamp 2>/dev/null || true)" = "$key" ]; then
    if [ -z "${PYTHON:-}" ] || [ "$(version_of "$PYTHON")" = "$(version_of .venv/bin/python)" ]; then
        exit 0
    fi
fi

# --- A Python. 3.14 is left out because slicer-core and PySide6 6.8 have no packages for it.
python=
for candidate in "${PYTHON:-}" python3.12 python3.11 python3 python3.13; do
    case "$(version_of "$candidate")" in
        3.11 | 3.12 | 3.13) python=$candidate; break ;;
    esac
    [ -z "${PYTHON:-}" ] || stop "PYTHON=$PYTHON is not a working Python 3.11, 3.12 or 3.13."
done
[ -n "$python" ] || stop "Python 3.11, 3.12 or 3.13 is needed and none was found. Install one, or name it: make test PYTHON=/path/to/python3.12"
version=$(version_of "$python")
say "using $python (Python $version)"

# --- System packages: the venv module, and what OpenGL (VTK) and Qt load. Drawing crashes without them, so they are checked here.
missing=
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing="python$version-venv"
if [ "$(uname -s)" = Linux ]; then
    while read -r library package; do
        "$python" -c "import ctypes; ctypes.CDLL('$library')" 2>/dev/null || missing="$missing $package"
    done <<LIBRARIES
libGL.so.1 libgl1
libEGL.so.1 libegl1
libgthread-2.0.so.0 libglib2.0-0
libxkbcommon.so.0 libxkbcommon0
libdbus-1.so.3 libdbus-1-3
libfontconfig.so.1 libfontconfig1
LIBRARIES
fi
missing=${missing# }

# Debian 13 and Ubuntu 24.04 renamed libglib2.0-0.
use_new_names() {
    if apt-cache policy libglib2.0-0t64 2>/dev/null | grep -q 'Candidate: [0-9]'; then
        missing=$(echo "$missing" | sed 's/libglib2\.0-0$/libglib2.0-0t64/; s/libglib2\.0-0 /libglib2.0-0t64 /')
    fi
}

if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null; then
        stop "these system packages (Debian names) are missing; install them with your package manager and try again: $missing"
    elif [ "$(id -u)" -ne 0 ]; then
        use_new_names
        stop "some system packages are missing. Run this, then try again:
    sudo apt-get install --no-install-recommends $missing"
    fi
    say "installing system packages: $missing"
    apt-get update -qq
    use_new_names
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi

# --- The virtual environment. Nothing is installed outside of it.
rm -f "$stamp"
if [ "$(version_of .venv/bin/python)" != "$version" ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    say "making .venv"
    "$python" -m venv --clear .venv
fi

say "installing Python packages into .venv (a few minutes the first time)"
pip() { .venv/bin/python -m pip --no-input --disable-pip-version-check "$@"; }
# Without build isolation pip builds with the pinned setuptools instead of fetching the newest one.
pip install -q --constraint constraints.txt setuptools
pip install --progress-bar off --constraint constraints.txt --no-build-isolation --editable '.[dev]'

echo "$key" >"$stamp"
say "ready"
