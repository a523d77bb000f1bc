"""What a name leads to after a script: in a process of its own, as it changes what is loaded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

# Scripts run one after the other, each in the directory; what the last one prints is returned.
_PROGRAM = """
import sys
sys.path.insert(0, {root!r})
from servers.interpreter.site_imports import SiteImports
for source in {sources!r}:
    imports = SiteImports()
    main = sys.modules["__main__"] = type(sys)("__main__")
    imports.begin({directory!r})
    try:
        exec(source, main.__dict__)
    finally:
        imports.forget()
        imports.end()
"""


def last_words(directory: Path, *sources: str) -> str:
    program = _PROGRAM.format(root=str(ROOT), sources=sources, directory=str(directory))
    # Of the library, the interpreter alone has loaded something.
    command = [sys.executable, "-ISBc", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


FAKE = "import sys, types\nfake = types.ModuleType({name!r})\nfake.evil = True\n"
LOADED, NOT_LOADED = "locale", "colorsys"


def evil(name: str) -> str:
    return f"import {name}\nprint(hasattr({name}, 'evil'))"


@pytest.mark.parametrize("name", [LOADED, NOT_LOADED])
@pytest.mark.parametrize(
    "replacing",
    [
        "sys.modules[{name!r}] = sys.modules['one more'] = fake",
        "sys.modules.pop({name!r}, None); sys.modules[{name!r}] = fake; import quopri",
        "sys.modules = dict(sys.modules, {name}=fake)",
        "fake.__class__ = type('Equal', (type(sys),), dict(__eq__=lambda *_: True, "
        "__hash__=object.__hash__)); sys.modules[{name!r}] = sys.modules['one more'] = fake",
    ],
)
def test_a_replaced_module_is_the_librarys_again(tmp_path: Path, name: str, replacing: str) -> None:
    fake = FAKE.format(name=name) + replacing.format(name=name)
    assert last_words(tmp_path, f"import {LOADED}", fake, evil(name)) == "False"


def test_one_in_the_place_of_a_loaded_module_stays_until_something_else_is_noticed(
    tmp_path: Path,
) -> None:
    """Which is what the attack `replaced_module` shows."""
    fake = FAKE.format(name=LOADED) + f"sys.modules[{LOADED!r}] = fake"
    first = f"import {LOADED}, quopri"
    assert last_words(tmp_path, first, fake, evil(LOADED)) == "True"
    assert last_words(tmp_path, first, fake, "import colorsys", evil(LOADED)) == "False"


def test_a_known_module_stays_the_same_one_whatever_a_script_does_to_it(tmp_path: Path) -> None:
    first = "import locale, sys\nsys.first = locale"
    again = "import sys\ndel sys.modules['locale']\nimport locale\nassert locale is not sys.first"
    removed = "import sys\ndel sys.modules['locale']"
    look = "import locale, sys\nprint(locale is sys.first)"
    assert last_words(tmp_path, first, again, removed, look) == "True"


def test_what_the_library_found_in_the_place_of_its_own_goes_too(tmp_path: Path) -> None:
    replaced = FAKE.format(name="re") + (
        "import re as real\nfake.__dict__.update(real.__dict__, evil=True)\n"
        "sys.modules['re'] = fake\nimport textwrap"
    )
    look = "import textwrap\nprint(hasattr(textwrap.re, 'evil'))"
    assert last_words(tmp_path, "import re", replaced, look) == "False"


def test_a_name_that_a_script_has_barred_can_be_imported(tmp_path: Path) -> None:
    barred = "import sys\nsys.modules.update(dict.fromkeys(['colorsys', 'locale', 'json.tool']))"
    look = "import colorsys, locale, json.tool\nprint('imported')"
    assert last_words(tmp_path, "import locale, json", barred, look) == "imported"


def test_a_part_that_a_script_adds_to_a_known_package_is_its_own(tmp_path: Path) -> None:
    added = FAKE.format(name="json.tool") + "import json\nsys.modules['json.tool'] = fake\n"
    assert last_words(tmp_path, "import json", added, evil("json.tool")) == "False"
    alias = "import json, sys\nsys.modules['colorsys'] = json"
    look = "import colorsys, json\nprint(colorsys is json, json.dumps(1))"
    assert last_words(tmp_path, "import json", alias, look) == "False 1"


def test_what_the_library_makes_itself_does_not_have_it_loaded_again(tmp_path: Path) -> None:
    """Such as typing.io, which is there before typing itself is."""
    first = "import sys, typing, json, xml.parsers.expat\nsys.first = typing, json"
    look = (
        "import sys, typing, json\nprint((typing, json) == sys.first, 'typing.io' in sys.modules)"
    )
    has_io = str(sys.version_info < (3, 13))
    assert last_words(tmp_path, first, look) == f"True {has_io}"


@pytest.mark.parametrize(
    "planting",
    [
        "sys.meta_path.insert(0, Finder)",
        "sys.meta_path = [Finder, *sys.meta_path]",
        "sys.path_hooks.insert(0, lambda place: Finder)\nsys.path_importer_cache.clear()",
        "sys.path_importer_cache.update(dict.fromkeys(sys.path, Finder))",
        "sys.path_importer_cache = dict.fromkeys(sys.path, Finder)",
        "sys.path[:] = ['nowhere']",
    ],
)
def test_the_librarys_modules_are_looked_for_as_before(tmp_path: Path, planting: str) -> None:
    finder = (
        "import sys\nclass Finder:\n"
        "    def find_spec(name, *_):\n        raise ImportError('the finder of a script')\n"
    )
    look = "import colorsys\nprint('found')"
    assert last_words(tmp_path, "import locale", finder + planting, look) == "found"


def test_directories_of_the_library_are_listed_once_and_a_scripts_own_each_time(
    tmp_path: Path,
) -> None:
    (tmp_path / "own.py").touch()
    uses = "import own, sys\nsys.finders = dict(sys.path_importer_cache)"
    look = (
        "import own, os, sys\nfound = sys.path_importer_cache\n"
        "kept = {place for place in sys.finders if sys.finders[place] is found.get(place)}\n"
        "print(*[place for place in sys.path if os.path.isdir(place) and place not in kept])"
    )
    assert last_words(tmp_path, uses, look) == str(tmp_path)


def test_what_is_the_scripts_own_is_emptied_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("WORD = 1")
    first = "import own, sys, json\nsys.own = own\nsys.modules['mine'] = json"
    look = "import json, sys\nprint(vars(sys.own), json.dumps({}), 'own' in sys.modules)"
    assert last_words(tmp_path, first, look) == "{} {} False"


def test_a_script_that_takes_itself_out_does_not_keep_the_next_from_running(
    tmp_path: Path,
) -> None:
    gone = "import sys\ndel sys.modules['__main__']"
    look = "import sys\nprint(sys.modules['__main__'].__dict__ is globals())"
    assert last_words(tmp_path, gone, look, look) == "True\nTrue"


@pytest.mark.parametrize(
    "strange",
    [
        "sys.modules[5] = 5",
        "sys.modules.clear()",
        "sys.modules[type('Name', (str,), dict(__eq__=None, __hash__=lambda _: 1))('x')] = 5",
        "sys.modules.popitem()\n"
        "sys.modules[type('Name', (str,), dict(__eq__=None, __hash__=lambda _: 1))('x')] = 5",
        "class Module(type(sys)):\n"
        "    __dict__ = __spec__ = __class__ = property(lambda _: 1 / 0)\n"
        "sys.modules['colorsys'] = Module('colorsys')",
    ],
)
def test_whatever_a_script_puts_there_the_next_one_runs(tmp_path: Path, strange: str) -> None:
    look = "import colorsys, sys\nprint(5 in sys.modules, colorsys.hsv_to_rgb(0, 0, 0))"
    assert last_words(tmp_path, "import sys\n" + strange, look) == "False (0, 0, 0)"


def test_names_are_told_by_identity_after_many_scripts(tmp_path: Path) -> None:
    script = "import sys\nsys.seen = getattr(sys, 'seen', 0) + 1"
    count = "import json, sys\nprint(json.dumps(sys.seen))"
    assert json.loads(last_words(tmp_path, *[script] * 5, count)) == 5
