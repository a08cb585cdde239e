"""`kerbstone check`, as a technician runs it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import drivers
from edge.cli.main import main
from edge.config.problem import SECRET_KEY

EXAMPLE = Path(__file__).parents[2] / "deploy/site.example.toml"
RENAMED = [
    ("day", "billing_day", "3"),
    ("supply", "modem_power_line", '"GPIO5"'),
    ("cut", "power_off_level", '"low"'),
    ("lamp", "status_led", '"GPIO6"'),
]


@pytest.fixture(autouse=True)
def today(on_day: Callable[[str], None]) -> None:
    """The example's certificates end, and then there are more warnings."""
    on_day("2026-06-01")


def test_a_good_file_is_told_what_will_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(EXAMPLE)]) == 0
    out, err = capsys.readouterr()
    assert "main_meter: sdm630, unit 1, every 1 s" in out
    assert "): lane, approach north, GPIO17 and GPIO27, 4 m apart, presence" in out
    assert "heating: s0, line GPIO5, imp_per_kwh 1000, pulses" in out
    assert "bakery (Bäckerei): bay for loading, GPIO25, at most 30 min" in out
    assert "north_green: contact, line GPIO6, green of the signal of north" in out
    assert "5 buses, 7 devices with" in out
    assert "3 lanes, 1 bay\n" in out
    assert err.count("warning: ") == 3
    assert "is in order; 3 warnings" in out


def test_a_bad_file_is_exit_2_and_everything_is_on_stderr(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "site.toml"
    text = EXAMPLE.read_text(encoding="utf-8")
    path.write_text(text.replace("unit = 1", "unit = 300").replace("spacing_m", "spacing"))
    assert main(["check", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("300 is not between 1 and 247") == 2
    line = next(n for n, t in enumerate(text.split("\n"), 1) if t.startswith("spacing_m"))
    assert f"{path}:{line}: lane.north_1.spacing: unknown key; did you mean spacing_m?" in err
    assert err.rstrip().endswith("cannot be used: 4 errors")


@pytest.mark.parametrize(("former", "key", "value"), RENAMED)
def test_a_key_by_its_former_name_is_refused_with_the_new_one(
    former: str, key: str, value: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "site.toml"
    text = EXAMPLE.read_text(encoding="utf-8")
    commented = next(line for line in text.split("\n") if line.startswith(f"# {key} = "))
    path.write_text(text.replace(commented, f"{key} = {value}"))
    assert main(["check", str(path)]) == 0
    path.write_text(text.replace(commented, f"{former} = {value}"))
    assert main(["check", str(path)]) == 2
    line = text.split("\n").index(commented) + 1
    err = capsys.readouterr().err
    assert f"{path}:{line}: link.{former}: unknown key; did you mean {key}?" in err


def test_what_a_driver_refuses_itself_is_an_error_with_a_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "site.toml"
    text = EXAMPLE.read_text(encoding="utf-8")
    path.write_text(text.replace("imp_per_kwh = 1000", "imp_per_kwh = 0"))
    assert main(["check", str(path)]) == 2
    err = capsys.readouterr().err
    assert ": device.heating" in err
    assert "cannot be used: 1 error\n" in err


def test_what_a_driver_refuses_of_one_key_stands_at_its_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "site.toml"
    lines = [
        *("[site]", 'id = "s"', 'gateway = "g"', "[uplink]", 'url = "mqtt://localhost"'),
        *('confirm = "broker"', "[bus.wire]", 'kind = "modbus-rtu"', 'port = "/dev/ttyUSB0"'),
        *("[device.meter]", 'driver = "sdm120"', 'bus = "wire"', "unit = 1"),
        *('points = ["voltage_l1"]', "reversed = true"),
    ]
    path.write_text("\n".join(lines))
    assert main(["check", str(path)]) == 2
    err = capsys.readouterr().err
    assert f"{path}:{len(lines)}: device.meter.reversed: it reports no direction" in err


def test_json_says_the_same(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["check", "--json", str(EXAMPLE)]) == 0
    good = json.loads(capsys.readouterr().out)
    assert good["ok"]
    assert good["errors"] == []
    assert len(good["warnings"]) == 3
    assert "pm2_5" in good["reads"]["devices"]["hut_air"]["points"]
    assert good["reads"]["lanes"]["north_1"]["lines"] == ["GPIO17", "GPIO27"]
    assert good["reads"]["site_name"] == "Ampel Süd 3, Stadtmitte"
    assert good["reads"]["names"]["north_1"] == "Nordstraße, rechte Spur"
    assert good["reads"]["positions"][""] == [52.51634, 13.37769]
    assert good["reads"]["bays"]["bakery"]["lines"] == ["GPIO25"]
    assert good["reads"]["signals"] == {"north": {"green": "north_green"}}
    assert main(["check", "--json", str(tmp_path / "none.toml")]) == 2
    bad = json.loads(capsys.readouterr().out)
    assert not bad["ok"]
    assert bad["reads"] is None
    assert bad["errors"][0]["text"].startswith("cannot be read: No such file")


def test_names_and_the_way_of_traffic_are_shown_so_that_a_wrong_one_is_seen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", str(EXAMPLE)]) == 0
    out = capsys.readouterr().out
    for said in (
        "site    stadtmitte (Ampel Süd 3, Stadtmitte), gateway gw-0001",
        "place   latitude 52.5163, longitude 13.3777",
        "approach north (Nordstraße): B 96, traffic to the south (180 degrees), 220 m to bridge",
        "          north_1 (Nordstraße, rechte Spur): lane, approach north",
        "          bakery (Bäckerei): bay for loading",
    ):
        assert said in out, said


def test_a_secret_of_a_driver_is_never_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of every driver: whatever its option for a secret is called."""
    secrets = [
        (name, key)
        for name, spec in drivers.catalogue().items()
        for key in spec.options
        if SECRET_KEY.fullmatch(key)
    ]
    assert ("dlms", "password") in secrets
    for name, key in secrets:
        file = tmp_path / "site.toml"
        file.write_text(
            '[site]\nid = "s"\ngateway = "g"\n[uplink]\nurl = "mqtts://b"\n[bus.m]\n'
            f'kind = "{drivers.spec(name).wiring}"\nport = "/dev/serial0"\n[device.m]\n'
            f'driver = "{name}"\nbus = "m"\n{key} = "S3CRdlms"\n'
        )
        for words in ([], ["--json"]):
            assert main(["check", str(file), *words]) == 0
            said = "".join(capsys.readouterr())
            assert "S3CR" not in said
            assert words or f"{key} is set" in said
