"""Clients' credentials: a connection's first packet says for whom it is, and proves it.

    python -m workloads.credential --make FILE
    python -m workloads.credential --key FILE --uid UID [--gid GID] URL

The first writes a new key, which server and clients share; the second sends one request as that
client and prints the reply, head and all. A host that ends with `.localhost`, which names the
tenant, is taken for 127.0.0.1.

The layout is in docs/modes.md, under "suzuki". Stamping takes CAP_NET_RAW: a tenant's shell cannot.
"""

import argparse
import hashlib
import os
import secrets
import socket
import struct
import sys
import time
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from workloads.errors import WorkloadError
from workloads.proof import Identity

KEY_BYTES = 32
OPTION = 0x9E
"""The IP option's number: for experiments, and copied into fragments (RFC 4727)."""
VERSION = 1
MAC_BYTES = 16

_CLAIM = struct.Struct("!BBBxIIIQ")
OPTION_BYTES = _CLAIM.size + MAC_BYTES
"""40, which is all that an IPv4 header has room for."""

TIMEOUT_S = 30.0
_LONGEST_KEY = 4096


class Stamper:
    """Makes credentials for connections from this host to one server."""

    def __init__(self, key: bytes, host: str, port: int) -> None:
        source = source_address(host, port)
        self._path = socket.inet_aton(source) + socket.inet_aton(host) + struct.pack("!H", port)
        self._keyed = hashlib.blake2s(key=key, digest_size=MAC_BYTES)

    def option(self, client: Identity) -> bytes:
        """Return a new credential of `client`, good for one connection, as an IP option."""
        nonce = secrets.randbits(64) or 1
        issued = int(time.time())
        claim = _CLAIM.pack(OPTION, OPTION_BYTES, VERSION, client.uid, client.gid, issued, nonce)
        mac = self._keyed.copy()
        mac.update(claim + self._path)
        return claim + mac.digest()

    def stamp(self, connection: socket.socket, client: Identity) -> None:
        """Have each packet of `connection`, which must not be connected yet, carry a credential.

        Each, since a lost first packet is sent again by the kernel. Raises OSError without
        CAP_NET_RAW.
        """
        connection.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, self.option(client))


def source_address(host: str, port: int) -> str:
    """Return the address of ours that a connection to `host` will come from; sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, port))
        address: str = probe.getsockname()[0]
        return address


def obstacle() -> str | None:
    """Return why this process cannot stamp connections, or None if it can."""
    with socket.socket() as probe:
        option = bytes([OPTION, OPTION_BYTES]) + bytes(OPTION_BYTES - 2)
        try:
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, option)
        except OSError:  # EINVAL, which is what ip(7) has for an option that one may not set
            return "sending clients' credentials needs CAP_NET_RAW, which this process lacks"
    return None


REMEDY = "run it as root of the host: root of a user namespace has no power over its network"


def read_key(path: Path) -> bytes:
    """Return the key in a file. Raises `WorkloadError`."""
    try:
        with open(path, "rb") as file:  # which may be without end, as /dev/zero is
            key = bytes.fromhex(file.read(_LONGEST_KEY).decode("ascii"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not in hexadecimal"
        raise WorkloadError(
            f"{path} holds no key: {reason}",
            hint="give the file that the server was started with: --key of isobench serve, or "
            "--credential-key",
        ) from None
    if len(key) != KEY_BYTES:
        raise WorkloadError(
            f"the key in {path} has {len(key)} bytes instead of {KEY_BYTES}",
            hint="create one: python -m workloads.credential --make FILE",
        )
    return key


def make_key(path: Path) -> Path:
    """Write a new key that only the caller can read, in place of a former one; return the path."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as file:
        file.write(secrets.token_hex(KEY_BYTES) + "\n")
    return path


def ask(url: SplitResult, key: bytes, client: Identity) -> bytes:
    """Send one GET request as `client` and return all that comes back. Raises `WorkloadError`."""
    if not url.hostname or not url.port:
        raise WorkloadError(
            f"no server at {url.geturl()!r}", hint="write http://t0001.localhost:PORT/hello.py"
        )
    if reason := obstacle():
        raise WorkloadError(reason, hint=REMEDY)
    host = "127.0.0.1" if url.hostname.endswith(".localhost") else url.hostname
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    request = f"GET {target} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n"
    try:
        address = socket.gethostbyname(host)
        with socket.socket() as connection:
            connection.settimeout(TIMEOUT_S)
            Stamper(key, address, url.port).stamp(connection, client)
            connection.connect((address, url.port))
            connection.sendall(request.encode())
            return b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError as error:
        raise WorkloadError(
            f"no reply from {url.netloc}: {error}",
            hint="check that `isobench serve suzuki` is running",
        ) from None


def main() -> int:
    """Make a key, or ask as somebody; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m workloads.credential", description="Ask a server as one of its clients."
    )
    add = parser.add_argument
    add("--make", type=Path, metavar="FILE", help="write a new key, and do nothing else")
    add("--key", type=Path, metavar="FILE", help="the key that the server has")
    add("--uid", type=int, help="whom to ask as")
    add("--gid", type=int, help="(default: the same number)")
    add("url", nargs="?", metavar="URL", help="such as http://t0001.localhost:8080/hello.py")
    given = parser.parse_args()
    try:
        if given.make:
            make_key(given.make)
            return 0
        if given.key is None or given.uid is None or given.url is None:
            parser.error("give --make FILE, or --key FILE, --uid UID and a URL")
        client = Identity(given.uid, given.uid if given.gid is None else given.gid)
        sys.stdout.buffer.write(ask(urlsplit(given.url), read_key(given.key), client))
    except (WorkloadError, OSError) as error:
        hint = getattr(error, "hint", "Choose another file.")
        print(f"error: {error}\nhint: {hint}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
