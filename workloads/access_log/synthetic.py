"""Access logs of visitors that nobody is, in Apache's formats: for tests, and to try a replay.

python -m workloads.access_log.synthetic [REQUESTS [HOSTS [SECONDS]]] > access.log
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import numpy as np

from workloads.popularity import Popularity, draw

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_PATHS = ("/", "/index.php", "/shop/cart?session=8a7f", "/style.css", "/logo.png", "/api/items/7")
_AGENT = "Mozilla/5.0 (X11; Linux x86_64)"
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


@dataclass(frozen=True)
class Visit:
    """A request as a server logs it; `host` None makes a line of the format `combined`."""

    at: datetime
    host: str | None
    address: str = "192.0.2.1"
    user: str = "-"
    request: str = "GET / HTTP/1.1"
    status: int = 200
    size: int = 512
    referer: str = "-"
    agent: str = _AGENT
    port: int = 80


def line(visit: Visit) -> str:
    """Return a visit as Apache logs it, without the end of the line."""
    vhost = "" if visit.host is None else f"{visit.host}:{visit.port} "
    at = visit.at
    # Not by strftime(3), which names months in the language of the locale.
    time = f"{at:%d}/{_MONTHS[at.month - 1]}/{at.year:04}:{at:%H:%M:%S} {at:%z}"
    return (
        f'{vhost}{visit.address} - {visit.user} [{time}] "{escaped(visit.request)}" '
        f'{visit.status} {visit.size} "{escaped(visit.referer)}" "{escaped(visit.agent)}"'
    )


def escaped(text: str) -> str:
    """Return a text as it stands within quotes in a log."""
    return "".join(_ESCAPES.get(one) or _printable(one) for one in text)


def _printable(one: str) -> str:
    if " " <= one <= "~":
        return one
    return "".join(f"\\x{byte:02x}" for byte in one.encode("utf-8", "surrogateescape"))


def visits(
    requests: int, hosts: int, seconds: float, seed: int = 1, exponent: float = 1.0
) -> Iterator[Visit]:
    """Yield visits to hosts whose popularity follows Zipf's law, at the times of a Poisson process.

    They take about so many seconds; addresses are of the networks for documentation (RFC 5737 and
    RFC 3849).
    """
    random = np.random.default_rng(seed)
    begin = datetime(2026, 11, 28, 14, tzinfo=timezone(timedelta(hours=1)))
    at = np.sort(random.uniform(0, seconds, requests))
    chosen = draw(Popularity(exponent), hosts, seed, requests)
    paths = random.integers(len(_PATHS), size=requests)
    numbers = random.integers(1, 255, size=requests)
    for second, host, path, number in zip(at, chosen, paths, numbers, strict=True):
        six = number % 2
        yield Visit(
            at=begin + timedelta(seconds=float(second)),
            host=f"site{host}.example",
            address=f"2001:db8::{number:x}" if six else f"198.51.100.{number}",
            request=f"GET {_PATHS[path]} HTTP/1.1",
            status=404 if number > 250 else 200,
        )


def main() -> int:
    """Write a log to stdout."""
    numbers = [int(word) for word in sys.argv[1:4]]
    requests, hosts, seconds = [*numbers, *(10_000, 50, 3600)[len(numbers) :]]
    for visit in visits(requests, hosts, seconds):
        sys.stdout.write(f"{line(visit)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
