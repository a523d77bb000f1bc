"""The options that `isobench run` alone has, under the headings of its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import options
from harness.commands.guide import completion

EXTENT, METHOD, RESULTS = "How long", "How it is measured", "Results"
LOG = "Traffic from an access log (docs/replaying.md)"
ELSEWHERE = "A server on another host (docs/several-hosts.md)"
PROMISE = "The highest rate that keeps a promise (docs/capacity.md)"

Workload = Annotated[
    str,
    typer.Option(
        metavar="W,W",
        help="Workloads to request. page:5ms (or any other time): a page that takes this much "
        "CPU time.",
        autocompletion=completion.workloads,
    ),
]

Page = Annotated[
    bool | None,
    typer.Option(
        help="With all modes and hello: also measure page:5ms, with a few modes and in three "
        "blocks, to see whether overheads carry over. Default: yes, but not with --quick.",
    ),
]

Mechanisms = Annotated[
    bool | None,
    typer.Option(
        help="Also measure the mechanisms of modes, such as a fork, to explain their costs: "
        "about 30 s. Default: with all modes and hello, but not with --quick.",
    ),
]

Load = Annotated[
    str,
    typer.Option(
        metavar="L,L",
        help="closed:N: N users who wait for each response. open:R[:uniform]: R requests a "
        "second. sweep: open loads up to each target's capacity; about 2 min a target, 30 min "
        "for all modes; with --quick --connection close 20 s and 6 min.",
        autocompletion=completion.listed("closed:1", "closed:8", "open:100", "sweep"),
    ),
]

Connection = Annotated[
    str,
    typer.Option(
        metavar="C,C",
        help="Connection handling: close, keep-alive, or both.",
        autocompletion=completion.listed("close", "keep-alive"),
    ),
]

Blocks = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="How many times to measure each target. Default: as many as --precision needs "
        "and --budget allows.",
        rich_help_panel=EXTENT,
    ),
]

Precision = Annotated[
    str | None,
    typer.Option(
        metavar="P%",
        help="Measure until every ratio is known to within P%, such as 3%; twice P% for "
        "targets below 1% of the baseline. Default: 5%, with --quick 15%.",
        rich_help_panel=EXTENT,
    ),
]

Budget = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Start no block that would exceed this time, such as 10m. Default, without "
        "--precision: 120 s for each workload, load and connection; with --quick 50 s.",
        rich_help_panel=EXTENT,
    ),
]

SmallestEffect = Annotated[str, options.smallest_effect("difference", EXTENT)]

Seconds = Annotated[
    float | None,
    typer.Option(
        metavar="S",
        help="Measured time of each target in a block. Default: 0.45; with "
        "--slices off 1; with --replay 5.",
        rich_help_panel=EXTENT,
    ),
]

Popularity = Annotated[
    str, typer.Option(metavar="P", help="How requests spread over tenants: uniform, or zipf:S.")
]

Replay = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Replay an access log, plain or gzip, in Apache's format vhost_combined or "
        "combined, instead of --load. Its hosts are the tenants, up to --tenants (default "
        "then: 100). Addresses and query strings are not kept.",
        rich_help_panel=LOG,
    ),
]

ReplaySpeed = Annotated[
    str | None,
    typer.Option(
        metavar="X",
        help="X times as fast as the log, such as 60; or R/s, such as 200/s, for that many "
        "requests a second on average; or fit: the whole log within --seconds. "
        "Default: fit, but at most 200/s.",
        rich_help_panel=LOG,
    ),
]

ReplayTenants = Annotated[
    str,
    typer.Option(
        metavar="BY",
        help="What tells tenants apart: host (virtual host), path (first segment), or one "
        "(all are one tenant).",
        autocompletion=completion.one_of("host", "path", "one"),
        rich_help_panel=LOG,
    ),
]

Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="PATTERN=W",
        help="Workload for paths that match a glob pattern, such as '/shop/*=page:5ms' or "
        "'POST *=upload'; drop leaves them out. May be repeated; the first match counts. "
        "Default: static files are dropped, --workload for the rest.",
        rich_help_panel=LOG,
    ),
]

Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Workers in each pool. Default: one per user.", rich_help_panel=METHOD
    ),
]

Outstanding = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Limit on an open load's requests in flight. "
        "Default: 64; with keep-alive, one per worker.",
        rich_help_panel=METHOD,
    ),
]

CodeCache = Annotated[
    bool,
    typer.Option(help="Reuse the compiled code of unchanged scripts.", rich_help_panel=METHOD),
]

Slices = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Interleave the targets of a closed load in slices of this length, longer for "
        "slow targets. off: one target after the other. Default: 30ms.",
        rich_help_panel=METHOD,
    ),
]

CrossCheck = Annotated[
    str | None,
    typer.Option(
        metavar="TOOL",
        help="wrk: repeat each closed load with this tool, 5 s each.",
        rich_help_panel=METHOD,
    ),
]

Client = Annotated[
    str | None,
    typer.Option(
        metavar="C",
        help="HTTP client: compiled (in C), lean (in Python), or fasthttp (Locust's own). "
        "Default: compiled; lean without a C compiler.",
        autocompletion=completion.one_of("compiled", "lean", "fasthttp"),
        rich_help_panel=METHOD,
    ),
]

Seed = Annotated[int | None, options.seed(heading=METHOD)]

Quick = Annotated[bool, options.quick("About a minute, less precise.", EXTENT)]

Out = Annotated[Path | None, options.new_folder("", RESULTS)]

Report = Annotated[bool, options.report(RESULTS)]

Resume = Annotated[Path | None, options.resume("an interrupted run", RESULTS)]

Target = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Measure a server on another host, such as http://10.0.0.1:8080, that isobench "
        "serve --probe PORT runs there.",
        rich_help_panel=ELSEWHERE,
    ),
]

Probe = Annotated[
    int,
    typer.Option(
        metavar="PORT",
        min=1,
        max=65535,
        help="With --target: the port of its probe.",
        rich_help_panel=ELSEWHERE,
    ),
]

Key = Annotated[Path | None, options.key(ELSEWHERE)]

Generators = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="With --target: wait for N processes of isobench generate.",
        rich_help_panel=ELSEWHERE,
    ),
]

Processes = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="With --target: load generators on this host. Default: 1, with --generators 0.",
        rich_help_panel=ELSEWHERE,
    ),
]

Bind = Annotated[
    str,
    typer.Option(
        metavar="ADDR",
        help="With --generators: where to listen for them.",
        rich_help_panel=ELSEWHERE,
    ),
]

MasterPort = Annotated[
    int,
    typer.Option(
        metavar="PORT",
        min=1,
        max=65535,
        help="With --target: the port for generators.",
        rich_help_panel=ELSEWHERE,
    ),
]

Slo = Annotated[
    str | None,
    typer.Option(
        metavar="PROMISE",
        help="Find for each mode the highest open rate that keeps a promise, such as "
        "'p99 < 50ms' or 'p99 < 50ms and errors < 0.1%'.",
        rich_help_panel=PROMISE,
    ),
]

RatePerTenant = Annotated[
    float | None,
    typer.Option(
        metavar="R",
        help="With --slo: a tenant's requests a second, to tell how many tenants a core serves.",
        rich_help_panel=PROMISE,
    ),
]

OTel = Annotated[
    bool,
    typer.Option(
        "--otel",
        help="Export response times to OpenTelemetry after each trial, as Locust does "
        "(docs/observability.md).",
        rich_help_panel=RESULTS,
    ),
]
