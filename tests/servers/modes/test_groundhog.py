"""What is special to `groundhog`: what a request changes in its worker, the next does not find."""

import errno
import os
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.errors import Unavailable
from servers.modes.groundhog import keeping, tracking
from tests.servers.live import Server, Sites, name_of, needs_root, request, state_of

pytestmark = needs_root

OK = "print('Content-Type: text/plain\\n')\n"

LOOK = (
    OK
    + r"""
import builtins, ctypes, fcntl, gc, os, re, resource, signal, sys
libc = ctypes.CDLL(None)
libm = ctypes.CDLL("libm.so.6")
status = open("/proc/self/status").read()
def of(name):
    return re.search(rf"^{name}:\s*(.*)$", status, re.MULTILINE)[1]
def links():
    for number in sorted(map(int, os.listdir("/proc/self/fd"))):
        try:
            yield number, os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            pass
try:
    children = os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    children = None
class Stack(ctypes.Structure):
    _fields_ = (("at", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))
stack = Stack()
libc.sigaltstack(None, ctypes.byref(stack))
libc.sbrk.restype = libc.getenv.restype = ctypes.c_void_p
spans = [line.split()[:2] for line in open("/proc/self/maps")]
sizes = [(span.split("-"), kind) for span, kind in spans]
handlers = [signal.getsignal(n) for n in signal.valid_signals()]
try:
    with open(os.path.dirname(__file__) + "/lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        may_lock = True
except OSError:
    may_lock = False
seen = {
    "builtins": (len(dir(builtins)), builtins.len is len, hasattr(builtins, "mark")),
    "modules": hasattr(os, "mark"),
    "C heap": (libc.getenv(b"MARK"), libc.rand()),
    "mappings": (len(spans), sum(int(b, 16) - int(a, 16) for (a, b), _ in sizes)),
    "writable": sum(kind.startswith("rw") for _, kind in spans),
    "descriptors": list(links()),
    "flags": [fcntl.fcntl(n, fcntl.F_GETFL) for n in range(3)],
    "threads": len(os.listdir("/proc/self/task")),
    "processes": sorted(name for name in os.listdir("/proc") if name.isdigit()),
    "children": children,
    "timers": [signal.getitimer(n) for n in range(3)],
    "signals": [of(n) for n in ("SigQ", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt")],
    "handlers": [repr(h) for h in handlers],
    "alternative stack": (stack.at, stack.size),
    "umask": of("Umask"),
    "limits": [resource.getrlimit(n) for n in range(16)],
    "priority": os.getpriority(os.PRIO_PROCESS, 0),
    "name": open("/proc/self/comm").read(),
    "filters": (of("Seccomp"), of("Seccomp_filters"), of("NoNewPrivs")),
    "dumpable": libc.prctl(3, 0, 0, 0, 0),
    "group": (os.getpgid(0), os.getsid(0)),
    "identity": (os.getresuid(), os.getresgid(), os.getgroups()),
    "environment": "MARK" in os.environ,
    "rounding": libm.fegetround(),
    "interpreter": (sys.getrecursionlimit(), gc.get_threshold(), sys.path, repr(sys.excepthook)),
    "locked memory": of("VmLck"),
    "may write": os.access(os.path.dirname(__file__), os.W_OK) and bool(open("w", "w")),
    "may lock": may_lock,
}
for item in seen.items():
    print(item)
"""
)

