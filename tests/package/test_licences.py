"""The licence gate: what may not be given away is named, and what others are given passes it."""

import argparse
import sys
from importlib import metadata
from pathlib import Path

import pytest

from deploy.package import bundle, licences, lock, slot
from deploy.package.errors import BuildError, ended
from deploy.package.licences import Distribution, Policy, Stated, UnclearError, licence, problems
from deploy.package.target import GLIBC, Target
from tests.package import small

BUSINESS = "Business Source License 1.1\n\nParameters\n"
RULES = Policy({"MIT": "free", "BSD-3-Clause": "free", "Apache-2.0": "ours"}, {})
TARGETS = [Target(machine, python) for machine in ("aarch64", "x86_64") for python in GLIBC]
LISTED = licences.policy(licences.LIST.read_text())


def says(
    expression: str = "", field: str = "", *classifiers: str, papers: tuple[str, ...] = ()
) -> Distribution:
    words = tuple(f"License :: {word}" for word in classifiers)
    return Distribution("lamp", "1.0", expression, field, words, papers)


READ = {
    "an expression": (says("mit OR apache-2.0"), "MIT OR Apache-2.0"),
    "an expression beside a classifier": (says("MIT", "", "OSI Approved :: BSD License"), "MIT"),
    "a name that SPDX has": (says("", "BSD-3-Clause"), "BSD-3-Clause"),
    "a name as people write it": (says("", "MIT  License"), "MIT"),
    "a name, and its family": (
        says("", "Apache 2.0", "OSI Approved", "OSI Approved :: Apache Software License"),
        "Apache-2.0",
    ),
    "a classifier that is one licence": (says("", "", "OSI Approved :: MIT License"), "MIT"),
    "a text, and a classifier": (
        says("", "Copyright\nPermission", "OSI Approved :: MIT License"),
        "MIT",
    ),
}
UNREAD = {
    "nothing": says(),
    "an expression that is none": says("Free As In Beer"),
    "a family": says("", "", "OSI Approved :: BSD License"),
    "a word": says("", "BSD", "OSI Approved :: MIT License"),
    "two classifiers": says("", "", "OSI Approved :: MIT License", "Public Domain"),
    "one that we do not know": says("", "", "Other/Proprietary License"),
    "a contradiction": says("", "MIT", "Other/Proprietary License"),
}


@pytest.mark.parametrize("what", READ)
def test_what_a_distribution_says_is_read_as_spdx(what: str) -> None:
    found, wanted = READ[what]
    assert licence(found) == wanted


@pytest.mark.parametrize("what", UNREAD)
def test_what_settles_nothing_is_not_guessed(what: str) -> None:
    with pytest.raises(UnclearError):
        licence(UNREAD[what])
    assert len(problems([UNREAD[what]], RULES)) == 1


@pytest.mark.parametrize(
    ("expression", "good"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT AND BSD-3-Clause OR GPL-3.0-only", True),
        ("GPL-3.0-only OR MIT AND AGPL-3.0-only", False),
        ("(GPL-3.0-only OR MIT) AND BSD-3-Clause", True),
        ("(GPL-3.0-only OR MIT) AND AGPL-3.0-only", False),
        ("MIT AND (GPL-3.0-only AND MIT OR (MIT))", True),
        ("GPL-3.0-only WITH GCC-exception-3.1", False),
        ("Apache-2.0 WITH LLVM-exception", False),
    ],
)
def test_one_side_of_an_or_and_both_of_an_and_must_be_on_the_list(
    expression: str, good: bool
) -> None:
    assert licences.allows(expression, RULES.allowed) is good
    assert licences.allows("(A WITH B) AND A", {"A WITH B"}) is False


def test_a_licence_file_that_limits_use_is_believed_over_the_metadata() -> None:
    (result,) = problems([says("MIT", papers=(BUSINESS,))], RULES)
    assert result == "lamp 1.0: a licence file of it names BUSL-1.1, which is not on the list"
    allowed = Policy({**RULES.allowed, "BUSL-1.1": "bought"}, {})
    assert problems([says("MIT", papers=(BUSINESS,))], allowed) == []


def test_what_a_person_has_looked_up_counts_for_one_version() -> None:
    rules = Policy(RULES.allowed, {"lamp": Stated("1.0", "BSD-3-Clause", "looked")})
    assert problems([says("", "BSD")], rules) == []
    (result,) = problems([Distribution("lamp", "1.1", "", "BSD")], rules)
    assert "for version 1.0 only" in result
    rules = Policy(RULES.allowed, {"lamp": Stated("1.0", "GPL-3.0-only", "looked")})
    assert problems([says()], rules) == ["lamp 1.0: GPL-3.0-only is not on the list"]


def test_a_line_of_the_list_has_a_reason() -> None:
    with pytest.raises(BuildError, match="MIT has no reason"):
        licences.policy('[allowed]\nMIT = " "\n[stated]\n')


