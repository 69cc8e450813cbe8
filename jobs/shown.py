"""What the sandbox's root is made of: bubblewrap's options for the part of it that is the same for every place.

The list of /etc was found by tracing opencode, git, python, node, npm, gcc, make, java, Maven, curl, openssl; it has
what other distributions call the same. It is an allow-list: beside these lie shadow, private keys, and settings
of pip, git and other services that may hold passwords.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

SYSTEM_FOLDERS: Final = ("/usr", "/nix/store")
_SYSTEM_LINKS: Final = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")

_ETC: Final = (
    *("alternatives", "ca-certificates", "ca-certificates.conf", "crypto-policies", "debian_version", "fonts"),
    *("host.conf", "hosts", "inputrc", "java-*", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.alias"),
    *("locale.conf", "localtime", "lsb-release", "magic", "maven/m2.conf", "maven/logging", "mime.types"),
    *("nsswitch.conf", "os-release", "pki/ca-trust", "pki/tls/certs", "pki/tls/cert.pem", "profile", "protocols"),
    *("resolv.conf", "services", "shells", "ssl/certs", "ssl/cert.pem", "ssl/openssl.cnf", "terminfo", "timezone"),
)

# The kernel's switches; only root may turn them, and the agent is not root. A core pattern would run on the host.
_PROC: Final = ("acpi", "bus", "fs", "irq", "mtrr", "scsi", "sys", "sysrq-trigger")

MEMORY_FOLDER_BYTES: Final = 512 << 20
"""What each of these folders may hold, which lie in memory. TMPDIR lies on disk."""

_IN_MEMORY: Final = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108

AGENT_UID: Final = 65533
"""Who the agent is: no account of any system (Debian policy 9.2.2 keeps the number, systemd uses up to 65519), and
small enough to exist where a container knows only 65536 users."""

_AGENT: Final = "agent"
PASSWD: Final = f"root:x:0:0:root:/nonexistent:/bin/sh\n{_AGENT}:x:{AGENT_UID}:{AGENT_UID}:the agent:/tmp:/bin/sh\n"
GROUP: Final = f"root:x:0:\n{_AGENT}:x:{AGENT_UID}:\n"
IDENTITY: Final = {"passwd": PASSWD, "group": GROUP}
"""Files of /etc of our own: programs want a name for who they are, and need not know the machine's users."""


def system() -> list[str]:
    """Programs and libraries, read-only, and fresh /proc, /dev, /tmp."""
    options = ["--proc", "/proc", "--dev", "/dev", *above([Path("/var/tmp")])]  # noqa: S108
    options += [
        word
        for folder in _IN_MEMORY
        for word in ("--size", str(MEMORY_FOLDER_BYTES), "--perms", "1777", "--tmpfs", folder)
    ]
    options += read_only(map(Path, SYSTEM_FOLDERS))
    for link in map(Path, _SYSTEM_LINKS):
        if link.is_symlink():
            options += ["--symlink", str(link.readlink()), str(link)]
        else:
            options += ["--ro-bind-try", str(link), str(link)]
    return options + [word for name in _PROC for word in ("--ro-bind-try", f"/proc/{name}", f"/proc/{name}")]


def etc(identity: Path) -> list[str]:
    """What of /etc may be seen; `identity` is the folder that holds the files of IDENTITY."""
    found = [path for name in _ETC for path in sorted(Path("/etc").glob(name))]
    return read_only(found) + [
        word for name in IDENTITY for word in ("--ro-bind", str(identity / name), f"/etc/{name}")
    ]


def read_only(paths: Iterable[Path]) -> list[str]:
    """Shows these where they exist, and nothing that lies beside them."""
    paths = [path for path in paths if path.exists()]
    return above(paths) + [word for path in paths for word in ("--ro-bind-try", str(path), str(path))]


def writable(paths: Iterable[Path]) -> list[str]:
    """As `read_only`, for what must exist and may be changed."""
    paths = list(paths)
    return above(paths) + [word for path in paths for word in ("--bind", str(path), str(path))]


def above(paths: Iterable[Path]) -> list[str]:
    """The folders that lead to these, for all to pass: those bwrap makes by itself are for root alone."""
    folders = {folder for path in paths for folder in path.parents if folder != folder.parent}
    return [word for folder in sorted(map(str, folders)) for word in ("--dir", folder)]


def hidden(folders: Sequence[Path]) -> Iterator[str]:
    """Covers those of the folders that lie within what is shown."""
    for folder in folders:
        real = folder.resolve()
        if real.is_dir() and any(real.is_relative_to(system) for system in SYSTEM_FOLDERS):
            yield from ("--tmpfs", str(real))


def closed() -> list[str]:
    """The last options: nothing more can be made in the folders that only hold what is shown."""
    return ["--remount-ro", "/dev", "--remount-ro", "/"]
