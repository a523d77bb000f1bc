"""The terms that a reader of a run's output needs, each explained on a screen. Pure.

What a text says in numbers is taken from the constants that decide.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.plan.extent import USUAL
from harness.plan.interleaving import SHORTEST_S
from harness.plan.loads import Sweep
from harness.plan.stopping import FIRST_LOOK
from harness.results.conditions import BASELINE
from harness.results.format import percent
from harness.results.summary import GENERATOR_LIMIT, GENERATOR_SHARE, SERVER_LIMIT, WIDTH_LIMIT
from harness.slo.promise import QUANTILES
from harness.stats.significance import SMALLEST_EFFECT

Terms = tuple[tuple[str, str], ...]
"""Words, each with its meaning."""


@dataclass(frozen=True)
class Topic:
    """A term: what it is in a line, paragraphs and lists of words about it, where more is said."""

    name: str
    gist: str
    parts: tuple[str | Terms, ...]
    page: str


_AIM = percent(USUAL.precision)
_SWEPT = ", ".join(map(str, Sweep.percents))

MODE = Topic(
    "mode",
    "a way of running tenants' scripts: as which user, in which process",
    (
        "A mode is a way in which a shared web server runs the scripts of its tenants: as which "
        "user, in which process, and with what around them. Each mode is a minimal server in "
        "Python that re-enacts what a product does; isobench doctor says which of them this host "
        "can run.",
        f"{BASELINE} is the baseline: it runs every script as the server's own user, and is the "
        f'fastest way without protection. "vs {BASELINE}" is a rate as a share of its rate.',
        "A target is what is measured:",
        (
            ("dso", "a mode"),
            ("cgi:spawn=fork", "a mode with one of its factors changed"),
            ("apache-php", "a peer: a real product (--peers measures those that are installed)"),
        ),
        "isobench run --modes dso,harache,cgi",
    ),
    "docs/modes.md",
)

LOAD = Topic(
    "load",
    "how requests arrive: from users who wait, or at a given rate",
    (
        "A load is how requests arrive at a target.",
        (
            (
                "closed:8",
                "8 users; each waits for the response and sends again at once. It shows how much "
                "a target can serve. It flatters slow ones: users who wait send nothing.",
            ),
            (
                "open:500",
                "500 requests a second, whether earlier ones were answered or not, at random "
                "times (open:500:uniform: evenly). It shows how long people wait: response times "
                "count from the moment when a request should have been sent.",
            ),
            (
                "sweep",
                f"open loads at {_SWEPT}% of each target's capacity, which is found first",
            ),
            (
                "--replay",
                "instead of --load: the requests of an access log, at its own times, to tenants as "
                "popular as its hosts (docs/replaying.md)",
            ),
        ),
        "Beside the load there is the workload (what is requested, such as hello or page:5ms) and "
        "the connection (close: one for each request; keep-alive: one for many). Together they "
        "are a condition, and only figures of the same condition compare.",
        "isobench run --load closed:1,closed:8 --connection close --workload hello,template",
    ),
    "docs/measuring.md",
)

BLOCK = Topic(
    "block",
    "one pass over all targets; the unit that is repeated",
    (
        "A block is one pass over all targets, in a random order of its own, with newly started "
        "servers. A trial is one target's part of it.",
        "A host is slower in one second than in the next. So the targets of a block run at the "
        f"same time and are interleaved in slices of {SHORTEST_S * 1000:g} ms or longer, between "
        "slices of the baseline: a change of the host affects all of them alike.",
        "Each block gives one value for each target, and the differences between blocks show how "
        "sure the result is. Thousands of requests in one block cannot: they share one server, "
        "one moment and one memory layout, and may all be off together.",
        f"A run continues until every ratio is known to within ±{_AIM} (--precision), or its time "
        f"is spent (--budget); the first check follows {FIRST_LOOK} blocks. --blocks 8 makes "
        "eight, whatever they show.",
    ),
    "docs/measuring.md",
)

INTERVAL = Topic(
    "interval",
    "how sure a number is: the range that holds the true one",
    (
        "A second measurement gives another number. The 95% interval says where the mean of very "
        "many such blocks would lie. ± is half its width: 51% ±8% is between 47% and 55%.",
        "Four times as many blocks make it half as wide. It comes from how blocks differ "
        "(Student's t on the logarithms), and never from single requests.",
        f'The column "difference" says whether a target differs from {BASELINE}:',
        (
            (
                "higher, lower",
                "it does: chance alone would rarely show that, and the difference is at least "
                f"{percent(SMALLEST_EFFECT)} (--smallest-effect)",
            ),
            ("same", "the whole interval is within that: if they differ, it does not matter"),
            ("not shown", "neither; more blocks may show one. It does not mean equal"),
        ),
        "Two targets whose intervals overlap may still differ, and the host may have changed "
        "between two runs: isobench compare sets two runs side by side.",
    ),
    "docs/measuring.md",
)

VERDICT = Topic(
    "verdict",
    "whether a row can be believed; it judges the measurement, not the target",
    (
        "A verdict is about the measurement of a target, not about the target. The first that "
        "applies:",
        (
            (
                "void: reason",
                "a response was wrong, missing, or came from another user's process. Use none of "
                "it; first_error in trials.parquet has the response.",
            ),
            (
                "generator-bound",
                f"the load generator was near its own limit (over {percent(GENERATOR_SHARE)} of "
                f"its ceiling, or {percent(GENERATOR_LIMIT)} of its core busy), and the server "
                f"was not (under {percent(SERVER_LIMIT)} of its own processors busy): the target "
                "may be faster. Compare CPU per request.",
            ),
            (
                "noisy",
                f"the interval is wider than ±{percent(WIDTH_LIMIT)}, or something else kept "
                "taking the processor. Large differences still hold; for small ones measure more "
                "blocks, or on a quieter host.",
            ),
            ("ok", "none of these"),
        ),
        "isobench run ends with exit code 1 if a trial is void. isobench doctor shows what harms "
        "measurements on this host.",
    ),
    "docs/measuring.md",
)

PROMISE = Topic(
    "promise",
    "what users may rely on, such as p99 < 50 ms; the load that a mode bears with it",
    (
        "A promise says how long requests may take: 'p99 < 50ms' holds when 99 of 100 take less "
        "than 50 ms. isobench finds for each mode the highest rate at which it holds:",
        "isobench run --slo 'p99 < 50ms' --rate-per-tenant 0.5",
        f'It has limits, joined by "and", of {", ".join(QUANTILES)}, mean and max (in us, ms or s) '
        "and errors (in %). Times count from the moment when a request was due.",
        "A search puts some seven short open loads on a server, each at the rate that tells most "
        "after those before it. Each block searches once, and the interval comes from the blocks.",
        "What a mode may be said to do:",
        (
            ("up to 2,100 req/s", "it keeps the promise at that rate, and not at a higher one"),
            ("at least 4,000", "the load generator could offer no more: it may bear more"),
            ("never", "a single user already waits too long, or no rate that was tried kept it"),
        ),
        "With --rate-per-tenant, the rate divided by the server's processors and by a tenant's "
        "own rate is how many tenants a core serves. Whether they fit into memory, isobench "
        "density says.",
    ),
    "docs/capacity.md",
)

TOPICS = {one.name: one for one in (MODE, LOAD, BLOCK, INTERVAL, VERDICT, PROMISE)}
