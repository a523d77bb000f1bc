"""Everything a developer or a user types: `nox -l` lists it."""

import json
import shutil
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "tests"]

PROJECT = nox.project.load_toml("pyproject.toml")


# What goes into the same folder and report after `isobench run`, with the options that it shares.
ALSO = {
    "costs": ("--seed",),
    "attack": ("--seed", "--modes"),
    "profile": ("--seed", "--modes"),
}
# It makes the report of all.
LAST = "profile"
# A minute or less for all modes: what a long one adds is a little less scatter.
ALWAYS_QUICK = {"costs", "profile"}
# What a short bench leaves out unless its user says otherwise: the report names it. Three blocks,
# so that each ratio has an interval of some use; of each family that dso, harache, router and ruid2
# differ in, the attacks that tell most and wait for nothing, so chosen that these modes come in the
# order in which all attacks put them; the profiles of five modes that do unlike things.
SHORTER = {
    "run": {"--connection": "close", "--blocks": "3"},
    "attack": {
        "--attacks": "neighbours_secret,neighbours_source,leftover_group,last_tenants_memory,"
        "neighbours_file,squatted_tmp,forged_log,setuid_file,raw_system_calls,sibling_thread,"
        "kill_sibling,kill_own_worker,exhaust_memory,misleading_name,"
        "patched_builtin,signal_handler,left_thread,changed_umask,kept_module_state,"
        "kept_descriptor,kept_child,cached_visitor,inherited_listener,next_answer,forged_identity,"
        "poisoned_cache,scoreboard,include_neighbours_file",
        "--modes": "dso,harache,router,ruid2",
    },
    "profile": {"--modes": "dso,ruid2,router,harache,cgi"},
}
# Each of them says how long a run is.
EXTENT = ("--blocks", "--budget", "--precision")
# 1: the phases of a mode do not add up, as on a noisy host. The report says which.
PROFILED = (0, 1)


# Six at a time: most of the time a test waits. tests/conftest.py says which may not.
ALL_TESTS = ("-n", "6")
# pytest's exit code, and where it keeps which they were.
TESTS_FAILED = 1
LAST_FAILED = Path(".pytest_cache/v/cache/lastfailed")
# More of them are no accident of a busy host.
FEW = 5


@nox.session
def bench(session: nox.Session) -> None:
    """Measure, attack and profile all modes, into one report: the main job. -- --quick: short."""
    _install(session)
    folder = _given(session, "--resume") or _given(session, "--out")
    options = list(session.posargs)
    if folder is None:
        folder = f"results/{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        options += ["--out", folder]
    try:
        session.run("isobench", "run", "--no-report", *options, *_shorter(session, "run"))
        for command, shared in ALSO.items():
            short = "--quick" in session.posargs or command in ALWAYS_QUICK
            given = {option: _given(session, option) for option in shared}
            same = [f"{option}={value}" for option, value in given.items() if value is not None]
            words = ["isobench", command, "--out", folder, *(["--quick"] if short else []), *same]
            words += _shorter(session, command)
            words += [] if command == LAST else ["--no-report"]
            session.run(*words, success_codes=PROFILED if command == LAST else (0,))
    except CommandFailed:
        # Of what there is, since the command that reports was not reached.
        session.run("isobench", "report", folder, success_codes=(0, 1, 2))
        raise


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, on this Python. -- -k name for some of them."""
    _install(session, "test")
    _test(session)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Try the properties that tests state on ever new examples, for ten minutes. -- 60: shorter."""
    _install(session, "test")
    seconds, *options = session.posargs or ["600"]
    session.run("pytest", "--fuzz", seconds, *options)


@nox.session
def fuzz_front(session: nox.Session) -> None:
    """Feed ever new bytes to router's C front for ten minutes, under sanitizers. -- 60: one."""
    _install(session, "test")
    session.run("python", "-m", "tests.servers.modes.router.fuzzing", *(session.posargs or ["600"]))


@nox.session
def fuzz_keeper(session: nox.Session) -> None:
    """Send ever new hostile requests to groundhog's keeper for ten minutes, under sanitizers."""
    _install(session, "test")
    module = "tests.servers.modes.groundhog.fuzzing"
    session.run("python", "-m", module, *(session.posargs or ["600"]))


@nox.session(python=["3.11", "3.12", "3.13"])
def supported(session: nox.Session) -> None:
    """Run the tests on every supported Python that is installed."""
    _install(session, "test")
    _test(session)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format and style (ruff), types (mypy, strict) and layers (import-linter)."""
    _install(session, "lint")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel and measure with it, outside the checkout."""
    session.install("build")
    folder = session.create_tmp()
    shutil.rmtree(folder)
    session.run("python", "-m", "build", "--wheel", "--outdir", folder, ".")
    (built,) = Path(folder).resolve().glob("*.whl")
    session.install(str(built))
    with session.chdir(folder):
        session.run("isobench", "doctor")
        session.run("isobench", "run", "--quick", "--out", "results")
        session.run("isobench", "costs", "--quick", "--out", "results")
        some = ("--modes", "dso,harache", "--attacks", "reading")
        session.run("isobench", "attack", *some, "--out", "results")
        session.run("isobench", "profile", "--quick", *some[:2], "--out", "results")


def _test(session: nox.Session) -> None:
    """Run the tests; of all of them, the few that failed once more, with nothing beside them.

    Thousands of tests of real servers share two cores with whatever else the host does. What fails
    again has failed. What does not is named in the output of the first run: it is to be mended.
    """
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    session.run("pytest", "--cache-clear", *ALL_TESTS, success_codes=(0, TESTS_FAILED))
    failed = json.loads(LAST_FAILED.read_text()) if LAST_FAILED.exists() else {}
    if not all("::" in name for name in failed):
        session.error("the tests could not be collected")
    if len(failed) > FEW:
        session.error(f"{len(failed)} tests failed")
    if failed:
        session.warn(f"{len(failed)} of the tests failed beside others: once more, by themselves")
        session.run("pytest", "--last-failed")


def _shorter(session: nox.Session, command: str) -> list[str]:
    """Return the options that make a command of a short bench shorter, but for those given."""
    if "--quick" not in session.posargs or _given(session, "--resume"):
        return []
    how_long = any(_given(session, option) for option in EXTENT)
    return [
        f"{option}={value}"
        for option, value in SHORTER.get(command, {}).items()
        if _given(session, option) is None and not (how_long and option in EXTENT)
    ]


def _given(session: nox.Session, option: str) -> str | None:
    """Return the value that an option was given after `--`, None where it was not."""
    for word, following in pairwise([*session.posargs, ""]):
        if word == option:
            return following
        if word.startswith(f"{option}="):
            return word.removeprefix(f"{option}=")
    return None


def _install(session: nox.Session, *groups: str) -> None:
    # A user has no extras; whoever tests or checks isobench needs all of them.
    extras = f"[{','.join(PROJECT['project']['optional-dependencies'])}]" if groups else ""
    session.install("-e", f".{extras}")
    for group in groups:
        session.install(*nox.project.dependency_groups(PROJECT, group))
    if not any(shutil.which(compiler) for compiler in ("cc", "gcc", "clang")):
        # suexec is a C program; this wheel brings a compiler where the system has none.
        session.install("ziglang")
