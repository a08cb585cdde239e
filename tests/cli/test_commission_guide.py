"""`kerbstone commission` at a terminal: it leads through the steps, and is left at any of them."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edge.cli.commission_asked import CommissionAsker
from edge.cli.commission_guide import run_guide
from edge.core import Contact
from tests.gateway.commissionparts import CommissionedBox, S


class AskedHere(CommissionAsker):
    """The daemon is in this process."""

    box: CommissionedBox

    def _ask(self, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        verbs = {"commission": self.box.verb.told, "commission_step": self.box.verb.step}
        return dict(asyncio.run(verbs[verb](arguments)))


def asker(box: CommissionedBox) -> AskedHere:
    made = AskedHere(Path(), Path(), Path())
    object.__setattr__(made, "box", box)
    return made


class Typed:
    """A technician: what he types at each question, and what he does before that."""

    def __init__(self, box: CommissionedBox, leaves_at: str = "") -> None:
        self.box, self.leaves_at = box, leaves_at
        self.asked: list[str] = []
        self.said: Iterator[str] = iter(())

    def __call__(self, question: str = "") -> str:
        self.asked.append(question)
        if self.leaves_at and self.leaves_at in question:
            return "q"
        if "Your name" in question or "Signed by" in question:
            return "Anna"
        if "Speed you will drive" in question:
            return "31"
        if "Drive over" in question:
            self.box.drive_over("north_1", 30.0)
        if "operated it" in question:
            for name in ("door", "lamp", "bakery"):
                for on in (True, False, True, False):
                    self.box.clock.mono_ns += S
                    self.box.contacts(Contact(name, on, self.box.clock.mono_ns))
        for key, value in (
            ("inductance_uh", "122"), (" q (", "11"), ("resistance_ohm", "1.2"),
            ("insulation_mohm", "150"),
        ):  # fmt: skip
            if key in question:
                return value
        if "A note" in question:
            return "Quelle am Kran: L2 fehlt"
        return "y" if "Sign the acceptance" in question else ""


def test_all_steps_and_the_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    box = CommissionedBox(tmp_path / "store")
    box.confirmed_ns = box.clock.mono_ns
    monkeypatch.setattr("builtins.input", Typed(box))
    assert run_guide(asker(box)) == 0
    said = capsys.readouterr().out
    assert "passed   lane:north_1" in said
    assert "Sheet 1 is signed" in said
    sheet = box.owner.session.sheet
    assert sheet is not None
    assert sheet.state == "reservations", "the wires were not searched"
    note = asyncio.run(box.state(form="json"))["file"]["sheet"]["note"]
    assert note == "Quelle am Kran: L2 fehlt", "as it was typed"


@pytest.mark.parametrize("place", ["Your name", "Speed you will drive", "resistance_ohm", "Sign"])
def test_it_is_left_at_any_point_and_goes_on_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    box = CommissionedBox(tmp_path / "store")
    box.confirmed_ns = box.clock.mono_ns
    monkeypatch.setattr("builtins.input", Typed(box, leaves_at=place))
    assert run_guide(asker(box)) == 1
    assert "goes on from here" in capsys.readouterr().out
    again = CommissionedBox(tmp_path / "store")
    again.confirmed_ns = again.clock.mono_ns
    before = {row["id"] for row in _rows(again) if row["verdict"] == "passed"}
    typed = Typed(again)
    monkeypatch.setattr("builtins.input", typed)
    assert run_guide(asker(again)) == 0
    if "lane:north_1" in before:
        assert not any("Speed you will drive" in each for each in typed.asked)


def _rows(box: CommissionedBox) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = asyncio.run(box.state())["steps"]
    return rows
