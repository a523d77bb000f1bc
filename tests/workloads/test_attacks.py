"""The folder of attacks: each a module of two halves, of which one is a plain CGI program."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from workloads import attacks
from workloads.attacks import Attack, every
from workloads.errors import WorkloadError

HALVES = "def attack(given): pass\ndef proof(scene): pass\n"


def run(source: str, tmp_path: Path) -> str:
    """Return what a hostile script prints, made of this first half."""
    script = tmp_path / "script.py"
    script.write_text(f"{source}\n{attacks.PROGRAM.read_text()}")
    given: dict[str, str | int] = {"token": "word", "hand": 0, "begun": str(tmp_path / "begun")}
    result = subprocess.run(
        [sys.executable, "-IS", str(script)],
        env={"QUERY_STRING": attacks.query(given, "python")},
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout


def test_there_are_many_in_every_family() -> None:
    names = [attack.name for attack in every()]
    assert len(names) == len(set(names)) >= 40
    assert {attack.family for attack in every()} == set(attacks.FAMILIES)


def test_what_they_re_enact_is_in_the_docs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    named = {
        (precedent.removeprefix("| "), name.strip("` |"))
        for precedent, *names in rows
        if len(names) == 1
        for name in names[0].split(", ")
    }
    told = {(attack.precedent, attack.name) for attack in every() if attack.precedent}
    assert len(told) >= 30
    assert told <= named
    cited = [attack.precedent for attack in every() if re.match("C[VW]E", attack.precedent)]
    assert all(re.match(r"(CVE-\d{4}-\d{4,}|CWE-\d+)[: ]", precedent) for precedent in cited)


def test_no_folder_is_forgotten() -> None:
    folders = {path.parent.name for path in attacks.FOLDER.glob("*/__init__.py")}
    assert folders == set(attacks.FAMILIES)


@pytest.mark.parametrize("attack", every(), ids=lambda attack: attack.name)
def test_an_attack_is_a_titled_program(attack: Attack) -> None:
    assert 10 < len(attack.title) < 100
    program = attack.program("/usr/bin/python3 -IS")
    assert program.startswith("#!/usr/bin/python3 -IS\n")
    compile(program, attack.name, "exec")
    assert ("def attack(" in program) != (attack.instead is not None or not attack.in_python)


IN_PHP = [attack for attack in every() if attack.source_in("php")]


def test_attacks_that_concern_products_are_written_in_php() -> None:
    families = {attack.family for attack in IN_PHP}
    assert families >= {"reading", "writing", "identity", "process", "sharing", "guard"}
    assert len(IN_PHP) > 45


@pytest.mark.parametrize("attack", IN_PHP, ids=lambda attack: attack.name)
def test_a_program_in_php_declares_nothing_by_name(attack: Attack) -> None:
    # A server that runs one script after the other would refuse the second declaration.
    text = attack.text_in("php")
    assert text.startswith("<?php\n$attack = static function (object $given): mixed {\n")
    assert not re.search(r"^(function|class) ", text, re.MULTILINE)
    assert text.count("<?php") == 1 + attack.source.with_suffix(".php").read_text().count(
        '= "<?php'
    )


IN_PERL = [attack for attack in every() if attack.source_in("perl")]


def test_attacks_that_concern_mod_perl_are_written_in_perl() -> None:
    families = {attack.family for attack in IN_PERL}
    assert families == set(attacks.FAMILIES) - {"guard", "wrapper"}
    assert len(IN_PERL) > 40


@pytest.mark.parametrize("attack", IN_PERL, ids=lambda attack: attack.name)
def test_a_program_in_perl_declares_nothing_by_name(attack: Attack) -> None:
    # Under Registry a named sub would keep the variables of the first request.
    text = attack.text_in("perl")
    assert text.startswith("use strict;\nuse warnings;\n\nmy $attack = sub {\n")
    assert not re.search(r"^\s*(sub|package) \w+ ", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("file", "named"),
    [
        (path, path.name.split(".")[0])
        for suffix in ("php", "pl")
        for path in attacks.FOLDER.glob(f"*/*.*.{suffix}")
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_an_innocent_script_stands_beside_its_attack(file: Path, named: str) -> None:
    attack = attacks.load(named)
    language = {".php": "php", ".pl": "perl"}[file.suffix]
    assert attack.companion(file.name.split(".")[1], language) == file.read_text()
    assert attack.source_in(language) is not None


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("return $given->{token};", "done\nword\n"),
        ("return ['a', 1];", 'done\n["a",1]\n'),
        ('return "a\\xff";', "done\na\\xff\n"),
        ('open my $file, "<", "/no/x" or die "open: $!\\n";', "refused die: open: No such file"),
        ("$given->{nothing}->('it is not there');", "nothing it is not there"),
        ("$given->undefined;", "broke die: Can't call method"),
    ],
)
def test_a_script_in_perl_tells_what_it_got_and_what_stopped_it(
    statement: str, told: str, tmp_path: Path
) -> None:
    perl = shutil.which("perl")
    if perl is None or subprocess.run([perl, "-MJSON::PP", "-e1"], check=False).returncode:
        pytest.skip("perl or its JSON::PP is not installed: apt-get install perl")
    script = tmp_path / "script.pl"
    second = attacks.PROGRAM.with_suffix(".pl").read_text()
    script.write_text(f"my $attack = sub {{ my ($given) = @_; {statement} }};\n{second}")
    given: dict[str, str | int] = {"token": "word", "hand": 0, "begun": str(tmp_path / "begun")}
    result = subprocess.run(
        [perl, str(script)],
        env={"QUERY_STRING": attacks.query(given, "perl")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"isobench-attack {told}" in result.stdout
    assert (tmp_path / "begun-0").exists()


def test_where_the_server_stamps_there_is_one_request_at_a_time() -> None:
    profiled = [attack for attack in every() if attack.profiled]
    assert [attack.name for attack in profiled] == ["forged_stamps"]
    assert [(attack.workers, attack.shared) for attack in profiled] == [(1, False)]


@pytest.mark.parametrize("family", attacks.FAMILIES)
def test_a_family_says_what_it_is_about(family: str) -> None:
    assert len(attacks.family_title(family)) > 10


def test_it_is_found_by_its_name() -> None:
    assert attacks.load("neighbours_secret").family == "reading"
    with pytest.raises(KeyError):
        attacks.load("no_such_attack")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"reading/one.py": "def"}, "one.py is not an attack: SyntaxError"),
        ({"reading/one.py": "import no_such_module"}, "ModuleNotFoundError"),
        ({"reading/one.py": "def proof(scene): pass"}, "no function attack"),
        ({"reading/one.py": "def attack(given): pass"}, "no function proof"),
        ({"reading/one.py": f"{HALVES}HANDS = '2'"}, "HANDS is '2'"),
        ({"reading/one.py": HALVES, "writing/one.py": HALVES}, "has the same name"),
    ],
)
def test_a_file_that_makes_no_attack_is_named(
    files: dict[str, str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(attacks, "FOLDER", tmp_path)
    monkeypatch.setattr("importlib.import_module", lambda name: imported(tmp_path, name))
    with pytest.raises(WorkloadError, match="is not an attack") as caught:
        every.__wrapped__()
    assert words in str(caught.value)


def imported(folder: Path, name: str) -> ModuleType:
    """Return a module of a folder of attacks that is not where it belongs."""
    module = ModuleType(name)
    source = folder.joinpath(*name.split(".")[-2:]).with_suffix(".py").read_text()
    exec(compile(source, name, "exec"), vars(module))
    return module


def test_a_script_tells_what_it_got(tmp_path: Path) -> None:
    printed = run("def attack(given):\n    return given.token", tmp_path)
    assert printed == "Content-Type: text/plain\n\nisobench-attack done\nword\n"


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("raise PermissionError(1, 'no')", "refused PermissionError: [Errno 1] no"),
        ("raise given.nothing('it is not there')", "nothing it is not there"),
        ("import sqlite3; sqlite3.connect('/no/x')", "refused OperationalError: unable to open"),
        ("raise type('Own', (LookupError,), {})('mine')", "refused Own: mine"),
        ("return undefined", "broke NameError: name 'undefined' is not defined"),
    ],
)
def test_a_script_tells_what_stopped_it(statement: str, told: str, tmp_path: Path) -> None:
    assert f"isobench-attack {told}" in run(f"def attack(given):\n    {statement}", tmp_path)


def test_bytes_come_back_whatever_they_are(tmp_path: Path) -> None:
    assert "a\\xffb" in run(r"def attack(given): return b'a\xffb'", tmp_path)


def test_a_process_can_search_its_own_memory(tmp_path: Path) -> None:
    source = (
        "def attack(given):\n"
        "    kept = 'x'.join(['needle', 'hay', 'needle'])\n"
        "    return given.search('self', rb'needlexhayxneedle')"
    )
    assert "needlexhayxneedle" in run(source, tmp_path)


def test_without_a_guard_there_is_none_to_get_around(tmp_path: Path) -> None:
    printed = run("def attack(given):\n    given.must_be_guarded()", tmp_path)
    assert "isobench-attack nothing no guard" in printed


def test_objects_are_reached_from_what_is_running(tmp_path: Path) -> None:
    source = (
        "class Deep: pass\n"
        "def attack(given):\n"
        "    kept = [{'here': (Deep(),)}]\n"
        "    return len(given.reach('Deep'))"
    )
    assert "isobench-attack done\n1\n" in run(source, tmp_path)
