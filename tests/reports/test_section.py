"""The page is a list of sections: one more is one file and one entry."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from reports import page
from reports.section import Results, Section

TRIVIAL = '''
"""How many trials there were."""

from dataclasses import dataclass
from functools import partial

from matplotlib.figure import Figure

from reports.section import Results, Section, Shown


@dataclass(frozen=True, kw_only=True)
class Trials(Section):
    """A sentence and a figure."""

    @classmethod
    def read(cls, results: Results) -> "Trials | None":
        number = len(results.trials)
        if not number:
            return None
        shown = Shown("trials", "Trials & more", "One figure.", partial(Figure, figsize=(1, 1)))
        return cls(heading="How many", sentences=[f"{number} `trials`."], figures=[shown])
'''


@pytest.fixture(name="trivial")
def _trivial(tmp_path: Path) -> type[Section]:
    """Return a section from a file of its own."""
    file = tmp_path / "trials.py"
    file.write_text(TRIVIAL)
    spec = importlib.util.spec_from_file_location("trials", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    section: type[Section] = module.Trials
    return section


def test_a_section_is_added_by_one_file_and_one_entry_of_the_list(
    trivial: type[Section], make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "SECTIONS", (trivial,))
    folder = make_folder(blocks=2, targets=("dso",), connections=("close",))
    written = page.write(folder).read_text()
    for text in (written, page.without_figures(folder)):
        assert "<h2>How many</h2>" in text
        assert "<li>2 <code>trials</code>.</li>" in text
        assert "<h2>Trials &amp; more</h2>" in text
    assert written.count("<svg") - written.count('<svg width="0"') == 1  # and shapes of letters
    assert {file.name for file in (folder / "figures").iterdir()} == {"trials.svg", "trials.png"}


def test_a_section_without_results_is_not_there(
    trivial: type[Section], make_folder: Callable[..., Path]
) -> None:
    assert trivial.read(Results.open(make_folder(blocks=0))) is None


def test_every_section_is_in_the_list_and_has_its_fragment() -> None:
    package = Path(page.__file__).parent / "sections"
    for file in package.rglob("*.py"):
        if file.stem != "__init__":
            path = file.relative_to(package).with_suffix("")
            importlib.import_module(".".join(("reports.sections", *path.parts)))
    assert {*page.SECTIONS} == {*Section.__subclasses__()} - {
        one for one in Section.__subclasses__() if not one.__module__.startswith("reports.")
    }
    fragments = {str(file.relative_to(package)) for file in package.rglob("*.j2")}
    assert {section.template for section in page.SECTIONS} == fragments


def test_a_page_without_figures_draws_none(
    make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "write_figures", lambda *_: pytest.fail("drawn"))
    assert "<svg" not in page.without_figures(make_folder(blocks=1, targets=("dso",)))
