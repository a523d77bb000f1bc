"""Hostile requests for a worker that is put back after each, and whether it is.

    python -m tests.servers.modes.groundhog.fuzzing SECONDS [SEED]

goes on for so long, as root, with the keeper under AddressSanitizer and UndefinedBehaviorSanitizer,
and says what it found: where a worker was kept that is not as it was before the request, by all
that the kernel tells of it, and where the keeper does what C does not define. A worker that is
replaced is no finding. The tests do a little of it.
"""

import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from servers.kernel.seccomp import number_of
from servers.modes import groundhog
from servers.modes.sandbox import allowed_calls

SOURCES = Path(groundhog.__file__).parent
PROGRAM = Path(__file__).with_name("hostile.c")
MOST_SHOWN = 10
MOST_DEEDS = 6
FOUND = "XS"
"""The outcomes that are findings: kept and not as before; a crash, or a sanitizer's objection."""

_DEED = struct.Struct("<9Q")
_LONGEST = 32 * 1024
_HEAD = 8  # bytes that a message begins with
_STATUS = 77  # of a process that a sanitizer ends; hostile.c knows it
_OPTIONS = f"exitcode={_STATUS}:detect_leaks=0:use_sigaltstack=0:print_stacktrace=1:" + ":".join(
    f"handle_{signal}=0" for signal in ("segv", "sigbus", "sigfpe", "sigill", "abort")
)

# rseq(2): the kernel would write on which processor the worker is into the worker's memory.
_NO_RSEQ = {"GLIBC_TUNABLES": "glibc.pthread.rseq=0"}

# What a deed is: enum of hostile.c. How an argument is meant: likewise.
CALL, STORE, CHILD, EXTENSIONS, SEGMENT, KEYS, DEEPER, SAY = range(8)
PLAIN, IN_SCRATCH, RESULT, PLACE = range(4)

Argument = tuple[int, int]


class Deed(NamedTuple):
    """One thing that a request does; `call` is the number of a system call."""

    what: int
    call: int = 0
    arguments: tuple[Argument, ...] = ()

    def written(self) -> bytes:
        """Return it as hostile.c reads it."""
        given = [*self.arguments, *[(PLAIN, 0)] * (6 - len(self.arguments))]
        forms = sum(form << 4 * place for place, (form, _) in enumerate(given))
        return _DEED.pack(self.what, self.call, forms, *(value % (1 << 64) for _, value in given))


Case = tuple[Deed, ...]


def plain(*values: int) -> tuple[Argument, ...]:
    """Return arguments that are what they say."""
    return tuple((PLAIN, value) for value in values)


def call(name: str, *arguments: int | Argument) -> Deed:
    """Return a system call by its name; a number is an argument that is what it says."""
    meant = tuple(given if isinstance(given, tuple) else (PLAIN, given) for given in arguments)
    return Deed(CALL, number_of(name), meant)


class Outcome(NamedTuple):
    """A letter, as hostile.c explains it, and words."""

    kind: str
    words: str


