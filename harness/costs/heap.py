"""A CPython process with many objects, whose children walk or collect them. A program.

    python -I -S heap.py MIB plain|freeze|disable

It fills MIB of memory with small lists, then reads lines `TASK TIMES`, and for each answers one
line of JSON: `whole_us`, from before the fork until the child is reaped, and `faults`, the child's
page faults, of each time. Tasks of the child: `exit` does nothing; `walk` looks at each object,
which writes its reference count; `collect` runs the garbage collector, as CPython does by itself
sooner or later, unless that is disabled. `walk_alone` and `collect_alone` do it without a child,
and tell what that takes. `thread` starts and joins a thread, `handoff` sends a byte to a waiting
process and awaits it back: the mean of many.
"""

import _thread
import gc
import json
import os
import sys
import time

_BATCH = 10_000
_MANY = 200
_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> int:
    """Return this process's resident memory in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * _PAGE


def fill(size: int) -> list[list[int]]:
    """Return lists of numbers that together take about so many bytes."""
    before = resident()
    heap: list[list[int]] = []
    while resident() - before < size:
        start = len(heap)
        heap.extend([number, number + 1] for number in range(start, start + _BATCH))
    return heap


def walk(heap: list[list[int]]) -> None:
    """Look at each object."""
    for _ in heap:
        pass


def do(task: str, heap: list[list[int]]) -> None:
    """Do the work of a task."""
    if task == "walk":
        walk(heap)
    elif task == "collect" and gc.isenabled():
        gc.collect()


def threads() -> None:
    """Start many threads, one after the other, and wait for each.

    By `_thread`, since whoever has loaded `threading` forks a larger process.
    """
    for _ in range(_MANY):
        running = _thread.allocate_lock()
        running.acquire()
        _thread.start_new_thread(running.release, ())
        running.acquire()


def handoffs() -> None:
    """Send a byte to another process and read it back, many times."""
    incoming, send = os.pipe()
    receive, outgoing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(send)
        while byte := os.read(incoming, 1):
            os.write(outgoing, byte)
        os._exit(0)
    for _ in range(_MANY):
        os.write(send, b".")
        os.read(receive, 1)
    for descriptor in (incoming, send, receive, outgoing):
        os.close(descriptor)
    os.wait4(process, 0)


def once(task: str, heap: list[list[int]]) -> tuple[float, int]:
    """Return microseconds and the child's page faults."""
    start = time.monotonic_ns()
    faults = 0
    if task in MANY:
        MANY[task]()
        return (time.monotonic_ns() - start) / 1000 / _MANY, 0
    work, _, alone = task.partition("_")
    if alone:
        do(work, heap)
    else:
        process = os.fork()
        if process == 0:
            do(work, heap)
            os._exit(0)
        usage = os.wait4(process, 0)[2]
        faults = usage.ru_minflt + usage.ru_majflt
    return (time.monotonic_ns() - start) / 1000, faults


MANY = {"thread": threads, "handoff": handoffs}


def main() -> None:
    """Fill the heap, then answer each line of standard input."""
    gc.disable()
    heap = fill(int(sys.argv[1]) << 20)
    gc.collect()
    if sys.argv[2] == "freeze":
        gc.freeze()
    if sys.argv[2] != "disable":
        gc.enable()
    print("ready", flush=True)
    for line in sys.stdin:
        task, times = line.split()
        once(task, heap)  # the first fork write-protects every page, the later ones do not
        results = [once(task, heap) for _ in range(int(times))]
        whole_us, faults = zip(*results, strict=True)
        print(json.dumps({"whole_us": whole_us, "faults": faults}), flush=True)


if __name__ == "__main__":
    main()
