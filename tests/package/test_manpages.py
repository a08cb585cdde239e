"""The manual says what the parsers and the model say, and roff reads it without a word."""

import re
import shutil
import subprocess

import pytest
from msgspec import Struct

from deploy.package.manpages import SITE_PAGE, _parts, _prose, _roff, pages
from edge.cli.examples import EXAMPLES
from edge.cli.main import VERBS, whole_parser
from edge.config.model import BUSES, SECTIONS, Approach, Lane
from edge.config.valuerules import model_rules

PAGES = pages("0.3.0", 1_795_000_000)
NEEDS_GROFF = pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")


def test_there_is_a_page_for_each_command_and_for_the_file() -> None:
    verbs = {f"kerbstone-{verb}.1" for verb in VERBS}
    assert PAGES.keys() == verbs | {"kerbstone.1", "kerbstone-enrol.1", f"{SITE_PAGE}.5"}


@NEEDS_GROFF
@pytest.mark.parametrize("name", PAGES)
def test_roff_finds_nothing_wrong(name: str) -> None:
    done = subprocess.run(
        ["groff", "-man", "-ww", "-b", "-z", "-Kutf8", "-Tutf8"],
        input=PAGES[name], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@NEEDS_GROFF
@pytest.mark.parametrize("verb", VERBS)
def test_a_page_has_all_options_and_examples_of_the_help(verb: str) -> None:
    text = shown(PAGES[f"kerbstone-{verb}.1"])
    words = set(text.replace(",", " ").split())
    parser = _parts(whole_parser())[verb]
    for line in parser.format_help().splitlines():
        for word in line.replace(",", " ").replace("[", " ").replace("]", " ").split():
            if re.fullmatch(r"--[a-z-]+", word):
                assert word in words or f"[{word}" in text, word
    plain = " ".join(text.replace("\\\n", " ").split())
    for example in EXAMPLES[verb]:
        assert example.command in plain


@NEEDS_GROFF
def test_the_page_of_the_file_has_every_key() -> None:
    text = shown(PAGES[f"{SITE_PAGE}.5"])
    lines = {line.strip() for line in text.splitlines()}
    models: list[type[Struct]] = [*SECTIONS.values(), *BUSES.values(), Lane, Approach]
    for model in models:
        for key in model_rules(model):
            assert any(line == key or line.startswith(f"{key} ") for line in lines), key


def shown(page: str) -> str:
    done = subprocess.run(
        ["groff", "-man", "-Kutf8", "-Tutf8", "-rLL=200n", "-P-cbou"],
        input=page, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_no_letter_is_taken_for_a_command() -> None:
    assert _roff(".TH x") == r"\&.TH x"
    assert _roff("a\\b") == r"a\eb"
    assert _roff("--all it's", code=True) == r"\-\-all it\(aqs"
    assert _prose("end-to-end, `--x`, [a page](b.md)") == r"end-to-end, \fB\-\-x\fR, a page"


def test_the_same_version_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert pages("0.3.0", 1_795_000_000) == PAGES
    assert not [name for name, text in PAGES.items() if "/home/" in text or "/root" in text]
