"""What only built devices can tell of a calibration: each kind of misfit once, and its remedy."""

import datetime
from collections.abc import Callable
from pathlib import Path

import pytest

import drivers
from edge.config import Problems, Site, load_site
from edge.core import ConfigError, Stamp, TimeQuality
from edge.gateway.calibrationsetup import expired_findings, expiring_certificates
from edge.gateway.wiring import Wiring
from edge.process.calibration import MAX_AGE_NS
from tests.kit.clock import NONE

SITE = """\
[site]
id = "quay"
gateway = "gw-1"
[uplink]
url = "mqtt://localhost"
confirm = "broker"
[bus.air]
kind = "i2c"
[device.hut]
driver = "sen55"
bus = "air"
[device.yard]
driver = "sht4x"
bus = "air"
[device.gas]
driver = "ads1115"
bus = "air"
"""
BY = """
by = "City laboratory"
on = 2026-03-02
until = 2027-03-01
"""
PM = f"""
[calibration.pm]
device = "hut"
point = "pm2_5"
kappa = 0.35
humidity = "yard.humidity"
publish = "both"
{BY}
"""
RH = f"""
[calibration.rh]
device = "yard"
point = "humidity"
offset = -2.0
{BY}
"""
CELL = f"""
[cell.no2]
device = "gas"
type = "NO2-B43F"
working = "ain0"
auxiliary = "ain1"
we_electronic_mv = 224.0
ae_electronic_mv = 226.0
we_zero_mv = 3.0
ae_zero_mv = 1.0
sensitivity_mv_ppb = 0.223
temperature = "hut.temperature"
{BY}
"""
ALL = SITE + PM + RH + CELL
Read = Callable[[str], Site]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def load_text(text: str) -> Site:
        path = tmp_path / "site.toml"
        path.write_text(text, encoding="utf-8")
        return load_site(path, drivers.catalogue())

    return load_text


def test_what_fits_is_an_engine(read: Read) -> None:
    engine = Wiring.of(read(ALL)).pipeline().engine
    assert [p.key for p in engine.points("gas")] == ["ain0", "ain1", "ain2", "ain3", "no2"]
    assert "pm2_5_raw" in [p.key for p in engine.points("hut")]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"yard.humidity"', '"hut.pm10"',
         "calibration.pm.humidity: hut.pm10 is mass concentration in ug/m3, not relative humidity; "
         "right would be hut.humidity, yard.humidity"),
        ('point = "pm2_5"', 'point = "temperature"', "calibration.pm.kappa: is for the mass of"),
        ('= "ain1"', '= "ain4"', None),
        ('temperature = "hut.temperature"', 'temperature = "gas.ain3"',
         "cell.no2.temperature: gas.ain3 is voltage in V, not temperature; right would be"),
        ("[cell.no2]\ndevice = \"gas\"", "[cell.no2]\ndevice = \"yard\"", None),
        ("[cell.no2]", "[cell.no2]\nalgorithm = 4",
         "cell.no2.algorithm: algorithm 4 has no table for NO2-B43F: 1 and 3 have"),
        ('driver = "sht4x"', 'driver = "sht4x"\nevery_s = 600',
         "calibration.pm.humidity: yard.humidity is read every 600 s and is valid for 300 s, so it "
         "would often be missing; write every_s = 150 or less in device.yard"),
        ('driver = "sen55"', 'driver = "sen55"\nevery_s = 300',
         "cell.no2.temperature: hut.temperature is read every 300 s and is valid for 300 s"),
    ],
)  # fmt: skip
def test_one_thing_does_not_fit(read: Read, old: str, new: str, message: str | None) -> None:
    assert ALL.count(old) == 1
    text = ALL.replace(old, new)
    if message is None:  # the file alone tells it
        with pytest.raises(Problems):
            read(text)
        return
    site = read(text)
    with pytest.raises(Problems) as caught:
        Wiring.of(site).pipeline()
    (problem,) = caught.value.problems
    assert f"{problem.key}: {problem.text}".startswith(message)
    named = text.split("\n")[problem.line - 1]
    assert named.split(" = ")[0] == problem.key.rpartition(".")[2]
    Wiring.of(site).pipeline(replayed=True)  # recorded edges need none of it


