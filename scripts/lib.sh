# Shared by the scripts beside it: sourced, not run. Leaves the caller in the root of the repository.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# Runs a command as root: directly, or by sudo (which may ask for a password only where somebody can type it).
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif ! command -v sudo > /dev/null; then return 1
    elif [ -t 0 ]; then sudo "$@"
    else sudo -n "$@"; fi
}

# Installs Debian packages; fails where there is no apt, no root and no sudo, or DWARF_APT=0 forbids it.
apt_install() {
    [ "${DWARF_APT:-1}" != 0 ] && command -v apt-get > /dev/null || return 1
    local log
    log=$(mktemp)
    say "installing Debian packages: $*"
    if { [ -n "${apt_updated:-}" ] || as_root apt-get update -qq; } > "$log" 2>&1 &&
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "$@" >> "$log" 2>&1; then
        apt_updated=1
        rm "$log"
    else
        tail -n 20 "$log" >&2
        rm "$log"
        return 1
    fi
}

# Prints the first Python that is new enough; DWARF_PYTHON chooses one.
find_python() {
    local name
    for name in ${DWARF_PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
            command -v "$name"
            return
        fi
    done
    die "no Python 3.11 or newer found; install one, or name it in DWARF_PYTHON"
}

# Makes .venv when it is missing or cannot install anything. Debian splits ensurepip off into a package of its own.
make_venv() {
    if .venv/bin/python -m pip --version > /dev/null 2>&1; then return; fi
    if .venv/bin/python -m ensurepip > /dev/null 2>&1; then return; fi
    local python version bootstrap
    python=$(find_python)
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    say "making .venv with $python ($version)"
    if "$python" -m venv --clear .venv > /dev/null 2>&1; then return; fi
    say "this Python cannot make environments that have pip (on Debian, python3-venv is a package of its own)"
    if apt_install "python$version-venv" || apt_install python3-venv; then
        if "$python" -m venv --clear .venv; then return; fi
    fi
    rm -rf .venv
    bootstrap=$(mktemp -d)
    if "$python" -m pip install -qq --target "$bootstrap" virtualenv &&
        PYTHONPATH=$bootstrap "$python" -m virtualenv -q .venv; then
        rm -rf "$bootstrap"
        return
    fi
    rm -rf "$bootstrap"
    die "could not make .venv; install python3-venv (Debian, Ubuntu) or virtualenv, and try again"
}

# install_extra NAME: the project itself with one of its extras, editable. Again only when pyproject.toml has changed.
install_extra() {
    local stamp=.venv/.installed-$1 wanted
    wanted="$PWD $(cksum < pyproject.toml)"
    if [ "$(cat "$stamp" 2> /dev/null)" = "$wanted" ]; then return; fi
    if [ "$(cat .venv/.installed-all 2> /dev/null)" = "$wanted" ]; then return; fi
    say "installing dwarf[$1] into .venv (the first time takes a minute or two)"
    .venv/bin/python -m pip install -qq --disable-pip-version-check -e ".[$1]"
    printf '%s\n' "$wanted" > "$stamp"
}
