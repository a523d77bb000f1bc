"""Each script keeps its promise, started by the kernel and in an embedded interpreter."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from workloads.catalog import WORKLOADS, Workload, find
from workloads.proof import Identity, Proof
from workloads.tenants import USUAL_PACE, Tenant, create

CALLER = Identity(os.geteuid(), os.getegid(), tuple(sorted(os.getgroups())))


@pytest.fixture
def tenant(tmp_path: Path) -> Tenant:
    interpreter = f"{sys.executable} -IS"
    (tenant,) = create(
        tmp_path / "sites", count=1, www=CALLER, first_uid=0, interpreter=interpreter, own=False
    )
    return tenant


def started(workload: Workload, tenant: Tenant) -> bytes:
    """What the kernel's start of the script prints."""
    return subprocess.run(
        [tenant.site / workload.script],
        cwd=tenant.site,
        env={"CONTENT_LENGTH": str(len(workload.body)), "QUERY_STRING": workload.query},
        input=workload.body,
        capture_output=True,
        check=True,
    ).stdout


def embedded(workload: Workload, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """What the script prints in this interpreter, with streams and environment replaced."""
    out = io.BytesIO()
    code = compile((tenant.site / workload.script).read_bytes(), workload.script, "exec")
    with monkeypatch.context() as patch:
        patch.chdir(tenant.site)
        patch.setenv("CONTENT_LENGTH", str(len(workload.body)))
        patch.setenv("QUERY_STRING", workload.query)
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(workload.body)))
        patch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="utf-8"))
        exec(code, {"__name__": "__main__"})
        sys.stdout.flush()
        return out.getvalue()


def check(workload: Workload, output: bytes) -> str | None:
    head, blank, body = output.partition(b"\n\n")
    assert head.startswith(b"Content-Type: text/")
    assert blank
    return workload.check(Proof("t0001", CALLER))(200, body)


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS.keys())
def test_both_ways_give_the_expected_page(
    workload: Workload, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check(workload, started(workload, tenant)) is None
    assert check(workload, embedded(workload, tenant, monkeypatch)) is None
    assert check(workload, embedded(workload, tenant, monkeypatch)) is None


def test_visits_are_counted(tenant: Tenant) -> None:
    pages = [started(WORKLOADS["sqlite"], tenant) for _ in range(2)]
    assert [b"visit 1\n" in pages[0], b"visit 2\narticle Sale\n" in pages[1]] == [True, True]


def test_whoami_tells_all(tenant: Tenant) -> None:
    output = started(WORKLOADS["whoami"], tenant)
    report = json.loads(output.splitlines()[3])
    assert report["effective"] == {"uid": CALLER.uid, "gid": CALLER.gid}
    assert report["cwd"] == str(tenant.site)
    assert set(report["capabilities"]) == {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}


@pytest.mark.parametrize("name", ["template", "page:50us", "page:20ms"])
def test_the_page_is_about_20_kib(tenant: Tenant, name: str) -> None:
    page = started(find(name), tenant)
    assert 20_000 < len(page) < 21_000
    assert check(find(name), page) is None


def test_a_page_does_the_work_that_its_name_says(tenant: Tenant) -> None:
    source = (
        (tenant.site / "page.py")
        .read_text()
        .replace("    for number in", "    print(rounds)\n" + "    for number in")
    )
    (tenant.site / "page.py").write_text(source)
    rounds = [int(started(find(name), tenant).split()[0]) for name in ("page:5ms", "page:50us")]
    assert rounds == [5 * USUAL_PACE, USUAL_PACE // 20]
