"""What `kerbstone sim site.toml` says to be other in the desk's copy is all that is other."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edge.cabinet.desk import KEEP, open_desk
from edge.cli.sim_site import also_other

SITE = """
[site]
id = "quay"
gateway = "gw-1"
[uplink]
url = "mqtts://city:8883"
{more}
[bus.air]
kind = "i2c"
path = "/dev/i2c-1"
"""


def keys(found: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in found.items():
        if isinstance(value, dict):
            yield from keys(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


@pytest.mark.parametrize("broker", ["mqtt://127.0.0.1:1883", KEEP])
@pytest.mark.parametrize("more", ["", 'confirm = "broker"', 'username = "gw"\nca = "/etc/ca.pem"'])
def test_each_key_that_differs_is_named(tmp_path: Path, broker: str, more: str) -> None:
    source = tmp_path / "site.toml"
    source.write_text(SITE.format(more=more))
    desk = open_desk(source, tmp_path / "desk", broker)
    desk.lock.release()
    before, after = (dict(keys(tomllib.loads(f.read_text()))) for f in (source, desk.file))
    differ = {key for key in before | after if before.get(key) != after.get(key)}
    first, *rest = also_other(desk)
    named = {word.split()[0] for word in first.partition(": ")[2].split(", ")}
    assert named == {key for key in differ if not key.startswith("bus.")}
    assert bool(rest) is ("uplink.confirm" in differ)
