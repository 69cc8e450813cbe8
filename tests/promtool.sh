#!/bin/sh
# Puts promtool into the folder named, out of Debian's package prometheus: installing that would start a server.
set -eu
into=$1
[ ! -x "$into/promtool" ] || exit 0
if command -v promtool >/dev/null 2>&1; then
    ln -sf "$(command -v promtool)" "$into/promtool"
    exit 0
fi
command -v apt-get >/dev/null 2>&1 || { echo "the tests need promtool, a part of Prometheus, on PATH" >&2; exit 1; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
if [ "$(id -u)" = 0 ]; then
    chown _apt . 2>/dev/null || true
    apt-get download -qq prometheus >/dev/null 2>&1 || apt-get update -qq >/dev/null
fi
apt-get download -qq prometheus >/dev/null || { echo "this failed: apt-get download prometheus" >&2; exit 1; }
dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xO ./usr/bin/promtool >promtool
chmod 755 promtool
cd - >/dev/null
mv "$folder/promtool" "$into/promtool"
