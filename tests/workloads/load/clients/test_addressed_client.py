"""Each request goes to its own address, by the lean client and by the compiled one."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from workloads.catalog import Connection
from workloads.errors import WorkloadError
from workloads.load.clients import library
from workloads.load.clients.addressed_client import AddressedClient
from workloads.load.spec import asks, read

MEASURE = """
import json, sys
from workloads.load.trial import Trial, measure

outcome = measure(Trial.read(json.loads(sys.argv[1])), lambda *_: None)
print(json.dumps([outcome.requests, outcome.errors, outcome.evidence]))
"""
CONNECTIONS = MEASURE.replace("outcome.errors, outcome.evidence", "outcome.connections")
HOSTS = ("127.64.0.1", "127.64.0.2", "127.64.0.3")


def _serve(listener: socket.socket) -> None:
    """Answer every request on a connection with the address that it came to."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    with connection:
        number = int(connection.getsockname()[0].rpartition(".")[2])
        body = f"isobench tenant=t000{number} uid={number} gid={number} groups=\n"
        body += f"Hello from t000{number}\n"
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            while connection.recv(65536):
                connection.sendall((head + body).encode())
        except OSError:
            return


@pytest.fixture(name="port", scope="module")
def _port() -> Iterator[int]:
    listeners = []
    port = 0
    for host in HOSTS:
        listener = socket.create_server((host, port), backlog=64)
        port = listener.getsockname()[1]
        listeners.append(listener)
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
    yield port
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def fields(port: int, client: str, connection: Connection) -> dict[str, object]:
    tenants = [
        {"name": f"t000{n}", "uid": n, "gid": n, "host": host} for n, host in enumerate(HOSTS, 1)
    ]
    return {
        "host": "127.0.0.1",
        "port": port,
        "workload": "hello",
        "tenants": tenants,
        "client": client,
        "connection": connection,
        "users": 2,
    }


def test_a_request_to_another_address_takes_another_connection(port: int) -> None:
    load = read(fields(port, "lean", "keep-alive"))
    first, second, _ = asks(load)
    hosts = {ask.request: ask.host for ask in asks(load)}
    with AddressedClient(hosts, port) as client:
        for ask, connections in ((first, 1), (first, 1), (second, 2), (first, 2), (second, 2)):
            reply = client.exchange(ask.request)
            assert ask.check(reply.status, reply.body) is None
            assert client.connections == connections


def test_a_client_keeps_a_bounded_number_of_connections(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workloads.load.clients.addressed_client.MOST_RESTING", 1)
    load = read(fields(port, "lean", "keep-alive"))
    first, second, third = asks(load)
    hosts = {ask.request: ask.host for ask in asks(load)}
    with AddressedClient(hosts, port) as client:
        for ask, connections in ((first, 1), (second, 2), (third, 3), (second, 3), (first, 4)):
            client.exchange(ask.request)
            assert client.connections == connections


def test_a_load_keeps_connections_to_several_addresses(
    port: int, in_locust: Callable[..., Any], tmp_path: object
) -> None:
    if library.obstacle():
        pytest.skip(str(library.obstacle()))
    for client in ("lean", "compiled"):
        trial = {**fields(port, client, "keep-alive"), "warmup_s": 0.05, "measure_s": 0.1}
        output = f"{tmp_path}/{client}"
        requests, connections = in_locust(CONNECTIONS, json.dumps({**trial, "output": output}))
        assert requests > connections
        assert connections <= 2 * len(HOSTS)  # of its two users


@pytest.mark.parametrize("client", ["lean", "compiled"])
@pytest.mark.parametrize("connection", ["close", "keep-alive"])
def test_a_load_asks_each_tenant_at_its_own_address(
    port: int,
    client: str,
    connection: Connection,
    in_locust: Callable[..., Any],
    tmp_path: object,
) -> None:
    if client == "compiled" and library.obstacle():
        pytest.skip(str(library.obstacle()))
    trial = {**fields(port, client, connection), "warmup_s": 0.05, "measure_s": 0.1}
    requests, *wrong = in_locust(MEASURE, json.dumps({**trial, "output": f"{tmp_path}/rows"}))
    assert requests > 0
    assert wrong == [0, None]


def test_a_client_that_knows_one_address_is_refused(port: int) -> None:
    with pytest.raises(WorkloadError, match="one address only"):
        read(fields(port, "fasthttp", "close"))
