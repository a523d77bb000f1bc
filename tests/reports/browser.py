"""A headless Chromium, spoken to in its DevTools protocol over two pipes.

Source: https://chromedevtools.github.io/devtools-protocol/, and `--remote-debugging-pipe`: the
browser reads from descriptor 3 and writes to 4, each message ended by a NUL.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
WITHOUT = "no Chromium here: apt-get install chromium"
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_BEYOND_ITS_OWN = 10


class Browser:
    """One tab. `complaints` are what it wrote to its console, `requests` what it asked for."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._buffer, self._number, self._session = b"", 0, ""
        self.complaints: list[str] = []
        self.requests: list[str] = []
        tab = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=tab, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Open a page afresh, and wait until it has loaded."""
        self.complaints, self.requests = [], []
        for place in ("about:blank", url):  # else another fragment alone would load nothing
            self.call("Page.navigate", url=place)
            state = "[document.URL.split('#')[0], document.readyState]"
            while self.run(state) != [place.partition("#")[0], "complete"]:
                time.sleep(0.02)

    def run(self, script: str) -> Any:
        """Return what a script in the page comes to. Raises AssertionError where it fails."""
        found = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """Press a key where the focus is."""
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text
            )

    def point(self, script: str) -> None:
        """Move the pointer to the middle of the element that a script returns."""
        middle = (
            f"(async () => {{ const e = {script}; e.scrollIntoView({{ block: 'center' }});"
            # The event of this scrolling comes with the next frame, and would hide a tip.
            " for (const _ of [1, 2]) await new Promise((done) => requestAnimationFrame(done));"
            " const b = e.getBoundingClientRect();"
            " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        x, y = self.run(middle)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def call(self, method: str, **parameters: Any) -> Any:
        """Send a command, and return its result."""
        self._number += 1
        said: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            said["sessionId"] = self._session
        os.write(self._commands, json.dumps(said).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self._hear(answer)

    def _hear(self, event: dict[str, Any]) -> None:
        kind = event.get("method")
        if kind in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(json.dumps(event["params"]))
        if kind == "Network.requestWillBeSent":
            self.requests.append(event["params"]["request"]["url"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            chunk = os.read(self._answers, 1 << 20)
            assert chunk, "the browser has ended"
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)  # type: ignore[no-any-return]


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start a browser whose profile is a directory of its own, and end it afterwards."""
    assert CHROMIUM is not None
    theirs, commands = os.pipe()
    answers, spoken = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _BEYOND_ITS_OWN) for end in (theirs, spoken)]
    quiet = os.open(os.devnull, os.O_WRONLY)
    process = os.posix_spawn(
        CHROMIUM,
        [CHROMIUM, *QUIET, "--remote-debugging-pipe", f"--user-data-dir={profile}"],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, high[0], 3),
            (os.POSIX_SPAWN_DUP2, high[1], 4),
            (os.POSIX_SPAWN_DUP2, quiet, 2),
        ],
        setpgroup=0,
    )
    for end in (theirs, spoken, quiet, *high):
        os.close(end)
    try:
        yield Browser(commands, answers)
    finally:
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(commands)
        os.close(answers)
