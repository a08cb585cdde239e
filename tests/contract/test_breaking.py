"""What was released under a `v` is not broken under the same; and the comparator finds breaks."""

import copy
import re
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from docs import generate, promise
from docs.breaking import breaking
from edge.wire.contract.catalogue import BY_NAME, MESSAGES
from edge.wire.contract.schemas import VERSION, schema_of

Change = Callable[[dict[str, Any]], object]


def test_nothing_that_was_released_is_broken() -> None:
    assert promise.broken() == [], "a break needs a new `v`: VERSION in contract/schemas.py"


def test_what_is_sealed_was_sealed_by_a_version_that_is_made() -> None:
    by, news = promise.released_by(), (promise.ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert (by is None) is not bool(promise.released())
    if by is None:
        made = re.findall(r"^## [0-9]+\.[0-9]+\.[0-9]+ ", news, re.MULTILINE)
        # the first one is being made: `make release` seals it after these tests
        assert VERSION > 1 or len(made) < 2, "make release seals what a version promises"
    else:
        assert f"\n## {by} (" in news, "`make release` seals, and nothing else does"


@pytest.mark.parametrize("name", [each.name for each in MESSAGES])
def test_a_schema_does_not_break_itself(name: str) -> None:
    assert breaking(schema_of(BY_NAME[name]), schema_of(BY_NAME[name])) == []


def form(schema: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = schema["$defs"][name]
    return found


def changed(name: str, change: Change) -> list[str]:
    old = schema_of(BY_NAME[name])
    new = copy.deepcopy(old)
    change(new)
    return breaking(old, new)


def lane(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = form(schema, "Lane")["properties"]
    return found


UP_BREAKS: dict[str, Change] = {
    "a field goes": lambda s: lane(s).pop("volume"),
    "an optional field goes": lambda s: lane(s).pop("wrong_way"),
    "a field of the header goes": lambda s: [
        form(s, name)["properties"].pop("tq") for name in ("Header", "Lane")
    ],
    "what the header holds is another thing": lambda s: form(s, "Header")["properties"][
        "gw"
    ].update(type="integer"),
    "a field is renamed": lambda s: lane(s).update(count=lane(s).pop("volume")),
    "an integer becomes a number": lambda s: lane(s)["volume"]["anyOf"][0].update(type="number"),
    "a number becomes a text": lambda s: lane(s)["covered_s"].update(type="string"),
    "what was always there may be left out": lambda s: form(s, "Lane")["required"].remove("health"),
    "what was never null may be": lambda s: lane(s).update(
        covered_s={"anyOf": [lane(s)["covered_s"], {"type": "null"}]}
    ),
    "a range grows": lambda s: lane(s)["occupancy"]["anyOf"][0].update(maximum=100),
    "a range has no end any more": lambda s: lane(s)["occupancy"]["anyOf"][0].pop("maximum"),
    "another unit": lambda s: lane(s)["occupancy"].update({"x-unit": "%"}),
    "a word is new in a closed list": lambda s: lane(s)["health"]["enum"].append("flooded"),
    "a word goes": lambda s: lane(s)["health"]["enum"].remove("chatter"),
    "a reason is new": lambda s: lane(s)["quality"]["propertyNames"].update(pattern="^good|ugly$"),
    "what a map holds is another thing": lambda s: lane(s)["quality"].update(
        additionalProperties={"type": "number"}
    ),
    "a pair becomes a triple": lambda s: form(s, "Header")["properties"]["mono"][
        "prefixItems"
    ].append({"type": "integer"}),
    "a nested field goes": lambda s: form(s, "Speeds")["properties"].pop("harmonic"),
    "another topic": lambda s: s.update({"x-topic": "elsewhere"}),
    "it is retained": lambda s: s.update({"x-retained": True}),
    "another encoding": lambda s: s["x-content-types"].append("application/cbor"),
}
UP_BEARABLE: dict[str, Change] = {
    "a new optional field": lambda s: lane(s).update(new={"type": "string"}),
    "a new field": lambda s: (
        lane(s).update(new={"type": "string"}), form(s, "Lane")["required"].append("new")
    ),
    "what could be left out never is": lambda s: form(s, "Lane")["required"].append("void_s"),
    "a range shrinks": lambda s: lane(s)["covered_s"].update(maximum=3600),
    "what could be null never is": lambda s: lane(s).update(
        occupancy={**lane(s)["occupancy"]["anyOf"][0], "x-unit": "/"}
    ),
    "a number becomes an integer": lambda s: lane(s)["covered_s"].update(type="integer"),
    "other words for people": lambda s: lane(s)["volume"].update(description="Cars."),
    "a word is new in a list that grows, and may be null": lambda s: form(s, "LoopDoubt")[
        "properties"
    ]["fault"]["anyOf"][0]["enum"].append("drowned"),
}  # fmt: skip


def resend(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = form(schema, "Resend")["properties"]
    return found


DOWN_BREAKS: dict[str, Change] = {
    "a new field is asked for": lambda s: (
        resend(s).update(why={"type": "string"}), form(s, "Resend")["required"].append("why")
    ),
    "a range shrinks": lambda s: resend(s)["id"].update(maxLength=8),
    "a range begins": lambda s: resend(s)["id"].update(pattern="^[a-z]+$"),
    "a field is not understood any more": lambda s: resend(s).pop("ranges"),
    "a number becomes a text": lambda s: form(s, "Ranges")["properties"]["epoch"].update(
        type="string"
    ),
}  # fmt: skip
DOWN_BEARABLE: dict[str, Change] = {
    "a new field may be there": lambda s: resend(s).update(why={"type": "string"}),
    "a range grows": lambda s: resend(s)["id"].update(maxLength=128),
    "an integer may be a number": lambda s: form(s, "Ranges")["properties"]["epoch"].update(
        type="number"
    ),
    "a pattern ends": lambda s: form(s, "Ranges")["properties"]["stream"].pop("pattern"),
    "what was needed may be left out": lambda s: form(s, "Resend")["required"].remove("ranges"),
    "a null is borne": lambda s: resend(s).update(
        ranges={"anyOf": [resend(s)["ranges"], {"type": "null"}]}
    ),
}


@pytest.mark.parametrize("what", UP_BREAKS)
def test_a_break_of_what_goes_up_is_found(what: str) -> None:
    assert changed("lane", UP_BREAKS[what]), what


@pytest.mark.parametrize("what", UP_BEARABLE)
def test_what_a_consumer_can_bear_is_no_break(what: str) -> None:
    assert changed("lane", UP_BEARABLE[what]) == [], what


@pytest.mark.parametrize("what", DOWN_BREAKS)
def test_a_break_of_what_comes_down_is_found(what: str) -> None:
    assert changed("resend", DOWN_BREAKS[what]), what


@pytest.mark.parametrize("what", DOWN_BEARABLE)
def test_what_a_platform_need_not_mind_is_no_break(what: str) -> None:
    assert changed("resend", DOWN_BEARABLE[what]) == [], what


def test_kinds_of_events_grow_and_never_go() -> None:
    old = schema_of(BY_NAME["event"])
    new = copy.deepcopy(old)
    door = next(each for each in new["anyOf"] if each["$ref"].endswith("/Door"))
    new["$defs"]["Window"] = {**new["$defs"]["Door"], "title": "Window"}
    new["anyOf"].insert(0, {"$ref": "#/$defs/Window"})
    assert breaking(old, new) == []
    new["anyOf"].remove(door)
    assert breaking(old, new) == [": the form Door is gone"]


def test_a_release_seals_and_the_next_cannot_break_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promise, "RELEASED", tmp_path / "v1")
    assert promise.released_by() is None
    assert promise.seal() == []
    assert promise.released_by() == promise.release()
    assert promise.broken() == []
    file = tmp_path / "v1" / "lane.json"
    other = file.read_text(encoding="utf-8").replace('"volume"', '"flow"')
    file.write_text(other, encoding="utf-8")
    assert promise.broken() == ["lane: flow: the field is gone"]
    assert promise.seal() == [], "before its release a version is sealed anew"
    assert promise.broken() == []
    file.write_text(other, encoding="utf-8")
    (tmp_path / "v1" / "RELEASE").write_text("0.0.9\n")
    assert promise.seal() == ["lane: flow: the field is gone"]
    assert promise.broken() == ["lane: flow: the field is gone"], "nothing was written"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The present schemas, committed."""
    folder = tmp_path / "docs/contract/schemas"
    folder.mkdir(parents=True)
    for message in MESSAGES:
        (folder / f"{message.name}.json").write_text(promise.dumped(schema_of(message)))
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    return tmp_path


def git(place: Path, *words: str) -> None:
    subprocess.run(["git", "-C", place, *words], check=True, capture_output=True)


def commit(place: Path) -> None:
    git(place, "add", "-A")
    git(place, "-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "-qm", "x")


def test_before_a_release_changes_are_told_by_the_last_commit_and_fail_nothing(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(promise, "RELEASED", repository / "released/v1")
    assert set(promise.committed(repository)) == set(BY_NAME)
    monkeypatch.setattr(promise, "committed", partial(promise.committed, repository))
    assert promise.changed() == []
    file = repository / "docs/contract/schemas/lane.json"
    file.write_text(file.read_text().replace('"volume"', '"flow"'))
    assert promise.changed() == [], "not committed"
    commit(repository)
    monkeypatch.setattr(generate, "DOCUMENTS", {})
    monkeypatch.setattr(generate, "OURS", ())
    assert generate.main(["--check"]) == 0
    output = capsys.readouterr().out
    assert (
        output == "the contract has changed since the last commit: lane: flow: the field is gone\n"
    )
    assert promise.seal() == []
    assert promise.changed() == [], "from then on it is what was sealed that counts"


def test_without_git_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    assert promise.committed(tmp_path) == {}