def test_an_electrode_is_a_voltage_of_its_own_device(read: Read) -> None:
    cell = CELL.replace('device = "gas"', 'device = "yard"').replace("ain0", "temperature")
    with pytest.raises(Problems) as caught:
        Wiring.of(read(SITE + cell.replace("ain1", "humidity"))).pipeline()
    assert [p.key for p in caught.value.problems] == ["cell.no2.working", "cell.no2.auxiliary"]
    assert all("not voltage; right would be gas.ain0" in p.text for p in caught.value.problems)


def test_what_is_made_has_a_name_of_its_own(read: Read) -> None:
    """A cell beside the raw value of a corrected voltage."""
    volts = f'[calibration.v]\ndevice = "gas"\npoint = "ain3"\npublish = "both"\ngain = 2.0\n{BY}'
    with pytest.raises(Problems) as caught:
        Wiring.of(read(SITE + volts + CELL.replace("cell.no2", "cell.ain3_raw"))).pipeline()
    (problem,) = caught.value.problems
    assert problem.key == "calibration.v.publish"
    assert "give cell.ain3_raw another name" in problem.text


def test_what_the_engine_refuses_is_an_error_of_the_configuration(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the checks before have missed."""
    monkeypatch.setattr("edge.gateway.calibrationsetup.check_points", lambda *_: [])
    text = ALL.replace("[cell.no2]", "[cell.pm2_5_raw]").replace('device = "gas"', 'device = "hut"')
    text = text.replace("ain0", "pm10").replace("ain1", "pm4_0")
    with pytest.raises(ConfigError, match="two points have the same key"):
        Wiring.of(read(text)).pipeline()


@pytest.mark.parametrize(
    ("today", "message"),
    [
        ("2027-01-29", None),
        ("2027-01-30", "2027-03-01 is the last day on which it is valid; have it calibrated again"),
        ("2027-03-01", "2027-03-01 is the last day"),
        ("2027-03-02", "2027-03-01 has passed: its values are uncertain:calibration; have it"),
    ],
)
def test_a_certificate_is_renewed_in_time(read: Read, today: str, message: str | None) -> None:
    wall = datetime.datetime.fromisoformat(f"{today}T12:00:00+00:00").timestamp()
    found = expiring_certificates(read(SITE + PM + CELL), Stamp(0, int(wall * 1e9), NONE))
    if message is None:
        assert found == []
        return
    assert [p.key for p in found] == ["calibration.pm.until", "cell.no2.until"]
    assert all(p.text.startswith(message) and p.line for p in found)


def test_the_limit_of_age_is_the_one_that_is_told() -> None:
    assert MAX_AGE_NS == 300 * 10**9


def test_an_expired_calibration_is_an_issue_of_its_device(read: Read) -> None:
    site = read(SITE + PM + RH.replace("2027-03-01", "2027-04-01"))
    after = int(datetime.datetime(2027, 3, 2, tzinfo=datetime.UTC).timestamp()) * 10**9
    (told,) = expired_findings(site, Stamp(0, after, TimeQuality.FLOOR))
    assert (told.kind, told.about, told.unknown) == ("calibration_expired", "hut", False)
    assert told.cause == (
        "The calibration of hut has ended (pm2_5 on 2027-03-01): its values are uncertain"
    )
    assert not [*expired_findings(site, Stamp(0, after - 86_400 * 10**9, TimeQuality.NTP))]
    unknown = [*expired_findings(site, Stamp(0, after, NONE))]
    assert [(one.about, one.unknown) for one in unknown] == [("hut", True), ("yard", True)]
