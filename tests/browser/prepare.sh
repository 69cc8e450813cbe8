#!/bin/sh
# Sees that the browser tests have what they need: Chromium from Debian, axe-core from npm at the version locked here.
# Installs what is missing where it may (root on Debian or Ubuntu); otherwise prints the one line that does.
set -eu
cd "$(dirname "$0")"

missing=""
command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || missing="$missing chromium"
command -v npm >/dev/null 2>&1 || missing="$missing npm"

if [ -n "$missing" ]; then
    line="apt-get install -y --no-install-recommends$missing"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing what the browser tests need:$missing"
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive $line -qq; } >/dev/null || { echo "this failed: $line" >&2; exit 1; }
    else
        echo "The browser tests need$missing. On Debian or Ubuntu: sudo $line" >&2
        exit 1
    fi
fi
if ! cmp -s package-lock.json node_modules/.installed; then
    npm ci --no-audit --no-fund --loglevel=error >/dev/null
    cp package-lock.json node_modules/.installed
fi
