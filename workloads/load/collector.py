"""Python's garbage collector, kept quiet while something is timed."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_off() -> Iterator[None]:
    """Keep the collector from looking through all that is loaded, and from looking at all.

    A full collection goes through everything that Locust has loaded, tens of milliseconds in which
    no user can send: it would look like a stall of the server. The lean client's requests leave no
    circular garbage (see `ReplyParser`), so that memory does not grow meanwhile.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
