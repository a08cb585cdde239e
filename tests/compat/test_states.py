"""What a process has left in the outbox is taken up whole: nothing begins anew."""

import logging
from pathlib import Path
from typing import Any

import msgpack
import pytest

import drivers
from edge.config import load_site
from edge.gateway.baselines import Baselines
from edge.gateway.wiring import Wiring
from edge.uplink.manifests import Manifests
from edge.uplink.timestamps import UsedMoments
from tests.compat import reader
from tests.compat.versions import VERSIONS, unpack

Kept = tuple[reader.OutboxFile, Wiring]


@pytest.fixture(params=VERSIONS)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    """The outbox of the box that was killed in its work, and what its site file says."""
    folder = unpack(request.param, "street", tmp_path)
    text = (folder / "site.toml").read_text()
    (folder / "site.toml").write_text(
        text.replace("@dir@", str(folder)).replace("@broker@", "mqtt://x")
    )
    site = load_site(folder / "site.toml", drivers.catalogue())
    return reader.read_outbox(folder / "store/outbox.db"), Wiring.of(site)


def holds(now: Any, before: Any) -> bool:
    """Whether all that was kept is there: a later version may keep more."""
    if isinstance(now, dict) and isinstance(before, dict):
        return all(key in now and holds(now[key], value) for key, value in before.items())
    return bool(now == before)


def packed(state: Any) -> Any:
    """As it comes out of the outbox."""
    return msgpack.unpackb(msgpack.packb(state), strict_map_key=False)


def test_the_engine_goes_on_with_its_totals_and_lanes(kept: Kept) -> None:
    outbox, wiring = kept
    pipeline = wiring.pipeline()
    pipeline.engine.restore(outbox.state("engine"))
    assert packed(pipeline.engine.snapshot()) == outbox.state("engine")


def test_the_judge_remembers_what_its_models_have_learnt(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    outbox, wiring = kept
    judge = wiring.pipeline().judge
    with caplog.at_level(logging.WARNING):
        whole = judge.restore(outbox.state("judge"))
        learnt = judge.snapshot()
        judge.restore_flags(outbox.state("flags"))  # of each window: these move the times on
    # a later version may have other models, and says so; it never calls a state damaged
    assert all("another model" in each for each in caplog.messages)
    assert whole == (not caplog.messages)
    if whole:
        assert holds(packed(learnt), outbox.state("judge"))
        assert packed(judge.snapshot_flags()) == outbox.state("flags")


def test_the_devices_get_what_they_had_learnt(kept: Kept) -> None:
    outbox, wiring = kept
    polled = (device for group in wiring.polled.values() for device in group)
    baselines = Baselines({device.name: device.polled for device in polled})
    baselines.restore(outbox.state("drivers"))
    assert packed(baselines.snapshot()) == outbox.state("drivers")


def test_open_segments_and_used_moments_are_known(kept: Kept) -> None:
    outbox, _ = kept
    manifests = Manifests(None)
    manifests.restore(outbox.state("manifest"))
    assert packed(manifests.snapshot()) == outbox.state("manifest")
    used = UsedMoments(outbox.states["moments"])
    row = outbox.rows[0]
    assert used.former(row.boot)
