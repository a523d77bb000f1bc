"""Everything a developer or a user types: `nox -l` lists it."""

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "tests"]

PROJECT = nox.project.load_toml("pyproject.toml")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure all modes and write a report: the main job. -- --quick for a short one."""
    _install(session)
    session.run("isobench", "run", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, on this Python. -- -k name for some of them."""
    _install(session, "test")
    session.run("pytest", *session.posargs)


@nox.session(python=["3.11", "3.12", "3.13"])
def supported(session: nox.Session) -> None:
    """Run the tests on every supported Python that is installed."""
    _install(session, "test")
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format and style (ruff) and types (mypy, strict)."""
    _install(session, "lint")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")


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


def _install(session: nox.Session, *groups: str) -> None:
    session.install("-e", ".")
    for group in groups:
        session.install(*nox.project.dependency_groups(PROJECT, group))
    if not any(shutil.which(compiler) for compiler in ("cc", "gcc", "clang")):
        # suexec is a C program; this wheel brings a compiler where the system has none.
        session.install("ziglang")
