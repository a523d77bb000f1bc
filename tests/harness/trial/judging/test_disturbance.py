"""What disturbed a trial is in its row, and may be why nothing was answered."""

from dataclasses import replace

import numpy as np

from harness.host.interference import Noise, Witness
from harness.trial.judging.assess import assess
from harness.trial.judging.disturbance import witnessed
from harness.trial.outcome import Trial
from tests.harness.trial.judging.test_assess import FIRST, LAST, ROW, STEADY_DONE, evenly, loop


def test_what_disturbed_a_trial_is_in_its_row() -> None:
    trial = assess(ROW, STEADY_DONE, loop(evenly((9.6, 12.0, 1000))), FIRST, LAST)
    noise = Noise(foreign_cpu_share=0.2, foreign_cpu_s=0.4, steal_share=0.0, pressure_share=0.9)
    row = witnessed(trial, noise, Witness(1.0, 0), Witness(1.6, 2)).row
    assert row.disturbed == (
        "others took 20% of the server's core; the core was 1.6 times slower than at best after it"
    )
    assert (row.spin_before, row.spin_after, row.runnable_after) == (1.0, 1.6, 2)
    quiet = witnessed(trial, Noise(), Witness(None, 0), Witness(None, 0)).row
    assert (quiet.disturbed, quiet.spin_before) == ("", None)


def test_a_trial_is_void_for_what_it_shows_and_only_silence_may_be_the_hosts_fault() -> None:
    silent = replace(ROW, verdict="void: no request was answered in the measured window")
    wrong = replace(ROW, verdict="void: 1 wrong answers, first: it lied")
    noise = Noise(foreign_cpu_share=0.99, foreign_cpu_s=0.5)
    told, kept, quiet = (
        witnessed(Trial(row, np.empty(0)), one, Witness(None, 0), Witness(None, 0)).row
        for row, one in ((silent, noise), (wrong, noise), (silent, Noise()))
    )
    assert told.verdict == f"{silent.verdict}, while others took 99% of the server's core"
    assert told.disturbed == "others took 99% of the server's core"
    assert (kept.verdict, kept.disturbed) == (wrong.verdict, None)
    assert (quiet.verdict, quiet.disturbed) == (silent.verdict, None)
