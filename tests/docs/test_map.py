"""The map is true: what it names exists, and what exists in the large stands in it."""

import re
from pathlib import Path
from typing import Final

import pytest

from edge.acquire import stage
from edge.cli.main import VERBS
from edge.config.model.gateway import SECTIONS
from edge.control import protocol
from edge.gateway import boxchange, commissionfiles, lastgood, recover, statefiles, uplinksetup
from edge.gateway import windowcommitter as committer
from edge.health import scrape
from edge.outbox import (
    ballast,
    commitlog,
    database,
    deliveryjournal,
    epochs,
    highwater,
    outboxfolder,
    quarantine,
)
from edge.uplink import manifests, timestamps
from tests.docs import source
from tests.docs.pages import (
    COMMANDS,
    CONTRIBUTING,
    DECISIONS,
    GLOSSARY,
    MAP,
    PATHS,
    README,
    ROOT,
    START,
    STATE,
    TASKS,
    prose,
    rows,
    spans,
    text,
)

PAGES: Final = (README, CONTRIBUTING, MAP, PATHS, STATE, COMMANDS, DECISIONS, START, *TASKS)
TOPS: Final = ("edge", "drivers", "models", "tests", "deploy", "docs", "systemd", "requirements")
FILE: Final = re.compile(rf"(?:{'|'.join(TOPS)})/[\w./*-]*")
OTHERS: Final = ("apt", "curl", "systemctl")  # programs that are not ours
ENDS: Final = ("toml", "db", "py", "log")  # a file, and no key of a table
PLACE: Final = re.compile(r"([\w/.-]+\.py):(\w+)(?:\.(\w+))?")
KEY: Final = re.compile(r"([a-z]+)\.([a-z_]+)")
SYMBOL: Final = re.compile(r"([A-Z]\w*[a-z]\w*)(?:\.(\w+))?")
SETTING: Final = re.compile(r"^(?:[A-Z]+=\S+ )+|(?:^|(?<= ))\.venv/bin/")  # before a command
MADE: Final = re.compile(r"[A-Z]{3,}|[0-9]{4,}|[<>{}*]")  # what stands for something in a name


def wrong(stated: str) -> str:
    """Why there is no such thing; "" when there is, or when it is nothing of ours."""
    span = SETTING.sub("", stated)
    if found := PLACE.fullmatch(span):
        path, name, member = ROOT / found[1], found[2], found[3] or ""
        if not path.is_file():
            return "no such file"
        return "" if source.module(path).has(name, member) else "no such name in that file"
    if FILE.fullmatch(span):
        return "" if list(ROOT.glob(span.rstrip("/"))) else "no such file or folder"
    if "/" not in span and (ROOT / span).is_file():
        return ""
    first, _, rest = span.partition(" ")
    if first in OTHERS:
        return ""
    if first == "make":
        asked = [word for word in rest.partition("=")[0].split() if word.islower()]
        return "" if source.targets().issuperset(asked) else "no such target"
    if first == "kerbstone":
        return "" if rest.split()[0] in {*VERBS, "VERB"} else "no such command"
    if span.startswith("python -m "):
        where = ROOT.joinpath(*span.split()[2].split("."))
        return "" if where.is_dir() or where.with_suffix(".py").is_file() else "no such module"
    if span.endswith((".service", ".timer")):
        return "" if (ROOT / "systemd" / span).is_file() else "no such unit"
    if (found := KEY.fullmatch(span)) and found[1] in SECTIONS and found[2] not in ENDS:
        return "" if found[2] in SECTIONS[found[1]].__struct_fields__ else "no such key"
    if found := SYMBOL.fullmatch(span):
        members = source.symbols().get(found[1])
        if members is not None:
            return "" if not found[2] or found[2] in members else "no such member"
    return missing(span)


def missing(span: str) -> str:
    """Which of its words stands nowhere in the code, nor in a unit or a rule."""
    for word in source.WORD.findall(MADE.sub(" ", span)):
        whole = len(word) < 4 or word in source.words()
        if not whole and not re.search(rf"\b{word}\b", source.elsewhere()):
            return f"{word!r} stands nowhere in the code"
    return ""


@pytest.mark.parametrize(
    "span",
    [
        "edge/gateway/ledgers.py", "edge/gateway/windowcommitter.py:Ledger._rotates",
        "edge/gateway/windowcommitter.py:Leger",
        "edge/nowhere/", "make tests", "make check tset", "kerbstone runs",
        "python -m edge.lnk run",
        "kerbstone-lnk.service", "uplink.receipts_s", "Poller.runs", "outbx.db", "PollerOfNothing",
    ],
)  # fmt: skip
def test_what_does_not_exist_is_found(span: str) -> None:
    assert wrong(span)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_names_exists(page: Path) -> None:
    assert {span: why for span in spans(prose(page)) if (why := wrong(span))} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_folder_in_a_picture_exists(page: Path) -> None:
    named = re.findall(r"(?<![\w/])(?:edge|drivers)/\w+", text(page))
    gone = [name for name in named if not list(ROOT.glob(f"{name}*"))]
    assert gone == []