# What a script does, and whether its worker can be put back: else another takes its place.
UNDONE = {
    "an attribute of a builtin module": "import builtins; builtins.mark = 1",
    "a patched builtin": "import builtins; builtins.len = lambda thing: 7",
    "an attribute of a module": "import os; os.mark = 1",
    "a variable of the C library": """
        import ctypes
        ctypes.CDLL(None).setenv(b'MARK', b'1', 1); ctypes.CDLL(None).srand(77)""",
    "large objects": "import builtins; builtins.mark = [bytes(1 << 20) for _ in range(40)]",
    "many objects": "import builtins; builtins.mark = [object() for _ in range(200_000)]",
    "a break that has grown": "import ctypes; ctypes.CDLL(None).sbrk(1 << 22)",
    "mappings": """
        import builtins, mmap
        builtins.mark = [mmap.mmap(-1, 1 << 20) for _ in range(9)]
        builtins.mark[0][:] = b'x' * (1 << 20)""",
    "a mapping of a file": """
        import builtins, mmap
        with open(__file__) as file:
            builtins.mark = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)""",
    "a mapping without access": """
        import ctypes
        libc = ctypes.CDLL(None)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap(None, 1 << 20, 0, 0x22, -1, 0)""",
    "a deep stack": """
        import sys
        sys.setrecursionlimit(20_000)
        def down(n): return n and down(n - 1) + sorted([1], key=lambda x: 0)[0]
        down(5_000)""",
    "open descriptors": "import os; [os.open('/dev/null', os.O_RDONLY) for _ in range(9)]",
    "a pipe and an event": "import os; os.pipe(); os.eventfd(1)",
    "a listening socket": """
        import builtins, socket
        builtins.mark = socket.socket(socket.AF_UNIX); builtins.mark.bind(b'\\0name')
        builtins.mark.listen()""",
    "a socket that does not block": """
        import builtins, socket
        builtins.mark = socket.socketpair(); builtins.mark[0].setblocking(False)""",
    "a locked file": """
        import builtins, fcntl, os
        builtins.mark = open(os.path.dirname(__file__) + '/lock', 'w')
        fcntl.flock(builtins.mark, fcntl.LOCK_EX)""",
    "a child": "import os, time\nif os.fork() == 0: time.sleep(60); os._exit(0)",
    "an orphan": """
        import os, time
        if os.fork() == 0:
            if os.fork() == 0: time.sleep(60)
            os._exit(0)
        os.wait()""",
    "a dead child": """
        import os
        if not (child := os.fork()): os._exit(0)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)""",
    "a session of its own": """
        import os, time
        if os.fork() == 0: os.setsid(); time.sleep(60)""",
    "a program": "import subprocess; subprocess.run(['/bin/true'], check=True)",
    "a program that goes on": "import subprocess; subprocess.Popen(['/bin/sleep', '60'])",
    "timers": """
        import signal
        signal.setitimer(signal.ITIMER_REAL, 60); signal.setitimer(signal.ITIMER_PROF, 60)""",
    "an alarm": "import signal; signal.alarm(60)",
    "a handler": "import signal; signal.signal(signal.SIGUSR2, print)",
    "an ignored signal": "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "a blocked signal": """
        import signal
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGTRAP])""",
    "a handler, by a number whose upper half counts for nothing": """
        import ctypes, struct
        ignore = ctypes.create_string_buffer(struct.pack('4Q', 1, 0, 0, 0))
        number = ctypes.c_ulong((1 << 32) + 12)
        assert ctypes.CDLL(None).syscall(13, number, ignore, None, ctypes.c_size_t(8)) == 0""",
    "an alternative stack, by the end of a handler": """
        import ctypes, struct
        libc = ctypes.CDLL(None)
        stack = ctypes.create_string_buffer(32768)
        def alter(number, info, context):
            words = struct.pack('QQQ', ctypes.addressof(stack), 0, 32768)
            ctypes.memmove(context + 16, words, 24)
        handler = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(alter)
        at = ctypes.cast(handler, ctypes.c_void_p).value
        action = ctypes.create_string_buffer(struct.pack('Q128xixxxxQ', at, 4, 0))
        assert libc.sigaction(12, action, None) == 0
        libc.raise_ = libc['raise']
        libc.raise_(12)""",
    "its snapshot, mapped once more": """
        import ctypes
        libc = ctypes.CDLL(None)
        libc.mremap.restype = ctypes.c_void_p
        span = next(line for line in open('/proc/self/maps') if 'memfd:pool' in line).split()[0]
        start, end = (int(number, 16) for number in span.split('-'))
        size = ctypes.c_size_t(end - start)
        copy = libc.mremap(ctypes.c_void_p(start), ctypes.c_size_t(0), size, 1)
        if libc.mprotect(ctypes.c_void_p(copy), size, 3) == 0:
            ctypes.memset(copy + 13 * 4096, 255, 1 << 20)""",
    "a mapping where its stack may grow": """
        import ctypes
        libc = ctypes.CDLL(None)
        libc.mmap.restype = ctypes.c_void_p
        span = next(line for line in open('/proc/self/maps') if '[stack]' in line).split()[0]
        at = int(span.split('-')[0], 16) - (4 << 20)
        assert libc.mmap(ctypes.c_void_p(at), ctypes.c_size_t(8192), 3, 0x22, -1, 0) == at
        ctypes.memset(at, 77, 8192)""",
    "a directory": "import os; os.chdir('/')",
    "a umask": "import os; os.umask(0)",
    "an environment": "import os; os.environ['MARK'] = '1'; os.putenv('MARK', '1')",
    "a rounding mode": "import ctypes; ctypes.CDLL('libm.so.6').fesetround(0x800)",
    "an interpreter's settings": """
        import gc, sys
        sys.setrecursionlimit(77); gc.set_threshold(1)
        sys.path.append('/tmp'); sys.excepthook = 7""",
    "what others may see": "import ctypes; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)",
    "an exception": "raise ValueError('left')",
    "an exit": "import sys; sys.exit('words')",
}
REPLACED = {
    "a part of its memory unmapped": """
        import ctypes
        span = next(line for line in open('/proc/self/maps') if 'memfd:pool' in line).split()[0]
        start, end = (int(number, 16) for number in span.split('-'))
        ctypes.CDLL(None).munmap(ctypes.c_void_p(end - 4096), ctypes.c_size_t(4096))""",
    "another protection of its memory": """
        import ctypes
        span = next(line for line in open('/proc/self/maps') if 'memfd:pool' in line).split()[0]
        start, end = (int(number, 16) for number in span.split('-'))
        ctypes.CDLL(None).mprotect(ctypes.c_void_p(end - 4096), ctypes.c_size_t(4096), 0)""",
    "something mapped over its memory": """
        import ctypes
        span = next(line for line in open('/proc/self/maps') if 'memfd:pool' in line).split()[0]
        start, end = (int(number, 16) for number in span.split('-'))
        libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p
        libc.mmap(ctypes.c_void_p(end - 4096), ctypes.c_size_t(4096), 1, 0x32, -1, 0)""",
    "an advice about its memory": """
        import ctypes
        span = next(line for line in open('/proc/self/maps') if '[heap]' in line).split()[0]
        start, end = (int(number, 16) for number in span.split('-'))
        ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(4096), 16)""",
    "locked memory": """
        import ctypes
        span = next(line for line in open('/proc/self/maps') if '[heap]' in line).split()[0]
        start = ctypes.c_void_p(int(span.split('-')[0], 16))
        ctypes.CDLL(None).mlock(start, ctypes.c_size_t(1))""",
    "a closed descriptor": "import os; os.close(0)",
    "a closed range": "import os; os.closerange(0, 2)",
    "a descriptor put over another": "import os; os.dup2(os.open('/dev/zero', os.O_RDONLY), 0)",
    "a flag of an open file": "import os; os.set_blocking(0, False)",
    "a flag of it by another number": """
        import fcntl, os
        fcntl.fcntl(os.dup(0), fcntl.F_SETFL, os.O_NONBLOCK)""",
    "who gets an open file's signals": "import fcntl; fcntl.fcntl(1, fcntl.F_SETOWN, 1)",
    "more mappings than can be listed": """
        import ctypes, os
        libc = ctypes.CDLL(None)
        libc.mmap.restype = ctypes.c_void_p
        with open(os.path.dirname(__file__) + '/' + 'n' * 200, 'w+b') as file:
            file.truncate(4096)
            for number in range(2200):
                libc.mmap(None, ctypes.c_size_t(4096), 1 + number % 2, 2, file.fileno(), 0)""",
    "a lock": "import fcntl; fcntl.lockf(0, fcntl.LOCK_EX)",
    "a lock by another number": "import fcntl, os; fcntl.flock(os.dup(0), fcntl.LOCK_EX)",
    "a lock of an open file by another number": """
        import fcntl, os, struct
        whole = struct.pack('hhqqi', fcntl.F_WRLCK, 0, 0, 0, 0)
        fcntl.fcntl(os.dup(0), fcntl.F_OFD_SETLK, whole)""",
    "a thread": """
        import threading, time
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()""",
    "a timer of POSIX": """
        import ctypes
        made = ctypes.c_void_p()
        assert ctypes.CDLL(None).timer_create(1, None, ctypes.byref(made)) == 0""",
    "a pending signal": """
        import os, signal
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        os.kill(os.getpid(), signal.SIGTERM)""",
    "an alternative stack": "import faulthandler, sys; faulthandler.enable(open('/dev/null'))",
    "a limit": "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (57, 57))",
    "a limit, by its child": """
        import os, resource as r
        if os.fork() == 0: r.prlimit(os.getppid(), r.RLIMIT_NOFILE, (57, 57)); os._exit(0)
        os.wait()""",
    "a priority": "import os; os.nice(5)",
    "a name": "import ctypes; ctypes.CDLL(None).prctl(15, b'another', 0, 0, 0)",
    "a filter": """
        import ctypes, struct
        allow = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0x7fff0000), 8)
        program = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', 1, ctypes.addressof(allow)))
        assert ctypes.CDLL(None).prctl(22, 2, program, 0, 0) == 0""",
    "a Landlock domain": """
        import ctypes
        libc = ctypes.CDLL(None)
        handled = ctypes.c_uint64(2)
        rules = libc.syscall(444, ctypes.byref(handled), ctypes.c_size_t(8), 0)
        assert rules >= 0 and libc.syscall(446, rules, 0) == 0""",
    "its list of robust futexes": """
        import ctypes
        assert ctypes.CDLL(None).syscall(273, None, ctypes.c_size_t(24)) == 0""",
}


@pytest.fixture(name="server", scope="module")
def _server(shared_sites: Sites) -> Iterator[Server]:
    with Server("groundhog", shared_sites, "--script-seconds", "5") as running:
        for name, source in (UNDONE | REPLACED).items():
            shared_sites.put(file_of(name), OK + "print('done')\n" + textwrap.dedent(source))
        shared_sites.put("look.py", LOOK)
        yield running


def file_of(name: str) -> str:
    return f"{name.replace(' ', '-').replace(chr(39), '').replace(',', '')}.py"


def look(server: Server) -> list[str]:
    reply = server.get("/look.py")
    assert reply.status == 200, reply.text + server.log()
    return reply.text.splitlines()


def keepers(server: Server) -> list[int]:
    return [pid for pid in server.everybody() if name_of(pid) == "keeper"]


def differences(before: list[str], after: list[str]) -> list[tuple[str, str]]:
    return [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]


@pytest.mark.parametrize("name", UNDONE)
def test_the_worker_is_put_back_after(server: Server, name: str) -> None:
    before, kept = look(server), keepers(server)
    assert server.get(f"/{file_of(name)}").status in (200, 500), server.log()
    changed = [was for was, _ in differences(before, look(server))]
    if changed:  # to learn a script may take one more of Python's arenas, once
        assert [
            line for line in changed if not line.startswith(("('mappings'", "('writable'"))
        ] == []
        before = look(server)
        assert server.get(f"/{file_of(name)}").status in (200, 500), server.log()
        assert differences(before, look(server)) == []
    assert keepers(server) == kept, "the worker was replaced"


@pytest.mark.parametrize("name", REPLACED)
def test_the_worker_is_replaced_after(server: Server, name: str) -> None:
    before, kept = look(server), keepers(server)
    reply = server.get(f"/{file_of(name)}")
    assert (reply.status, "done" in reply.text) == (200, True), reply.text + server.log()
    changed = [was for was, _ in differences(before, look(server))]
    # How large its heap is may differ from one worker to the next, and so what rand(3) begins with.
    of_a_heap = ("('C heap'", "('mappings'", "('writable'")
    assert [line for line in changed if not line.startswith(of_a_heap)] == []
    assert keepers(server) != kept, "the worker was kept"


def ended(server: Server) -> list[int]:
    """Return the ids of processes that have ended but are not reaped."""
    return [pid for pid in server.everybody() if state_of(pid) == "Z"]


# What a script may try against who keeps it

SAY = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def say(what, content):
    result = libc.syscall(153, what, content, ctypes.c_size_t(len(content)))
    return result, ctypes.get_errno()
"""
PAGE = "b'\\1' + b'Content-Type: text/plain\\n\\nforged\\n'"
MISBEHAVED = {
    "it dies": ("import os; os._exit(0)", 502),
    "it crashes": ("import ctypes; ctypes.string_at(8)", 502),
    "it hangs": ("import time; time.sleep(60)", 504),
    "it becomes another program": ("import os; os.execv('/bin/true', ['true'])", 502),
    "it answers for itself": (f"{SAY}\nsay(2, {PAGE})", 200),
    "it answers nothing": (f"{SAY}\nsay(2, b'')", 502),
    "it asks back without end": (f"{SAY}\nsay(3, __file__.encode())", 502),
    "it asks back for what is not its own": (f"{SAY}\nsay(3, b'/etc/passwd')", 502),
    "it asks back for what is not there": (f"{SAY}\nlibc.syscall(153, 3, 8, 4096)", 502),
    "it answers with what is not there": (f"{SAY}\nlibc.syscall(153, 2, 8, 4096)", 502),
    "it answers without end": (f"{SAY}\nlibc.syscall(153, 2, 8, ctypes.c_size_t(-1))", 502),
    "it answers from a child": (
        f"{SAY}\nimport os\nif os.fork() == 0:\n"
        f"    os._exit(say(2, {PAGE}) != (-1, 1))\nassert os.wait()[1] == 0\n{OK}",
        200,
    ),
    "it says that it rests": (f"{SAY}\nsay(1, b'')", 502),
    "it says what it should not": (f"{SAY}\nsay(77, b'')", 502),
    "it kills all that it can": (
        f"{OK}\nimport os, signal\nfor process in 1, 2:\n"
        "    for number in signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL:\n"
        "        os.kill(process, number)",
        200,
    ),
    "it limits its keeper": (
        f"{OK}\nimport resource\ntry: resource.prlimit(1, resource.RLIMIT_CPU, (0, 0))\n"
        "except PermissionError: print('refused')",
        200,
    ),
    "it slows its keeper": (
        f"{OK}\nimport os\ntry: os.setpriority(os.PRIO_PROCESS, 1, 19)\n"
        "except PermissionError: print('refused')",
        200,
    ),
    "it looks at its keeper": (
        f"{OK}\nfor name in 'mem', 'maps', 'environ', 'pagemap', 'fd/3':\n"
        "    try: open(f'/proc/1/{name}', 'rb').read(); print('read', name)\n"
        "    except OSError: pass",
        200,
    ),
    "it forks without end": (
        f"{OK}\nimport os, time\ntry:\n    while os.fork() or time.sleep(60): pass\n"
        "except BlockingIOError: pass",
        200,
    ),
}


