"""The proxies of deploy/proxy as they run: the examples, on loopback and with a certificate of the test's own."""

import datetime as dt
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.ports import free_port
from tests.unit.website import Website, address

PROXIES = Path(__file__).parents[2] / "deploy/proxy"
NAME = "kugetsu.example.com"
TOOLS = Path(sys.executable).parent
START_SECONDS = 20.0
OTHER_ACCOUNT = "user www-data;" if os.geteuid() == 0 else ""
"""As Debian's nginx has it: workers with an account of their own, where it is started by root."""

NAIVE = """
server {
    listen 443 ssl http2;
    ssl_certificate     /etc/ssl/certs/kugetsu.example.com.pem;
    ssl_certificate_key /etc/ssl/private/kugetsu.example.com.key;
    location / { proxy_pass http://127.0.0.1:8420; }
}
"""
"""What somebody writes who has never seen the example: the visitors look like this machine."""


@dataclass(frozen=True)
class Proxy:
    """A proxy that runs; its configuration has been checked by itself."""

    port: int
    folder: Path

    @contextmanager
    def visitor(self, comes_from: str = "127.0.0.2") -> Iterator[httpx.Client]:
        """Somebody's client, at an address of their own."""
        trusting = ssl.create_default_context(cafile=str(self.folder / "site.pem"))
        trusting.check_hostname = False
        transport = httpx.HTTPTransport(verify=trusting, local_address=comes_from)
        with httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}",
            headers={"Host": NAME},
            transport=transport,
            event_hooks={"request": [lambda request: request.extensions.update(sni_hostname=NAME)]},
            trust_env=False,
            timeout=30,
        ) as client:
            yield client


@contextmanager
def nginx(site: Website, text: str | None = None) -> Iterator[Proxy]:
    """The example, or `text`, in a real nginx."""
    with _folder() as folder:
        port, plain = free_port(), free_port()
        _, ours = address(site.url)
        changed = {
            "listen 80;": f"listen 127.0.0.1:{plain};",
            "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
            "    listen [::]:80;\n": "",
            "    listen [::]:443 ssl http2;\n": "",
            "/etc/ssl/certs/kugetsu.example.com.pem": str(folder / "site.pem"),
            "/etc/ssl/private/kugetsu.example.com.key": str(folder / "site.key"),
            "127.0.0.1:8420": f"127.0.0.1:{ours}",
        }
        text = (PROXIES / "nginx.conf").read_text() if text is None else text
        for before, after in changed.items():
            text = text.replace(before, after)
        (folder / "kugetsu.conf").write_text(text)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        spare = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
        (folder / "nginx.conf").write_text(
            f"{OTHER_ACCOUNT} daemon off; master_process on; pid {folder}/pid; error_log stderr;\n"
            f"events {{ }}\nhttp {{ access_log off;\n{spare}\ninclude {folder}/kugetsu.conf; }}\n"
        )
        argv = [str(TOOLS / "nginx"), "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
        _check([*argv, "-t"], folder)
        with _running(argv, folder, port):
            yield Proxy(port, folder)


@contextmanager
def caddy(site: Website) -> Iterator[Proxy]:
    """The example in a real Caddy."""
    with _folder() as folder:
        port = free_port()
        _, ours = address(site.url)
        text = (PROXIES / "Caddyfile").read_text()
        tls = f"\ttls {folder}/site.pem {folder}/site.key\n\tbind 127.0.0.1\n"
        text = text.replace(f"{NAME} {{\n", f"https://{NAME}:{port} {{\n{tls}").replace(":8420", f":{ours}")
        options = f"{{\n\tadmin off\n\tauto_https disable_redirects\n\tstorage file_system {folder}\n}}\n"
        (folder / "Caddyfile").write_text(options + text)
        argv = [str(TOOLS / "caddy"), "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
        _check([argv[0], "validate", *argv[1:]], folder)
        with _running([argv[0], "run", *argv[1:]], folder, port):
            yield Proxy(port, folder)


@contextmanager
def _folder() -> Iterator[Path]:
    """Not below pytest's own, into which a proxy's account may not look."""
    folder = Path(tempfile.mkdtemp(prefix="kugetsu-proxy-"))
    folder.chmod(0o755)
    try:
        _write_certificate(folder)
        yield folder
    finally:
        shutil.rmtree(folder)


def _write_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "site.pem").write_bytes(made.public_bytes(pem))
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "site.key").write_bytes(secret)


def _environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder)}


def _check(argv: Sequence[str], folder: Path) -> None:
    done = subprocess.run(argv, env=_environment(folder), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def _running(argv: Sequence[str], folder: Path, port: int) -> Iterator[None]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, env=_environment(folder), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until = time.monotonic() + START_SECONDS
        while not _listens(port):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
