"""A quick and, if asked, naughty HTTP server: plays tenants' hello scripts for the tests.

    python stub_server.py [--play NAME] [--uid N] [--gid N]

Prints `{"port": N}` when it listens on 127.0.0.1, and lives until its stdin is closed. One thread,
epoll, prepared replies: quick enough to leave a load generator the slower of the two.
"""

import argparse
import json
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import NamedTuple


class Act(NamedTuple):
    """What to send, and what to do then: `keep`, `close`, `reset` or `drop` (close unasked)."""

    data: bytes
    then: str = "keep"


Play = Callable[[str, bytes, int], Act]
"""(tenant, page, how many requests the connection has sent) to what the server does."""


def reply(page: bytes, status: str = "200 OK", *extra: str) -> bytes:
    fields = [f"HTTP/1.1 {status}", f"Content-Length: {len(page)}", *extra]
    return "\r\n".join([*fields, "", ""]).encode() + page


def chunked(page: bytes) -> bytes:
    parts = [page[: len(page) // 2], page[len(page) // 2 :], b""]
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body


def slowly(act: Act) -> Act:
    time.sleep(0.01)
    return act


PLAYS: dict[str, Play] = {
    "hello": lambda tenant, page, nth: Act(reply(page)),
    "wrong-status": lambda tenant, page, nth: Act(reply(page, "500 Internal Server Error")),
    "busy": lambda tenant, page, nth: Act(reply(b"later\n", "503 Service Unavailable")),
    "slow": lambda tenant, page, nth: slowly(Act(reply(page))),
    "wrong-second-tenant": lambda tenant, page, nth: Act(
        reply(page.replace(b"uid=4", b"uid=9") if tenant == "t0002" else page)
    ),
    "wrong-later": lambda tenant, page, nth: Act(
        reply(page if nth < 20 else page.replace(b"uid=4", b"uid=9"))
    ),
    "truncated": lambda tenant, page, nth: Act(reply(page)[:-5], "close"),
    "chunked": lambda tenant, page, nth: Act(chunked(page)),
    "until-close": lambda tenant, page, nth: Act(b"HTTP/1.1 200 OK\r\n\r\n" + page, "close"),
    "says-close": lambda tenant, page, nth: Act(
        reply(page, "200 OK", "Connection: close"), "close"
    ),
    "closes-idle": lambda tenant, page, nth: Act(reply(page), "close"),
    "reset": lambda tenant, page, nth: Act(b"", "reset"),
    "reset-midway": lambda tenant, page, nth: Act(reply(page)[:30], "reset"),
    "silent": lambda tenant, page, nth: Act(b""),
    "silent-later": lambda tenant, page, nth: Act(reply(page) if nth < 20 else b""),
    "not-http": lambda tenant, page, nth: Act(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "twice": lambda tenant, page, nth: Act(reply(page) * 2),
    "interim": lambda tenant, page, nth: Act(b"HTTP/1.1 103 Early Hints\r\n\r\n" + reply(page)),
    "huge": lambda tenant, page, nth: Act(reply(b"x" * 300_000)),
}


class Stub:
    """The event loop: one dictionary entry a connection."""

    def __init__(self, play: Play, uid: int, gid: int) -> None:
        self.play, self.uid, self.gid = play, uid, gid
        self.pages: dict[str, bytes] = {}
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listener.setblocking(False)
        self.epoll = select.epoll()
        self.epoll.register(self.listener, select.EPOLLIN)
        self.epoll.register(sys.stdin, select.EPOLLIN)
        self.peers: dict[int, socket.socket] = {}
        self.received: dict[int, bytes] = {}
        self.served: dict[int, int] = {}

    def serve(self) -> None:
        stdin, listener = sys.stdin.fileno(), self.listener.fileno()
        while True:
            for descriptor, _ in self.epoll.poll():
                if descriptor == stdin:
                    return
                if descriptor == listener:
                    self.accept()
                else:
                    self.read(descriptor)

    def accept(self) -> None:
        try:
            while True:
                peer, _ = self.listener.accept()
                peer.setblocking(False)
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                number = peer.fileno()
                self.peers[number], self.received[number], self.served[number] = peer, b"", 0
                self.epoll.register(number, select.EPOLLIN)
        except BlockingIOError:
            pass

    def read(self, number: int) -> None:
        try:
            data = self.peers[number].recv(65536)
        except OSError:
            data = b""
        if not data:
            self.forget(number)
            return
        request = self.received[number] + data
        head, blank, body = request.partition(b"\r\n\r\n")
        if not blank or len(body) < content_length(head):
            self.received[number] = request
            return
        self.received[number] = b""
        self.answer(number, head)

    def answer(self, number: int, head: bytes) -> None:
        if b"Host: " not in head:  # no request
            self.forget(number)
            return
        start = head.index(b"Host: ") + 6
        tenant = head[start : head.index(b".", start)].decode()
        self.served[number] += 1
        act = self.play(tenant, self.page(tenant), self.served[number])
        peer = self.peers[number]
        try:
            peer.setblocking(True)
            peer.sendall(act.data)
            peer.setblocking(False)
        except OSError:
            self.forget(number)
            return
        if act.then == "reset":
            # SO_LINGER with a time of zero makes close() send RST (socket(7)).
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if act.then != "keep" or b"Connection: close" in head:
            self.forget(number)

    def page(self, tenant: str) -> bytes:
        page = self.pages.get(tenant)
        if page is None:
            proof = f"isobench tenant={tenant} uid={self.uid} gid={self.gid} groups="
            page = self.pages[tenant] = f"{proof}\nHello from {tenant}\n".encode()
        return page

    def forget(self, number: int) -> None:
        self.epoll.unregister(number)
        self.peers.pop(number).close()


def content_length(head: bytes) -> int:
    _, found, rest = head.partition(b"Content-Length: ")
    return int(rest.partition(b"\r\n")[0]) if found else 0


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--play", default="hello", choices=sorted(PLAYS))
    arguments.add_argument("--uid", type=int, default=47001)
    arguments.add_argument("--gid", type=int, default=47001)
    given = arguments.parse_args()
    stub = Stub(PLAYS[given.play], given.uid, given.gid)
    print(json.dumps({"port": stub.listener.getsockname()[1]}), flush=True)
    stub.serve()


if __name__ == "__main__":
    main()
