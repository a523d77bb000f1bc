"""What must hold for a trial if its numbers mean what they say. Pure.

Strategy
========

**The two counts agree.** The server counts a request when it has sent the answer and tidied up,
the client when it begins to send and when it has an answer. Every answer that the client got was
served, those of the verification before the load included; and nothing was served that was not
asked. So, with a reply outstanding for each user that was stopped at the window's end,

    asked first + answered  <=  served  <=  asked first + sent + sent again

where "sent again" are requests that found a kept-alive connection closed. The server lags behind
the client, who has the answer before the server has counted it: whoever reads `served` gives it
time to reach the lower bound.

**Every reply was verified.** The user counts a reply when its check has passed, the recorder when
it takes its latency: in a trial without errors both counts are the same.

**Little's law** (Little 1961): of N users who never rest, N = X R, the rate times the mean latency.
A user does rest, for as long as the client needs to check a reply and to make the next request, and
works for other users meanwhile. The compiled client measures that; of another it is more than
nothing, and less than all the processor time that the generator used for a request, and waited for.
So

    X R  <=  N  <=  X (R + rest, or generator CPU and waiting for it per request)

each within 5%. At the window's edges a latency is cut: what was sent before it counts in full, what
is answered after it not at all. For each user that is at most the longest latency out of the
window's length, which is added.

The first two are exact: where they fail, something is measured that is not what the report says,
and the trial is void. Little's law fails where a clock or the counting of time is wrong; that is a
caution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

PASSED = "passed"
TOLERANCE = 0.05


@dataclass(frozen=True)
class Counts:
    """The counts of one trial's requests, by server and client; see the module's docstring.

    `served` is None for a real product, which does not tell. `sent_again` is None if the client
    does not report it: then there is no upper bound. `verified` is None for a client that does not
    count them.
    """

    served: int | None
    asked_first: int
    answered: int
    sent: int
    sent_again: int | None
    verified: int | None
    wrong: int = 0


@dataclass(frozen=True)
class Closed:
    """The terms of Little's law: a closed load, its rate, and where its users' time went.

    `client_s` is a user's rest between two requests or, where it was not measured, the CPU time
    that the generator used for a request, or could have used and had no processor; `longest_s` is
    the longest latency, `window_s` the length of the window. Users send in `sending_share` of it;
    in the rest requests on their way come to their end.
    """

    users: int
    per_second: float
    mean_latency_s: float
    longest_s: float
    client_s: float
    window_s: float
    sending_share: float = 1.0


def least_served(asked_first: int, answered: int) -> int:
    """Return how many requests the server must have counted, once it is done counting."""
    return asked_first + answered


def miscounts(counts: Counts) -> Iterator[str]:
    """Describe each identity of counts that does not hold."""
    least = least_served(counts.asked_first, counts.answered)
    if counts.served is not None and counts.served < least:
        yield f"the client has {least} answers, but the server served {counts.served} requests"
    if counts.served is not None and counts.sent_again is not None:
        most = counts.asked_first + counts.sent + counts.sent_again
        if counts.served > most:
            yield f"the server served {counts.served} requests, but the client sent {most}"
    if counts.verified is not None and counts.verified != counts.answered - counts.wrong:
        right = counts.answered - counts.wrong
        yield f"{right} replies were counted as right, but {counts.verified} were verified"


def little(load: Closed) -> str:
    """Describe how a closed load contradicts Little's law; "" if it does not."""
    allowed = TOLERANCE + load.longest_s / load.window_s
    least = load.per_second * load.mean_latency_s
    most = load.per_second * (load.mean_latency_s + load.client_s)
    fewest = load.users * load.sending_share
    if least <= load.users * (1 + allowed) and most >= fewest * (1 - allowed):
        return ""
    nearest = least if least > load.users else most
    return (
        f"Little's law: {load.users} users, but rate times latency makes {nearest:.2f} "
        f"(more than {allowed:.0%} off)"
    )
