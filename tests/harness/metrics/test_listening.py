"""How many wait for a server, as the kernel says it."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from harness.metrics import listening
from harness.metrics.listening import Queue, of_server, queues


@contextmanager
def crowded(waiting: int) -> Iterator[int]:
    """Listen, and let so many wait; provide the port."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=16))
        port: int = listener.getsockname()[1]
        for _ in range(waiting):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        yield port


def test_connections_that_wait_are_counted() -> None:
    with crowded(3) as port:
        (found,) = queues(port)
    assert (found.host, found.waiting) == ("127.0.0.1", 3)
    assert found.most in (16, None)


def test_a_kernel_without_netlink_is_read_from_proc(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(_port: int) -> None:
        raise OSError

    monkeypatch.setattr(listening, "_by_netlink", refused)
    with crowded(2) as port:
        assert queues(port) == [Queue("127.0.0.1", 2, None)]


def test_only_listeners_at_the_port_count(tmp_path: Path) -> None:
    table = tmp_path / "tcp"
    table.write_text(
        "  sl  local_address rem_address   st tx_queue rx_queue\n"
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000005 00:00000000\n"
        "   1: 0100007F:1F91 00000000:0000 0A 00000000:00000007 00:00000000\n"
        "   2: 0100007F:1F90 0100007F:C350 01 00000000:00000009 00:00000000\n"
    )
    assert list(listening._by_proc(8080, table)) == [Queue("127.0.0.1", 5, None)]


def test_queues_of_others_at_the_same_port_do_not_count() -> None:
    found = [Queue(host, 1, 8) for host in ("127.0.0.1", "127.0.0.2", "127.64.183.153")]
    assert [one.host for one in of_server(found, "127.0.0.1", None)] == ["127.0.0.1"]
    both = of_server(found, "127.0.0.1", "127.64.0.0/10")
    assert [one.host for one in both] == ["127.0.0.1", "127.64.183.153"]
