"""A short run of what `make fuzz` does for long."""

from contextlib import closing
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import drivers
from drivers.meters.register_map import list_maps
from tests.fuzz.run import fire
from tests.fuzz.target import TABLES, Target, decoders, packed, unpacked
from tests.long import examples, more, one_in


@one_in(4)
@pytest.mark.parametrize("decoder", decoders())
def test_injured_frames_are_errors_or_bad_values(decoder: str) -> None:
    fired = fire(decoder, 400, seed=20261125)
    assert not fired.error, fired.error


@more
@pytest.mark.parametrize("decoder", decoders())
def test_any_bytes_are_errors_or_bad_values(decoder: str) -> None:
    target = Target(decoder, Random(0))

    @settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 255), st.lists(st.binary(max_size=80), max_size=4))
    def explain(pick: int, frames: list[bytes]) -> None:
        target.explain(pick, frames)

    with closing(target):
        explain()


def test_every_table_of_registers_is_under_fire(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()

    def explain(name: str, frames: list[bytes]) -> dict[str, object]:
        seen.add(name)
        return {}

    monkeypatch.setattr(drivers, "explain", explain)
    with closing(Target(TABLES, Random(0))) as target:
        corpus = list(target.corpus())
        for pick, frames in corpus:
            target.explain(pick, frames)
        assert seen == set(list_maps())
        seen.clear()
        for pick in range(256):  # what a byte may choose
            target.explain(pick, [])
        assert seen == set(list_maps())
    assert len(corpus) == len(target.attacks)
    for _, frames in corpus:
        assert unpacked(packed(frames)) == frames
