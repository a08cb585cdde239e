"""What loop cards said of real loops beside what loop health says: `RECORDED=DIR` with `atspm/`.

The logs are never trained on, and no choice was made with them.
"""

import os
from pathlib import Path

import pytest

from models.loopfault.cardfaults import (
    CardComparison,
    CardEpisode,
    RaisedFault,
    card_episodes,
    compare_logs,
    comparison_lines,
)
from models.loopfault.controllerlogs import EVENTS, ROLES

ATSPM = Path(os.environ.get("RECORDED", ".")) / "atspm"
LOGS = Path(__file__).parents[1] / "recordings" / "logs"


def test_an_episode_is_from_a_fault_to_its_restoration(tmp_path: Path) -> None:
    card = tmp_path / "1.card.csv"
    card.write_text(
        "t_ms,line,said\n1000,D1,restored\n2000,D1,watchdog\n3000,D1,open_loop\n4000,D2,watchdog\n"
        "9000,D1,restored\n9500,D1,restored\n"
    )
    assert card_episodes(card, 60.0) == (
        [CardEpisode("D1", 2.0, 9.0, "watchdog")],
        [CardEpisode("D2", 4.0, 60.0, "watchdog")],
    )
    assert card_episodes(None, 60.0) == ([], [])


def test_a_flag_is_of_an_episode_that_it_was_raised_in_or_soon_after() -> None:
    c = CardComparison("7", 24.0, ("D1", "D2", "D3"), [CardEpisode("D1", 100.0, 200.0, "watchdog")])
    c.flags = [
        RaisedFault("D1", 50.0, 110.0, "chatter"),
        RaisedFault("D2", 150.0, 160.0, "chatter"),
    ]
    assert (c.found(), c.covered(), c.others()) == ([], c.episodes, [c.flags[1]])
    c.flags.append(RaisedFault("D1", 259.0, 300.0, "stuck_on"))
    assert c.found() == c.episodes
    assert c.other_days() == 2.0


@pytest.mark.parametrize("rules", [False, True])
def test_a_log_is_compared_as_a_user_replays_it(*, rules: bool) -> None:
    found = compare_logs([LOGS / "hires.csv"], LOGS / "detectors.csv", rules=rules)
    assert [c.signal for c in found] == ["7", "12"]
    (episode,) = found[0].episodes
    assert episode == CardEpisode("D3", 30.0, 36.8, "shorted_loop")
    assert [c.flags for c in found] == [[], []]
    assert "0 in" in "\n".join(comparison_lines(found)).splitlines()[-1]


@pytest.mark.timeout(900)
@pytest.mark.skipif(not ATSPM.is_dir(), reason="RECORDED=DIR has no atspm/, logs of signals")
def test_real_logs(capsys: pytest.CaptureFixture[str]) -> None:
    found = {c.signal: c for c in compare_logs([ATSPM / EVENTS], ATSPM / ROLES)}
    with capsys.disabled():
        print("", *comparison_lines(list(found.values())), sep="\n")
    assert {signal: len(c.episodes) for signal, c in found.items()} == {
        "227": 0, "452": 30, "454": 390,
    }  # fmt: skip
    assert [(e.line, e.said) for e in found["227"].unfinished] == [
        ("D63", "shorted_loop"), ("D64", "shorted_loop"),
    ]  # fmt: skip
    doubted = [line in c.flagged() for c in found.values() for line in sorted(c.doubted)]
    assert (len(doubted), sum(doubted) >= 4) == (8, True)
    others = sum(len(c.others()) for c in found.values())
    assert others / sum(c.other_days() for c in found.values()) < 2.0  # 1.90 of loopfault 1.1.0
