"""What clients ask for, and scripts answer, does not stay in a server's memory."""

from pathlib import Path

import pytest

from tests.servers.live import Server, Sites, needs_root

pytestmark = needs_root

MIB = 1024 * 1024
BIG_HEADER = """
    import os
    print("Content-Type: text/plain")
    print("X-Big: " + os.environ["QUERY_STRING"] + "x" * 14 * 1024 * 1024)
    print()
"""
BIG_SCRIPT = "print('Content-Type: text/plain\\n')\nx = '" + "x" * 1_000_000 + "'\n"


def own_bytes(server: Server) -> int:
    """Return the memory of all of a server's processes that they do not share (proc_pid_smaps)."""
    total = 0
    for pid in server.everybody():
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue  # it has ended, such as a child of a zygote
        for line in text.splitlines():
            name, _, rest = line.partition(":")
            if name.startswith("Private_"):
                total += int(rest.split()[0]) * 1024
    return total


@pytest.mark.parametrize(
    "mode", ["cgi", "dso", "harache", "zygote", "fastcgi", "router", "groundhog"]
)
def test_answers_with_large_headers_do_not_stay(sites: Sites, mode: str) -> None:
    sites.put("big.py", BIG_HEADER)
    with Server(mode, sites) as server:
        # malloc keeps what one answer takes for the next (mallopt(3), M_MMAP_THRESHOLD).
        for number in range(3):
            assert server.get(f"/big.py?{number}").status == 500
        before = own_bytes(server)
        for number in range(3, 12):
            assert server.get(f"/big.py?{number}").status == 500
        # Nine headers of 14 MiB; a program that still ends, or what malloc keeps, is a third of it.
        server.wait_for(lambda: own_bytes(server) < before + 45 * MIB)


@pytest.mark.parametrize("mode", ["dso", "harache", "zygote", "sandbox", "router", "groundhog"])
def test_a_script_under_many_spellings_does_not_stay(sites: Sites, mode: str) -> None:
    sites.put("big.py", BIG_SCRIPT)
    with Server(mode, sites) as server:
        assert server.get("/big.py").status == 200
        before = own_bytes(server)
        for number in range(1, 25):
            spelled = "/" * number + "./" * (number % 3) + ("%62ig.py" if number % 2 else "big.py")
            assert server.get(spelled).status == 200
        server.wait_for(lambda: own_bytes(server) < before + 8 * MIB)
