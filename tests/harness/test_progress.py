"""What a run says while it goes on, where there is no terminal."""

import io

from rich.console import Console

from harness.plan.plan import Plan
from harness.progress import Display
from tests.harness.bench import Bench


def test_a_line_a_block_and_a_line_for_each_trial_that_went_wrong() -> None:
    written = io.StringIO()
    plan = Plan(targets=("dso", "cgi"), connections=("close",), blocks=2)
    bench = Bench(void="cgi")
    with Display(Console(file=written, width=80), trials=4) as display:
        for spec in plan.trials():
            display.begins(spec)
            display.ended(spec, bench.measure(spec).row)
    lines = [line for line in written.getvalue().splitlines() if line]
    assert sorted(lines) == ["block 1", "block 2", *["cgi (close): void: it lied"] * 2]