def test_every_package_stands_in_the_map() -> None:
    stated = {next(spans(cells[0]), "") for cells in rows(MAP)}
    assert source.packages() - stated == set()


def test_every_package_of_the_daemons_path_stands_in_the_picture() -> None:
    picture = text(MAP).partition("```text")[2].partition("```")[0]
    path = (
        "edge/acquire",
        "edge/gateway",
        "edge/process",
        "edge/infer",
        "edge/outbox",
        "edge/uplink",
    )
    assert [name for name in (*path, "edge/platform") if name not in picture] == []


def test_every_thread_has_a_place_in_the_map() -> None:
    stated = set(spans(prose(MAP)))
    made = source.threads()
    assert {"bus-", "outbox", "dial", "lookup", "status_led"} <= made  # what is looked for is found
    assert {name for name in made if not any(one.startswith(name) for one in stated)} == set()


def test_every_unit_stands_in_the_map() -> None:
    units = [path.name for end in ("service", "timer") for path in ROOT.glob(f"systemd/*.{end}")]
    assert units
    assert set(units) - set(spans(prose(MAP))) == set()


def test_the_rules_between_packages_are_those_that_are_checked() -> None:
    stated = [cells[0] for cells in rows(MAP) if cells[0] in source.contracts()]
    assert tuple(stated) == source.contracts()


def test_every_state_has_an_owner_in_the_page_and_none_is_made_up() -> None:
    table = prose(STATE).partition("## State in the outbox")[2].partition("\n## ")[0]
    stated = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    others = manifests.MANIFEST_OWNER, timestamps.MOMENTS_OWNER, boxchange.BOX_OWNER
    assert sorted(stated) == sorted([*committer.STATE_OWNERS, *others])


@pytest.mark.parametrize(
    "name",
    [
        database.DATABASE_NAME, epochs.EPOCH_FILE, quarantine.QUARANTINE, outboxfolder.PROBE_NAME,
        highwater.HIGHWATER_NAME,
        ballast.NAME, lastgood.GOOD_NAME, lastgood.STARTS_NAME, stage.PREFIX, stage.ASIDE_PREFIX,
        recover.ATTEMPTS_FILE, statefiles.HANDED_OVER, statefiles.SWAP_NOTE, statefiles.STAGING,
        statefiles.READY, statefiles.CARRIED_LOG, commissionfiles.STATE_NAME,
        commissionfiles.DAMAGED_NAME, commissionfiles.SHEETS,
        deliveryjournal.JOURNAL_NAME, commitlog.COMMIT_LOG_NAME, protocol.SOCKET_NAME, scrape.NAME,
        uplinksetup.MARKER_NAME,
    ],
)  # fmt: skip
def test_every_file_of_the_daemon_stands_in_the_page(name: str) -> None:
    table = prose(STATE).partition("## Files on the box")[2].partition("\n## ")[0]
    assert any(re.search(rf"(^|/){re.escape(name)}", span) for span in spans(table))


def test_every_command_stands_in_the_page_of_commands() -> None:
    stated = [next(spans(cells[0])).split()[1] for cells in rows(COMMANDS)]
    assert sorted(stated) == sorted(VERBS)


@pytest.mark.parametrize("page", [MAP, PATHS, STATE, GLOSSARY])
def test_a_page_of_the_map_can_be_read_at_a_sitting(page: Path) -> None:
    assert 100 <= len(text(page).splitlines()) <= 400


def test_the_readme_is_read_in_two_minutes() -> None:
    stated = text(README)
    assert len(stated.splitlines()) <= 120
    assert len(stated.split()) <= 850  # with picture and tables
    sentences = [line for line in prose(README).splitlines() if not line.startswith("|")]
    assert sum(len(line.split()) for line in sentences) <= 520
    for target in ("demo", "test"):
        assert f"\nmake {target} " in stated


@pytest.mark.parametrize("page", [README, CONTRIBUTING])
def test_who_arrives_is_led_to_the_map(page: Path) -> None:
    for place in ("docs/architecture.md", "docs/glossary.md", "docs/decisions/README.md"):
        assert f"({place})" in text(page)


def test_the_figures_of_the_readme_are_those_of_the_benchmarks() -> None:
    stated = [cells for cells in rows(README) if re.search(r"\d", cells[1]) and len(cells) == 3]
    measured = set(re.findall(r"[\d.,]*\d", text(ROOT / "docs/benchmarks.md")))
    assert len(stated) >= 5
    for cells in stated:
        assert set(re.findall(r"[\d.,]*\d", " ".join(cells[1:]))) <= measured, cells
