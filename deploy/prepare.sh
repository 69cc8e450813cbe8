#!/bin/sh
# Sees that the system has what Kugetsu needs: Python 3.11 or newer with venv, git, npm, bubblewrap.
# Installs what is missing where it may (root on Debian or Ubuntu); otherwise prints the one line that does.
set -eu

missing=""
need() { missing="$missing $1"; }

python3 -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || need "python3 python3-venv"
command -v git >/dev/null 2>&1 || need git
command -v bwrap >/dev/null 2>&1 || need bubblewrap
command -v opencode >/dev/null 2>&1 || command -v npm >/dev/null 2>&1 || need npm

[ -n "$missing" ] || exit 0
line="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing what is missing:$missing"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive $line -qq; } >/dev/null || { echo "this failed: $line" >&2; exit 1; }
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "Kugetsu needs Python 3.11 or newer; this system has $(python3 --version)" >&2
        exit 1
    }
else
    echo "Kugetsu needs$missing. On Debian or Ubuntu: sudo $line" >&2
    exit 1
fi
