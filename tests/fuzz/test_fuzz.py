"""A short run of what `make fuzz` does for long."""

from contextlib import closing
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.run import fire
from tests.fuzz.target import Target, decoders


@pytest.mark.parametrize("decoder", decoders())
def test_injured_frames_are_errors_or_bad_values(decoder: str) -> None:
    fired = fire(decoder, 400, seed=20261125)
    assert not fired.error, fired.error


@pytest.mark.parametrize("decoder", decoders())
def test_any_bytes_are_errors_or_bad_values(decoder: str) -> None:
    target = Target(decoder, Random(0))

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.binary(max_size=80), max_size=4))
    def explain(frames: list[bytes]) -> None:
        target.explain(frames)

    with closing(target):
        explain()
