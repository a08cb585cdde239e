"""The command `kerbstone`, in this process: its exit code and what it says.

A conftest takes the fixtures `kerbstone` and `site`:

    def test_it_says_what_is_wrong(kerbstone: Command, site: MakeSite) -> None:
        said = kerbstone("check", site(period_s=60))
        assert said.code == 0, said.err
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from edge.cli.main import main

SITE = """
[site]
id = "test"
gateway = "gw-1"
period_s = {period_s}
[uplink]
url = "mqtt://localhost"
confirm = "broker"
[models]
congestion = {models}
anomaly = {models}
{more}
[bus.loops]
kind = "gpio"
[lane.north_1]
approach = "north"
bus = "loops"
lead = "a"
trail = "b"
spacing_m = 4.0
loop_m = 2.0
active = "high"
[lane.east_1]
approach = "east"
bus = "loops"
lead = "c"
active = "low"
[device.heat]
driver = "s0"
bus = "loops"
line = "d"
active = "high"
imp_per_kwh = 1000
"""


class CommandResult(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Command = Callable[..., CommandResult]
MakeSite = Callable[..., Path]


@pytest.fixture
def kerbstone(capfd: pytest.CaptureFixture[str]) -> Command:
    """`kerbstone("replay", "--config", path)`."""

    def run(*words: object) -> CommandResult:
        capfd.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as error:  # argparse: wrong use, or help
            code = error.code if isinstance(error.code, int) else 1
        said = capfd.readouterr()
        return CommandResult(code, said.out, said.err)

    return run


@pytest.fixture
def site(tmp_path: Path) -> MakeSite:
    """A site.toml: a pair, a single loop that is active low, and a pulse meter; no models."""

    def make(*, period_s: int = 60, models: bool = False, more: str = "") -> Path:
        path = tmp_path / "site.toml"
        words = {"period_s": period_s, "models": str(models).lower(), "more": more}
        path.write_text(SITE.format(**words), encoding="utf-8")
        return path

    return make
