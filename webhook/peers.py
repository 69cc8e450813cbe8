"""Who is at the other end of a connection from this machine: somebody's program, an agent's, or a proxy.

Agents share the machine's network, and a proxy here brings anybody, so "it comes from loopback" does not tell them from
a person. The kernel's own table of connections does (proc_pid_net(5)): it names the user whose socket it is, and the
socket's number.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from jobs.shown import AGENT_UID

Address = tuple[str, int]
"""Host, as an IP address, and port."""

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_ESTABLISHED = "01"

_SYSTEM_ACCOUNTS = (range(1, 1000), range(61184, 65520), range(65534, 65535))
"""Accounts of services, not of people: Debian policy 9.2.2, and what systemd gives to services for a while (its
UIDS-GIDS.md)."""


@dataclass(frozen=True, slots=True)
class _Socket:
    uid: int
    inode: int


def may_be_an_agent(client: Address, server: Address) -> bool:
    """Whether a connection on this machine, seen from the server, may come out of a sandbox.

    When in doubt, yes: also where the connection was closed meanwhile, for then nobody owns it any more.

    Where the service is root, an agent has a user id of its own. Else it has the service's, and what counts is that
    the socket is open in a process of our own PID namespace: an agent's processes all are in another.
    """
    found = _socket_of(client, server)
    if found is None or found.inode == 0 or found.uid == AGENT_UID:
        return True
    return found.uid == os.geteuid() and not _is_ours(found.inode)


def may_be_a_proxy(client: Address, server: Address) -> bool:
    """Whether a connection on this machine comes from the account of another service, which may speak for anybody.

    A proxy that runs as root, or as a person, cannot be told from that person.
    """
    found = _socket_of(client, server)
    return found is not None and found.uid != os.geteuid() and any(found.uid in some for some in _SYSTEM_ACCOUNTS)


def _socket_of(client: Address, server: Address) -> _Socket | None:
    """The client's end of the connection, as long as it is open."""
    wanted = [_packed(*client), _packed(*server)]
    for table in _TABLES:
        with suppress(FileNotFoundError), Path(table).open() as lines:
            for line in lines:
                words = line.split()
                if words[3] == _ESTABLISHED and [_read(word) for word in words[1:3]] == wanted:
                    return _Socket(uid=int(words[7]), inode=int(words[9]))
    return None


def _packed(host: str, port: int) -> tuple[bytes, int]:
    address = ip_address(host)
    return (address if isinstance(address, IPv6Address) else IPv6Address(f"::ffff:{address}")).packed, port


def _read(word: str) -> tuple[bytes, int]:
    """Address and port as the table has them: 32-bit words in the processor's order of bytes, in hexadecimal."""
    digits, _, port = word.partition(":")
    parts = [int(digits[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(digits), 8)]
    packed = b"".join(parts)
    return packed if len(parts) > 1 else IPv6Address(f"::ffff:{ip_address(packed)}").packed, int(port, 16)


def _is_ours(inode: int) -> bool:
    """Whether a process of our own user and PID namespace has this socket open."""
    here = Path("/proc/self/ns/pid").readlink()
    for folder in _own_processes():
        with suppress(OSError):
            if (folder / "ns/pid").readlink() == here and _has_open(folder, f"socket:[{inode}]"):
                return True
    return False


def _own_processes() -> Iterator[Path]:
    with os.scandir("/proc") as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.name.isdigit() and entry.stat().st_uid == os.geteuid():
                    yield Path(entry.path)


def _has_open(folder: Path, what: str) -> bool:
    with os.scandir(folder / "fd") as entries:
        return any(_target(entry.path) == what for entry in entries)


def _target(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 - no path: "socket:[1234]"
    except OSError:
        return ""
