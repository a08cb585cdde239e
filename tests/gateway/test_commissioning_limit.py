"""A site with more steps than a sheet has room for: what is left out is said wherever one looks,
and nothing looks complete that is not."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from edge.commission.sheet import OPEN_LISTED
from edge.commission.steps import LEFT_OUT, STEPS_LIMIT, site_steps
from edge.control.protocol import VerbError
from edge.gateway.sitecheck import check_site_text
from edge.platform.acceptancecheck import check_sheet
from edge.report.commissiontext import commission_page
from edge.wire.contract.body import body_map
from tests.gateway.commissionparts import SITE, CommissionedBox, StandingClock

OWN: Final = 9  # steps of SITE
MORE: Final = 40
SENTENCE: Final = f"{MORE + 1} steps of this site have no room here"


def doors(count: int) -> Iterator[str]:
    """So many contacts, each a step."""
    for n in range(count):
        yield f'[device.d{n:03}]\ndriver = "contact"\nbus = "loops"\nline = "x{n}"\n'


def test_a_site_that_just_fits_leaves_nothing_out(tmp_path: Path) -> None:
    box = CommissionedBox(tmp_path / "store", SITE + "".join(doors(STEPS_LIMIT - OWN)))
    assert len(box.owner.steps) == STEPS_LIMIT
    assert LEFT_OUT not in box.owner.steps
    assert not any("commissioned" in each for each in warnings(SITE))


async def test_what_has_no_room_is_said_on_page_command_sheet_and_to_the_city(
    tmp_path: Path,
) -> None:
    box = CommissionedBox(tmp_path / "store", SITE + "".join(doors(STEPS_LIMIT - OWN + MORE)))
    assert len(box.owner.steps) == STEPS_LIMIT
    steps = [*box.owner.steps]
    assert steps[-2:] == ["record", LEFT_OUT], "the way to the city is always looked at"
    await box.step("begin", by="Anna")
    await box.step("test", step="device:hut")
    row = await box.row(LEFT_OUT)
    assert row["verdict"] == "unproven"
    assert SENTENCE in row["findings"][0]["text"]
    assert "loop:north_1.trail" in row["findings"][0]["text"]
    state = await box.state()
    assert state["would_be"] == "reservations"
    assert sum(state["counts"].values()) == STEPS_LIMIT
    assert any(SENTENCE in line for line in commission_page(state))
    for act, words in (
        ("test", {"step": LEFT_OUT}), ("test", {"step": "bay:bakery"}),
        ("drive", {"lane": "north_1"}),
    ):  # fmt: skip
        with pytest.raises(VerbError, match=SENTENCE):
            await box.step(act, **words)
    with pytest.raises(VerbError, match=f"and {STEPS_LIMIT - 1 - OPEN_LISTED} more"):
        await box.step("sign", by="Anna")
    await box.step("sign", by="Anna", reservations=True)
    file = (await box.state(form="json"))["file"]
    assert file["sheet"]["state"] == "reservations"
    assert check_sheet(json.dumps(file).encode()).faults == ()
    assert SENTENCE in (await box.state(form="html"))["page"]
    (draft,) = box.drafts
    assert body_map(draft.body)["state"] == "reservations"


async def test_a_sheet_on_which_all_else_has_passed_still_has_reservations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.commission.steps.STEPS_LIMIT", OWN - 1)
    box = CommissionedBox(tmp_path / "store")
    left = box.owner.steps[LEFT_OUT].left_out
    assert left == ("loop:north_1.lead", "loop:north_1.trail")
    await box.step("begin", by="Anna")
    state = await box.state()
    assert state["counts"]["unproven"] == OWN - 1
    assert state["would_be"] == "reservations"


def test_what_is_left_out_makes_the_sheet_stale_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.commission.steps.STEPS_LIMIT", OWN - 1)
    one = CommissionedBox(tmp_path / "a").owner.steps[LEFT_OUT]
    other = SITE.replace('trail = "b"', 'trail = "bb"')
    assert site_steps(CommissionedBox(tmp_path / "b", other).site)[LEFT_OUT] != one


def test_check_warns_of_a_site_that_is_too_large() -> None:
    (said,) = [each for each in warnings(SITE + "".join(doors(STEPS_LIMIT))) if "room" in each]
    assert "too large to be commissioned as a whole" in said


def warnings(text: str) -> list[str]:
    """What `kerbstone check` and the page say of a site file."""
    return [
        each.text for each in check_site_text(text, "site.toml", StandingClock().now()).warnings
    ]