class Keeper:
    """The keeper as a program with sanitizers, and a worker that does what it is told."""

    def __init__(self, folder: Path, deaf: bool = False) -> None:
        """Compile it into `folder`; a `deaf` one forgets what calls its worker has made."""
        self._program = compiled(folder)
        self._filter = folder / "filter"
        self._filter.write_bytes(allowed_calls.compiled(also=("vhangup",)))
        self._log = folder / "log"
        self._words = [str(self._program), str(self._filter), *(["deaf"] if deaf else [])]

    def __enter__(self) -> Self:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self._log.open("wb") as log:
            settings = {"ASAN_OPTIONS": _OPTIONS, "UBSAN_OPTIONS": _OPTIONS, **_NO_RSEQ}
            self._process = subprocess.Popen(
                self._words,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=log,
                env={**os.environ, **settings},
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        self._process.wait(10)

    def outcome(self, case: Case) -> Outcome:
        """Return what comes of a request. Raises AssertionError where the program itself ends."""
        before = self._log.stat().st_size
        self._ours.send(b"Q".ljust(_HEAD) + b"".join(deed.written() for deed in case))
        said = self._ours.recv(_LONGEST)
        assert said, self.log()
        kind, words = said[:1].decode(), said[1:].decode(errors="replace")
        return Outcome(kind, f"{words}\n{self.log()[before:]}" if kind == "S" else words)

    def log(self) -> str:
        """Return what keepers and sanitizers have said."""
        return self._log.read_text(errors="replace")


def compiled(folder: Path) -> Path:
    """Compile the program into `folder`, unless that was done before; return its path."""
    program = folder / "hostile"
    compiler = shutil.which("gcc") or shutil.which("clang")
    assert compiler, "sanitizers take gcc or clang"
    if not program.exists():
        subprocess.run(
            [
                *(compiler, "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"),
                *("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
                *(f"-I{SOURCES}", "-o", str(program), str(PROGRAM)),
            ],
            check=True,
        )
    return program


# What requests are made of

_SIZES = (0, 1, 4096, 8192, 1 << 16, 1 << 20, 2 << 20, 1 << 63, (1 << 64) - 1)
_SCRATCH = tuple((IN_SCRATCH, at) for at in (0, 64, 128, 192, 224, 256, 288, 320, 352, 384, 448))
_DESCRIPTORS = (0, 1, 2, 3, 4, 5, 1 << 32, (1 << 32) + 1, 0xFFFFFFFF)
_FLAGS_OF_MAPPINGS = (
    0x22,
    0x28,
    0x32,
    0x21,
    0x31,
    0x100022,
    0x4022,
    0x44022,
    0x40022,
    0x44032,
    0x122,
)
_PLACES = 11
_POPULATE = 0x8000  # what takes memory at once
_OPTIONS_OF_PROCESSES = (1, 3, 4, 7, 8, 15, 22, 23, 28, 29, 36, 38, 40, 41, 42, 65, 0x53564D41)

# Calls that come to an end, and leave files and other processes alone, whatever their arguments.
_ANY = """
    close close_range dup dup2 dup3 fcntl flock lseek fstat brk mmap munmap mremap mprotect madvise
    msync mincore mlock mlock2 munlock membarrier memfd_create eventfd2 pipe2
    epoll_create1 inotify_init1 timerfd_create signalfd4 socketpair setpgid setsid prctl arch_prctl
    set_tid_address set_robust_list rseq getpriority setpriority getrlimit setrlimit prlimit64
    landlock_create_ruleset landlock_restrict_self alarm setitimer getitimer timer_create
    rt_sigaction rt_sigprocmask rt_sigpending rt_sigqueueinfo sigaltstack ioctl umask chdir fchdir
    open ftruncate fchmod fchown getrandom capget sched_getaffinity pidfd_open
    getdents64 fadvise64 fallocate socket tgkill set_mempolicy personality unshare setns
    pkey_alloc pkey_mprotect io_uring_setup userfaultfd keyctl sched_setaffinity ioprio_set
    sched_setscheduler capset setuid mount bpf ptrace process_vm_writev modify_ldt
"""

(
    _STACK,
    _DATA,
    _HEAP,
    _INBOX,
    _POOL,
    _CODE,
    _BELOW_STACK,
    _POOLS_END,
    _LIBRARY,
    _HUGE,
    _DROPPABLE,
) = range(_PLACES)


def place(which: int, offset: int = 0) -> Argument:
    """Return an address of something that the worker has."""
    return PLACE, which + (offset << 8)


def scratch(offset: int) -> Argument:
    """Return an address in memory of the worker's, which begins with things to point to."""
    return IN_SCRATCH, offset


def result(which: int, offset: int = 0) -> Argument:
    """Return the result of an earlier deed."""
    return RESULT, which + (offset << 8)


# What a script could try, one idea each. Some have been holes.
KNOWN: dict[str, Case] = {
    "nothing": (),
    "a handler, by a number of more than 32 bits": (
        call("rt_sigaction", (1 << 32) + 10, scratch(64), 0, 8),
    ),
    "a handler for signal 0": (call("rt_sigaction", 0, scratch(64), 0, 8),),
    "the pool, mapped once more for writing": (
        call("mremap", place(_POOL), 0, 24 << 20, 1),
        call("mprotect", result(0), 24 << 20, 3),
        Deed(STORE, 0, (result(0, 100 * 4096), (PLAIN, 77))),
        Deed(STORE, 0, (result(0, 200 * 4096), (PLAIN, 77))),
    ),
    "a mapping where the stack may grow": (
        call("mmap", place(_BELOW_STACK), 8192, 3, 0x22, -1, 0),
        Deed(STORE, 0, (result(0), (PLAIN, 77))),
    ),
    "a mapping there that replaces nothing": (
        call("mmap", place(_BELOW_STACK), 8192, 3, 0x100022, -1, 0),
        Deed(STORE, 0, (result(0), (PLAIN, 77))),
    ),
    "a mapping moved there": (
        call("mmap", 0, 8192, 3, 0x22, -1, 0),
        call("mremap", result(0), 8192, 8192, 5, place(_BELOW_STACK)),
    ),
    "a larger page over its own": (call("mmap", place(_HUGE), 4096, 3, 0x44032, -1, 0),),
    "a neighbour of its own that is as it": (
        call("mmap", place(_POOL, 24 << 20), 4096, 0, 0x100022, -1, 0),
        call("mmap", place(_POOL, -4096), 4096, 0, 0x100022, -1, 0),
        call("mmap", place(_INBOX, -4096), 4096, 3, 0x100022, -1, 0),
        call("mmap", place(_INBOX, 1 << 16), 4096, 3, 0x100022, -1, 0),
    ),
    "a lock on an open file, by another number": (
        call("dup", 0),
        call("flock", result(0), 2),
    ),
    "a lock on a standard descriptor": (call("fcntl", 0, 6, scratch(1024)),),
    "a lock of an open file": (call("dup", 1), call("fcntl", result(0), 37, scratch(1024))),
    "an alternative stack, by the end of a handler": (
        call("rt_sigaction", 10, scratch(0), 0, 8),
        call("getpid"),
        call("kill", result(1), 10),
    ),
    "registers": (
        Deed(EXTENSIONS, 0, plain(0x1234567)),
        Deed(SEGMENT, 0, plain(0x7F0000000000)),
    ),
    "keys that allow one": (Deed(KEYS, 0, plain(0x55555554)),),
    "keys that forbid everything": (Deed(KEYS, 0, plain(0xFFFFFFFF)),),
    "a deep stack": (Deed(DEEPER, 0, plain(900)),),
    "a timer, and a handler": (
        call("setitimer", 0, scratch(128), 0),
        call("rt_sigaction", 15, scratch(64), 0, 8),
    ),
    "a child": (Deed(CHILD, 0, plain(17, 1)), call("pause")),
    "a child that borrows its memory": (
        Deed(CHILD, 0, plain(0x4111, 2)),
        call("mmap", 0, 8192, 3, 0x22, -1, 0),
        Deed(STORE, 0, (result(1), (PLAIN, 77))),
    ),
    "a grown break": (
        call("brk", 0),
        call("brk", result(0, 1 << 20)),
        Deed(STORE, 0, (result(0, 4096), (PLAIN, 77))),
    ),
    "memory that the kernel may drop": (
        Deed(STORE, 0, (place(_DROPPABLE), (PLAIN, 1))),
        Deed(STORE, 0, (place(_DROPPABLE, 2 * 4096), (PLAIN, 1))),
    ),
    "a mapping of its own that the kernel may drop": (
        call("mmap", 0, 8192, 3, 0x28, -1, 0),
        Deed(STORE, 0, (result(0), (PLAIN, 77))),
    ),
    "that memory, mapped away": (call("munmap", place(_DROPPABLE), 4096),),
    "many mappings": tuple(
        call("mmap", 0, 4096 * (1 + number % 3), number % 4, 0x22, -1, 0) for number in range(60)
    ),
    "words that are not there": (Deed(SAY, 0, plain(2, 8, 64)),),
    "words without an end": (Deed(SAY, 0, plain(2, 8, (1 << 64) - 1)),),
    "words of no kind": (Deed(SAY, 0, plain(1 << 32, 0, 0)),),
}


def cases(chance: random.Random) -> Iterator[Case]:
    """Yield cases without end."""
    known = list(KNOWN.values())
    while True:
        deeds = [_deed(chance) for _ in range(chance.randrange(1, MOST_DEEDS))]
        if chance.random() < 0.2:
            deeds = [*chance.choice(known), *deeds]
        yield tuple(deeds)


def _deed(chance: random.Random) -> Deed:
    kind = chance.random()
    if kind < 0.72:
        return _call(chance)
    if kind < 0.84:
        value = chance.getrandbits(64)
        return Deed(STORE, 0, (_address(chance), (PLAIN, value)))
    if kind < 0.9:
        flags = chance.choice((17, 17, 0x4111, 0x4111, 0x10F00, 0x200011, 0x8011, 0x80000011))
        return Deed(CHILD, 0, plain(flags, chance.randrange(4)))
    what = chance.choice((EXTENSIONS, SEGMENT, KEYS, DEEPER))
    value = chance.choice((0, 0x55555554, chance.getrandbits(47), chance.getrandbits(10)))
    if kind < 0.99:
        return Deed(what, 0, plain(value))
    return Deed(SAY, 0, (*plain(chance.randrange(4)), _address(chance), *plain(_size(chance))))


def _call(chance: random.Random) -> Deed:
    name = chance.choice(_ANY.split())
    made = _LIKELY.get(name)
    if made is not None and chance.random() < 0.8:
        return call(name, *made(chance))
    arguments = [_argument(chance) for _ in range(6)]
    if name == "mmap":
        arguments[3] = PLAIN, chance.choice(_FLAGS_OF_MAPPINGS)
    return call(name, *arguments)


def _size(chance: random.Random) -> int:
    return chance.choice(_SIZES)


def _address(chance: random.Random) -> Argument:
    kind = chance.random()
    if kind < 0.4:
        offset = chance.choice((0, 0, 4096, -4096, 8192, chance.randrange(-1 << 20, 1 << 20)))
        return place(chance.randrange(_PLACES), offset)
    if kind < 0.7:
        return result(chance.randrange(6), chance.choice((0, 0, 4096, 64)))
    return chance.choice((*_SCRATCH, scratch(chance.randrange(65536)), (PLAIN, 0)))


def _argument(chance: random.Random) -> Argument:
    kind = chance.random()
    if kind < 0.35:
        return PLAIN, chance.choice((*_DESCRIPTORS, *_SIZES))
    if kind < 0.5:
        return PLAIN, chance.randrange(64) | (chance.random() < 0.1) << 32
    return _address(chance)


def _flags(chance: random.Random) -> int:
    """Return a protection, and by way of exception one with more bits."""
    return chance.randrange(8) | (chance.random() < 0.05) << 32


def _mapped(chance: random.Random) -> Sequence[int | Argument]:
    at = _address(chance) if chance.random() < 0.6 else (PLAIN, 0)
    flags = chance.choice(_FLAGS_OF_MAPPINGS)
    return at, _size(chance), chance.randrange(4), flags, -1, 0


def _moved(chance: random.Random) -> Sequence[int | Argument]:
    return _address(chance), _size(chance), _size(chance), chance.randrange(8), _address(chance)


def _handled(chance: random.Random) -> Sequence[int | Argument]:
    number = chance.randrange(66) | (chance.random() < 0.2) << 32
    return number, scratch(64 * chance.randrange(2)), 0, 8


_LIKELY: dict[str, Callable[[random.Random], Sequence[int | Argument]]] = {
    "mmap": _mapped,
    "mremap": _moved,
    "munmap": lambda chance: (_address(chance), _size(chance)),
    "mprotect": lambda chance: (_address(chance), _size(chance), _flags(chance)),
    "madvise": lambda chance: (
        _address(chance),
        _size(chance),
        chance.choice((3, 4, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 25)),
    ),
    "rt_sigaction": _handled,
    "prctl": lambda chance: (
        chance.choice(_OPTIONS_OF_PROCESSES) | (chance.random() < 0.1) << 32,
        _argument(chance),
        _argument(chance),
        0,
        0,
    ),
    "setitimer": lambda chance: (chance.randrange(4), scratch(128), 0),
    "rt_sigprocmask": lambda chance: (chance.randrange(3), scratch(256), 0, 8),
    "sigaltstack": lambda _: (scratch(224), 0),
    "setrlimit": lambda chance: (chance.randrange(16), scratch(192)),
    "prlimit64": lambda chance: (chance.randrange(4), chance.randrange(16), scratch(192), 0),
    "open": lambda chance: (scratch(chance.choice((384, 448))), chance.choice((0, 2, 0x42)), 0o600),
    "fcntl": lambda chance: (
        chance.choice((*range(6), 1 << 32)),
        chance.choice((*range(16), 36, 37, 38, 1024, 1025, 1026, 1030, 1031, 1032, 1033, 1036)),
        chance.choice(((PLAIN, 0), (PLAIN, 0o4000), (PLAIN, 1), scratch(1024))),
    ),
    "flock": lambda chance: (chance.choice((0, 1, 3, 4)), chance.choice((1, 2, 5, 6))),
    "memfd_create": lambda _: (scratch(384), 0),
    "arch_prctl": lambda chance: (
        chance.choice((0x1001, 0x1002, 0x1003, 0x1012, 0x1022, 0x1023, 0x4001, 0x5001)),
        chance.choice((0, 1 << 20, 18)),
    ),
    "setpriority": lambda chance: (chance.randrange(3), chance.randrange(3), chance.randrange(20)),
}


def differences(
    keeper: Keeper, seconds: float, seed: int, most: int = sys.maxsize
) -> tuple[Counter[str], list[str]]:
    """Try for so long, or so many cases; return how often each outcome came, and the findings."""
    endless = cases(random.Random(seed))
    outcomes: Counter[str] = Counter()
    found: list[str] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end and outcomes.total() < most and len(found) < MOST_SHOWN:
        case = next(endless)
        kind, words = keeper.outcome(case)
        outcomes[kind] += 1
        if kind in FOUND:
            found.append(f"{kind}{words}\n  after {case}")
    return outcomes, found


def main() -> int:
    """Fuzz for as long as the command line says; return 1 where something was found."""
    seconds = float(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns()
    with tempfile.TemporaryDirectory() as folder, Keeper(Path(folder)) as keeper:
        outcomes, found = differences(keeper, seconds, seed)
    print(*found, sep="\n")
    counts = ", ".join(f"{count} {kind}" for kind, count in outcomes.most_common())
    print(f"{outcomes.total()} requests from seed {seed} ({counts}): {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