@pytest.mark.parametrize("name", MISBEHAVED)
def test_others_are_served_as_before_when(server: Server, name: str) -> None:
    source, status = MISBEHAVED[name]
    reply = server.run(source)
    assert reply.status == status, reply.text + server.log()
    assert "read" not in reply.text
    for tenant in ("t0001", "t0002"):
        assert f"tenant={tenant} " in server.get(tenant=tenant).text, server.log()
    assert ended(server) == []


SEARCH = """
import re
word = b'-'.join((b'sesame', b'open'))
found = 0
memory = open('/proc/self/mem', 'rb', buffering=0)
for line in open('/proc/self/maps'):
    start, end = (int(number, 16) for number in line.split()[0].split('-'))
    if line.split()[1].startswith('r') and start < 1 << 47:
        memory.seek(start)
        try: found += memory.read(end - start).count(word + word)
        except OSError: pass
print('found', found > 0)
"""


def test_nothing_of_a_request_is_in_the_memory_of_the_next(server: Server) -> None:
    keep = """
import mmap, os, sys
kept = [os.environ['HTTP_X_WORD'] * 9, sys.stdin.read() * 9]
more = mmap.mmap(-1, 1 << 16)
more.write(kept[0].encode() * 9)
"""
    server.sites.put("keep.py", OK + keep + SEARCH)
    server.sites.put("search.py", OK + SEARCH)
    body = b"sesame-open" * 4
    headers = "X-Word: sesame-opensesame-open\r\nConnection: close\r\n"
    asked = request("/keep.py", method="POST", body=body, headers=headers)
    assert server.get("/search.py").text == "found False\n"
    assert server.ask(asked).text == "found True\n"
    assert server.get("/search.py").text == "found False\n"


