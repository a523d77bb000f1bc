"""Code that changes what cannot be changed back runs in a forked child, which tells how it went."""

import os
import pickle
import traceback
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def in_child(action: Callable[[], Result], fork: Callable[[], int] = os.fork) -> Result:
    """Run `action` in a forked child; return what it returns. Fails the test if it raises."""
    told, tell = os.pipe()
    child = fork()
    if child == 0:
        try:
            answer = pickle.dumps((True, action()))
        except BaseException:
            answer = pickle.dumps((False, traceback.format_exc()))
        os.write(tell, answer)
        os._exit(0)
    os.close(tell)
    with open(told, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    assert answer, "the child ended without a word"
    succeeded, result = pickle.loads(answer)
    assert succeeded, result
    return result  # type: ignore[no-any-return]
