"""Whether a replay is judged by the hour of the day: only when it is said when it was recorded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edge.infer.modelguard import ModelGuard
from tests.kit.command import Command, MakeSite
from tests.long import one_in

pytest.importorskip("onnxruntime")

UNKNOWN = -1.0


@pytest.fixture
def hours(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The hour that the model of series was given with each window."""
    given: list[float] = []
    ask = ModelGuard.ask

    def heard(guard: ModelGuard, now_ns: int, feed: Mapping[str, Any]) -> object:
        if guard.name == "anomaly":
            (hour,) = {float(each) for each in feed["hour"][:, 0]}
            given.append(hour)
        return ask(guard, now_ns, feed)

    monkeypatch.setattr(ModelGuard, "ask", heard)
    return given


def edges(path: Path) -> Path:
    """A vehicle at once, and one after ninety minutes: windows of fifteen minutes in between."""
    rows = [f"{at},c,{level}" for at, level in ((1000, 0), (1300, 1), (5_399_000, 0))]
    path.write_text("t_ms,line,level\n" + "\n".join(rows) + "\n")
    return path


@one_in(2)
@pytest.mark.parametrize(
    ("start", "reported"),
    [
        ([], [UNKNOWN] * 6),
        (["--start", "1970-01-01"], [0.0] * 3 + [1.0] * 3),  # a Thursday
        (["--start", "2026-09-18T22:20Z"], [22.0] * 2 + [23.0] * 4),  # a Friday
        (["--start", "2026-09-18T23:20Z"], [23.0] * 2 + [24.0] * 4),  # into Saturday
        (["--start", "2026-09-19T01:20+02:00"], [23.0] * 2 + [24.0] * 4),  # the same moment
    ],
)
def test_the_hour_is_judged_where_the_start_is_said_and_nowhere_else(
    kerbstone: Command, site: MakeSite, tmp_path: Path, hours: list[float], start: list[str],
    reported: list[float],
) -> None:  # fmt: skip
    words = ["replay", "--config", site(period_s=900, models=True), "--edges"]
    said = kerbstone(*words, edges(tmp_path / "e.csv"), *start)
    assert said.code == 0, said.err
    assert hours == reported