# Scripts that it has to learn


def test_a_script_that_asks_back_as_if_it_were_new_begins_anew(server: Server) -> None:
    server.sites.put(
        "case.py",
        f"{SAY}{OK}import builtins, os\nflag = os.path.dirname(__file__) + '/flag'\n"
        "print(hasattr(builtins, 'mark'), os.path.exists(flag))\nbuiltins.mark = 1\n"
        "if not os.path.exists(flag):\n    open(flag, 'w')\n    say(3, __file__.encode())\n",
    )
    assert server.get("/case.py").text == "False True\n"


def test_a_changed_script_is_learnt_anew(server: Server) -> None:
    kept = []
    for number in range(3):
        server.sites.put("case.py", f"{OK}print('{'n' * (number + 1)}')")
        assert [server.get("/case.py").text for _ in range(3)] == ["n" * (number + 1) + "\n"] * 3
        kept.append(keepers(server))
    assert kept[0] == kept[2]


def test_a_script_that_cannot_be_compiled_is_an_error_each_time(server: Server) -> None:
    server.sites.put("case.py", OK)
    assert server.get("/case.py").status == 200
    server.sites.put("case.py", "print('")
    assert [server.get("/case.py").status for _ in range(3)] == [500] * 3
    server.sites.put("case.py", OK)
    assert server.get("/case.py").status == 200


