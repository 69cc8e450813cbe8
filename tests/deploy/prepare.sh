#!/bin/sh
# Puts nginx and caddy into the folder named, out of Debian's packages: installing those would start servers. And sees
# that systemd-analyze and Debian's list of packages are there.
set -eu
into=$1

fetch() { # package, path in it
    name=$(basename "$2")
    [ ! -x "$into/$name" ] || return 0
    if command -v "$name" >/dev/null 2>&1 || [ -x "/usr/sbin/$name" ]; then
        ln -sf "$(PATH="$PATH:/usr/sbin" command -v "$name")" "$into/$name"
        return 0
    fi
    command -v apt-get >/dev/null 2>&1 || { echo "the tests need $name on PATH" >&2; exit 1; }
    folder=$(mktemp -d)
    cd "$folder"
    [ "$(id -u)" != 0 ] || chown _apt . 2>/dev/null || true
    apt-get download -qq "$1" >/dev/null 2>&1 || { [ "$(id -u)" != 0 ] || apt-get update -qq >/dev/null; }
    apt-get download -qq "$1" >/dev/null || { echo "this failed: apt-get download $1" >&2; exit 1; }
    dpkg-deb --fsys-tarfile "$1"_*.deb | tar -xO "$2" >"$into/.$name"
    cd - >/dev/null
    rm -rf "$folder"
    chmod 755 "$into/.$name"
    mv "$into/.$name" "$into/$name"
}

if [ "$(id -u)" = 0 ] && ! apt-cache show tini >/dev/null 2>&1; then
    apt-get update -qq >/dev/null
fi
fetch nginx ./usr/sbin/nginx
fetch caddy ./usr/bin/caddy
if ! command -v systemd-analyze >/dev/null 2>&1; then
    line="apt-get install -y --no-install-recommends systemd"
    [ "$(id -u)" = 0 ] || { echo "The tests of the units need systemd-analyze. On Debian or Ubuntu: sudo $line" >&2; exit 1; }
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive $line -qq; } >/dev/null || { echo "this failed: $line" >&2; exit 1; }
fi
