"""What `kerbstone sample` names is what the simulated device gives."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import drivers
from drivers.sim.simdevice import ELSEWHERE
from drivers.sim.typical import typical
from edge.cabinet.cabinet import Cabinet
from edge.cabinet.desk import open_desk
from edge.cli.sample import EXAMPLE
from edge.config import Site
from edge.diagnose import standalone
from edge.diagnose.sampletables import SampleSite

HEAD = '[site]\nid = "s"\ngateway = "g"\n[uplink]\nurl = "mqtt://h"\n'
WARMUP = "bad:warmup"
POLLED = [name for name in drivers.names() if drivers.spec(name).wiring != "gpio"]


@contextlib.contextmanager
def played(folder: Path, text: str) -> Iterator[Site]:
    (folder / "site.toml").write_text(text, encoding="utf-8")
    desk = open_desk(folder / "site.toml", folder / "desk")
    with Cabinet(desk.site):
        yield desk.site
    desk.lock.release()


def read_points(site: Site, name: str) -> tuple[set[str], list[str]]:
    """All points, and those without a value, but for what only needs time."""
    rows = standalone.read_once(site, name)["readings"]
    late = [row["point"] for row in rows if row["value"] is None and row["quality"] != WARMUP]
    return {row["point"] for row in rows}, late


@pytest.mark.parametrize("name", POLLED)
def test_each_point_that_a_sample_names_is_read(name: str, tmp_path: Path) -> None:
    text = "\n".join(SampleSite([drivers.spec(name)], typical, ELSEWHERE).lines())
    with played(tmp_path, HEAD + text) as site:
        found, missing = read_points(site, name)
    assert missing == []
    assert found == set(re.findall(r"^#   (\w+)", text, re.MULTILINE))


def test_each_point_of_the_cabinet_that_is_a_sample_is_read(tmp_path: Path) -> None:
    with played(tmp_path, EXAMPLE.read_text(encoding="utf-8")) as site:
        for name, device in site.devices.items():
            if drivers.spec(device.driver).wiring != "gpio":
                assert (name, read_points(site, name)[1]) == (name, [])