def test_large_bodies_and_answers_come_through_one_after_the_other(server: Server) -> None:
    server.sites.put(
        "case.py",
        "import sys\nbody = sys.stdin.buffer.read()\n"
        "sys.stdout.buffer.write(b'Content-Type: a/b\\n\\n' + body[::-1] * 2)",
    )
    kept = keepers(server)
    for size in (300_000, 10, 4_000_000, 100_000):
        body = os.urandom(size)
        reply = server.ask(request("/case.py", method="POST", body=body))
        assert (reply.status, reply.body == body[::-1] * 2) == (200, True)
    assert keepers(server) == kept


def test_each_of_many_requests_begins_the_same(server: Server) -> None:
    """More than pages are left open for."""
    server.sites.put(
        "case.py",
        f"{OK}import builtins\nbuiltins.count = getattr(builtins, 'count', 0) + 1\n"
        "print(builtins.count, len(str(id(object()))))",
    )
    assert {server.get("/case.py").text.split()[0] for _ in range(150)} == {"1"}


# Hosts that lack what it takes


def test_another_processor_is_told_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(Unavailable, match="registers of x86-64"):
        tracking.check()


@pytest.mark.parametrize(
    ("means", "word"), [("_track_writes", "WP_ASYNC"), ("_scan_pages", "PAGEMAP_SCAN")]
)
def test_an_older_kernel_is_told_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, means: str, word: str
) -> None:
    def refuse() -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(tracking, means, refuse)
    with pytest.raises(Unavailable, match=word) as raised:
        tracking.check()
    assert "Linux 6.7" in raised.value.hint


def test_a_keeper_that_does_not_compile_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "keeper.c"
    broken.write_text("int main(")
    monkeypatch.setattr(keeping, "_SOURCE", broken)
    with pytest.raises(Unavailable, match=r"cannot compile keeper\.c"):
        keeping.load(str(tmp_path))


def test_a_keeper_that_is_kept_is_not_compiled_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keeping.load("/nonexistent", str(tmp_path))
    (kept,) = tmp_path.iterdir()
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("servers.host_checks._zig", lambda: None)
    keeping.load("/nonexistent", str(tmp_path))
    kept.chmod(0o777)
    with pytest.raises(Unavailable, match="no C compiler"):
        keeping.load("/nonexistent", str(tmp_path))
