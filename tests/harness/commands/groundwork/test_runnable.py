"""Which targets a host can run: the needed ones must be among them, others may be missing."""

import pytest

from harness.commands.groundwork.runnable import must_run
from harness.errors import IsobenchError
from harness.target.targets import Refusal, choose


def test_a_needed_target_must_run_and_others_may_be_left_out() -> None:
    dso, cgi = choose(["dso", "cgi"])
    refused = [Refusal(cgi, "no wrapper", "install one")]
    must_run([dso], refused, needed=())
    must_run([dso], refused, needed=["dso"])
    with pytest.raises(IsobenchError, match="cannot run cgi: no wrapper"):
        must_run([dso], refused, needed=["dso", "cgi"])


def test_at_least_one_target_must_run() -> None:
    (cgi,) = choose(["cgi"])
    with pytest.raises(IsobenchError, match="none of the targets can run") as caught:
        must_run([], [Refusal(cgi, "no wrapper", "install one")], needed=())
    assert caught.value.hint == "install one"
    with pytest.raises(IsobenchError, match="none of the targets can run"):
        must_run([], [], needed=())