def test_the_list_is_in_spdx_and_has_no_entry_that_nothing_needs() -> None:
    every = [*LISTED.allowed, *(each.licence for each in LISTED.stated.values())]
    assert [licences.spdx(each) for each in every] == every
    pins = {(pin.name, pin.version) for target in TARGETS for pin in lock.pins(lock.BOX, target)}
    assert {(name, each.version) for name, each in LISTED.stated.items()} <= pins


# -- what is built ------------------------------------------------------------------------------


def limited(folder: Path) -> Path:
    """A wheel as that of dlms-cosem 25.1.0 is."""
    files = {
        "meter/__init__.py": "",
        "tests/__init__.py": "",
        "meter-1.dist-info/LICENSE": BUSINESS,
    }
    return small.wheel(folder, "meter", "1", files)


def test_a_wheel_is_judged_by_its_files_too(tmp_path: Path) -> None:
    assert problems(licences.of_wheels(small.pair(tmp_path)), LISTED) == []
    assert problems(licences.of_wheels([limited(tmp_path)]), LISTED) == [
        "meter 1: a licence file of it names BUSL-1.1, which is not on the list",
        "meter 1: puts a folder 'tests' beside all packages",
    ]


def test_a_slot_with_it_is_not_made_and_one_that_is_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = [limited(tmp_path), *small.pair(tmp_path)]
    monkeypatch.setattr(slot, "collected", lambda *_: wheels)
    parser = slot.arguments(argparse.ArgumentParser())
    with pytest.raises(BuildError, match=r"meter 1: a licence file .* BUSL-1\.1"):
        slot.made(parser.parse_args([]), tmp_path / "stage", 1_700_000_000)
    assert not (tmp_path / "stage").exists()
    here = Target("x86_64", sys.version_info[:2])
    slot.build(tmp_path / "root", "0.1.0", here, wheels, bytecode=False)
    with pytest.raises(BuildError, match=r"meter 1: puts a folder 'tests'"):
        licences.require(licences.of_root(tmp_path / "root"))
    slot.build(tmp_path / "good", "0.1.0", here, wheels[1:], bytecode=False)
    assert licences.require(licences.of_root(tmp_path / "good")) == 2


def test_a_bundle_with_it_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetched(*_: object) -> dict[str, Path]:
        return {"meter": limited(tmp_path)}

    monkeypatch.setattr("deploy.package.fetch.wheels", fetched)
    monkeypatch.setattr("deploy.package.project.wheel", lambda *_: small.pair(tmp_path)[1])
    options = slot.arguments(argparse.ArgumentParser()).parse_args([])
    with pytest.raises(BuildError, match=r"meter 1: a licence file .* BUSL-1\.1"):
        bundle.content(options, [Target()], 1_700_000_000)


# -- the locks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*licences.LOCKS, bundle.PIP], ids=lambda path: path.stem)
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_what_others_are_given_has_no_dlms_cosem(path: Path, target: Target) -> None:
    names = {pin.name for pin in lock.pins(path, target)}
    assert not names & {"dlms-cosem", "structlog", "asn1crypto"}


@pytest.mark.parametrize("path", licences.LOCKS, ids=lambda path: path.stem)
def test_what_others_install_passes_the_gate(path: Path) -> None:
    found = licences.of_lock(path)
    assert len(found) > 9
    assert problems(found, LISTED) == []


def test_no_distribution_of_the_box_takes_a_name_that_belongs_to_nobody() -> None:
    for each in licences.of_lock(lock.BOX):
        assert each.tops, each
        assert not each.tops & licences.STRANGE, each


def test_the_lock_with_dlms_is_refused_for_each_of_its_reasons() -> None:
    found = licences.of_lock(lock.ROOT / "requirements/dlms.txt")
    result = problems(found, LISTED)
    assert [each.partition(":")[0] for each in result] == ["dlms-cosem 25.1.0"] * 3
    assert "MIT" in result[0]
    assert "BUSL-1.1" in result[1]
    assert "'tests'" in result[2]


# -- the command --------------------------------------------------------------------------------


def ran(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["licences", *map(str, words)])
    return ended(licences.main)


def test_the_command_ends_with_one_and_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(monkeypatch, *small.pair(tmp_path)) == 0
    assert capsys.readouterr().out == "licences: 2 distributions, all on the list\n"
    assert ran(monkeypatch, limited(tmp_path)) == 1
    assert "licences.toml with a reason" in capsys.readouterr().err
    assert ran(monkeypatch, "--root", tmp_path) == 1
    assert "has no slot" in capsys.readouterr().err


def test_a_lock_that_is_not_installed_here_is_no_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pin = " \\\n    --hash=sha256:" + "a" * 64 + "\n"
    for text in ("no-such-package-here==1", f"msgpack==0.{metadata.version('msgpack')}"):
        (tmp_path / "x.txt").write_text(text + pin)
        assert ran(monkeypatch, "--lock", tmp_path / "x.txt") == 1
        assert "installed" in capsys.readouterr().err
