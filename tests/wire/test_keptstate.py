"""What outlives the process is packed in one way, and each owner is asked in the same one."""

from typing import Any, Final

import pytest

from edge.core import KeptState
from edge.gateway.baselines import Baselines
from edge.gateway.deviceconditions import DeviceConditions
from edge.gateway.recover import PreviousRun
from edge.health.boxalarms import BoxAlarms
from edge.infer.judge import Judge
from edge.infer.raisedflags import RaisedFlags
from edge.process.engine import Engine
from edge.uplink.manifests import Manifests
from edge.uplink.timestamps import UsedMoments
from edge.wire.keptstate import pack_state, unpack_state

OWNERS: Final[tuple[type[KeptState], ...]] = (  # the types are the test: mypy compares them
    Baselines, BoxAlarms, DeviceConditions, Engine, Judge, Manifests, PreviousRun, RaisedFlags,
    UsedMoments,
)  # fmt: skip


def test_each_owner_gives_its_state_and_takes_it_back() -> None:
    assert all(callable(each.snapshot) and callable(each.restore) for each in OWNERS)


@pytest.mark.parametrize("state", [{}, [], {"a": [1, "b", b"c", None, 2.5]}, {3: "x"}])
def test_a_packed_state_comes_back(state: Any) -> None:
    assert unpack_state(pack_state(7, state), 7) == state


def test_none_and_another_version_are_no_state() -> None:
    assert unpack_state(None, 1) is None
    assert unpack_state(pack_state(1, {"a": 1}), 2) is None


@pytest.mark.parametrize("damaged", [b"", b"\xc1", b"\x81\xa1a", b"\x01\x02", b"\x81\x90\x01"])
def test_damaged_bytes_are_a_value_error(damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        unpack_state((1, damaged), 1)
