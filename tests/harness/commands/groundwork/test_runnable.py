"""Which targets a host can run: the needed ones must be among them, others may be missing."""

import io

import pytest
from rich.console import Console

from harness.commands.groundwork.folder import Host
from harness.commands.groundwork.runnable import examine_host, must_run
from harness.errors import IsobenchError
from harness.host.cores import Cores
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


def test_a_measurement_stands_on_the_host_and_on_what_it_can_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host, cores = Host({"cpu": "Example CPU"}, ()), Cores((0,), (1,))
    monkeypatch.setattr(Host, "examine", lambda: host)
    ground = examine_host(choose(["dso"]), cores, Console(file=io.StringIO()), named=True)
    assert [target.name for target in ground.targets] == ["dso"]
    assert (ground.refused, ground.cores, ground.host) == ((), cores, host)
