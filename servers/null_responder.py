r"""`python -m servers.null_responder`: answers as fast as it can, and does nothing else.

What a load generator reaches against it is the generator's ceiling: no server that does something
can answer faster. It is no mode. It is told beforehand which answer each request is to get, and
never looks at what it sends.

    {"connection": "close",
     "answers": [{"head": "GET /hello.py HTTP/1.1\r\n...\r\n\r\n", "length": 118, "answer": "..."}]}

is the JSON text of the file `--answers`: `head` is a request up to the empty line, `length` the
number of its bytes with its body. Another client may write the same request with another head (see
`asked`): that is looked at once, and known from then on. Strategy, leanest first:

- close: accept, receive, send, close, one connection after the other, and each call waits. Who
  comes next is already in the listener's queue.
- keep-alive: epoll tells which of the open connections has sent a request.

Commands come on stdin as to any server: `usage` prints a line of JSON, the end of the stream ends
the process.
"""

from __future__ import annotations

import _thread
import argparse
import contextlib
import json
import os
import resource
import select
import socket
import struct
import sys
from typing import Final

_BACKLOG: Final = 1024
_CHUNK: Final = 256 * 1024
_HEAD_END: Final = b"\r\n\r\n"
_MOST_HEADS: Final = 10_000
# A connection on which nothing comes would keep all others waiting.
_PATIENCE: Final = struct.pack("ll", 1, 0)

Answers = dict[bytes, tuple[int, bytes]]
"""The head of a request to its length in bytes, and the whole answer to it."""


class Responder:
    """Answers known requests, and counts them in `served`."""

    def __init__(self, listener: socket.socket, answers: Answers) -> None:
        self._listener = listener
        self._answers = answers
        self._asked = {asked(head): (head, *answer) for head, answer in answers.items()}
        self.served = 0

    def serve_closing(self) -> None:
        """Serve for good, one request a connection."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                continue  # nobody came for a while
            with connection, contextlib.suppress(OSError):  # the client is gone, or sends nothing
                self.answer(connection)

    def serve_kept(self) -> None:
        """Serve for good, many requests a connection and many connections at once."""
        poll = select.epoll()
        listening = self._listener.fileno()
        poll.register(listening, select.EPOLLIN)
        connections: dict[int, socket.socket] = {}
        while True:
            for number, _ in poll.poll():
                if number == listening:
                    connection, _ = self._listener.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    connections[connection.fileno()] = connection
                    poll.register(connection.fileno(), select.EPOLLIN)
                elif not self._goes_on(connections[number]):
                    # Closing takes it out of the epoll set as well (epoll(7)).
                    connections.pop(number).close()

    def _goes_on(self, connection: socket.socket) -> bool:
        try:
            return self.answer(connection)
        except OSError:
            return False

    def answer(self, connection: socket.socket) -> bool:
        """Answer one request; False where there was none, or one that is not known.

        Raises OSError where the client is gone.
        """
        data = connection.recv(_CHUNK)
        if not data:
            return False
        while (end := data.find(_HEAD_END)) < 0:
            if len(data) > _CHUNK or not (more := connection.recv(_CHUNK)):
                return False
            data += more
        head = data[: end + len(_HEAD_END)]
        known = self._answers.get(head) or self._learn(head)
        if known is None:
            return False
        length, answer = known
        missing = length - len(data)
        while missing > 0:
            if not (more := connection.recv(_CHUNK)):
                return False
            missing -= len(more)
        self.served += 1  # first: who has the answer may ask at once for the count
        connection.sendall(answer)
        return True

    def _learn(self, head: bytes) -> tuple[int, bytes] | None:
        """Return the answer to a head that is new, of a request that is not; None to any other."""
        same = self._asked.get(asked(head))
        if same is None:
            return None
        usual, length, answer = same
        known = length - len(usual) + len(head), answer
        if len(self._answers) < _MOST_HEADS:
            self._answers[head] = known
        return known

    def usage(self) -> dict[str, object]:
        """Return what this process has served and used, under the names that a server's has."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "served": self.served,
            "processes_made": None,
            "cpu_s": used.ru_utime + used.ru_stime,
            "page_faults": used.ru_minflt + used.ru_majflt,
            "context_switches": used.ru_nvcsw + used.ru_nivcsw,
        }


def asked(head: bytes) -> bytes:
    """Return what tells one request from another, whoever wrote its head: request line and Host."""
    request_line, *fields = head.split(b"\r\n")
    hosts = [field[5:].strip() for field in fields if field[:5].lower() == b"host:"]
    return b"\n".join([request_line, *hosts])


def read_answers(text: str) -> tuple[bool, Answers]:
    """Return whether connections are kept alive, and the answers, of a file `--answers`."""
    content = json.loads(text)
    return content["connection"] == "keep-alive", {
        entry["head"].encode("latin-1"): (entry["length"], entry["answer"].encode("latin-1"))
        for entry in content["answers"]
    }


def main() -> int:
    """Serve until stdin ends."""
    arguments = _parser().parse_args()
    if arguments.cgroup:
        with open(f"{arguments.cgroup}/cgroup.procs", "w") as file:
            file.write("0")
    if arguments.cpus:
        os.sched_setaffinity(0, {int(number) for number in arguments.cpus.split(",")})
    with open(arguments.answers) as file:
        kept, answers = read_answers(file.read())
    if arguments.www:
        _become(*map(int, arguments.www.split(":")))
    listener = socket.create_server(("127.0.0.1", arguments.port), backlog=_BACKLOG)
    # Connections inherit it from the listener as they come in (sk_clone_lock in the kernel's
    # net/core/sock.c), so it is set before anybody is told to come.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PATIENCE)
    responder = Responder(listener, answers)
    _thread.start_new_thread(_obey, (responder,))
    host, port = listener.getsockname()
    _say({"ready": True, "mode": "null", "host": host, "port": port})
    if kept:
        responder.serve_kept()
    else:
        responder.serve_closing()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m servers.null_responder")
    add = parser.add_argument
    add("--answers", required=True, metavar="FILE", help="which answer to send to which request")
    add("--port", type=int, default=0, help="0: any free one (default: %(default)s)")
    add("--www", metavar="UID:GID", help="become this identity, if started as root")
    add("--cgroup", metavar="DIR", help="join this cgroup (v2) first")
    add("--cpus", metavar="N,N", help="run on these processors only")
    return parser


def _become(uid: int, gid: int) -> None:
    """Give up all privileges for good."""
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _obey(responder: Responder) -> None:
    """Carry out commands; the thread that does costs the one that serves nothing while it waits."""
    for line in sys.stdin:
        if line.strip() == "usage":
            _say(responder.usage())
    os._exit(0)


def _say(content: dict[str, object]) -> None:
    print(json.dumps(content), flush=True)


if __name__ == "__main__":
    sys.exit(main())
