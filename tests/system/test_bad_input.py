"""Bad input to a real daemon: it says so clearly, the rest goes on, what is lost is declared."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.kit.broker import BINARY
from tests.kit.gateway import KERBSTONE, LOOPS, ROOT
from tests.kit.subscribed import end_us, events, once
from tests.system.scene_outbox import DAMAGES, Outbox, live_through
from tests.system.scene_shut_out import Closed, shut_out
from tests.system.scene_trouble import DUST_HELD, Trouble, put_through

BUSY_US = 2_000_000  # so late a busy machine may be with the edges of a flood


class Scenes:
    """Three daemons of their own; each is waited for when its outcome is asked for."""

    def __init__(self, pool: ThreadPoolExecutor, place: Path) -> None:
        folders = [place / name for name in ("trouble", "outbox", "closed")]
        for folder in folders:
            folder.mkdir()
        self._trouble = pool.submit(put_through, folders[0])
        self._outbox = pool.submit(live_through, folders[1])
        self._closed = pool.submit(shut_out, folders[2])

    @property
    def trouble(self) -> Trouble:
        return self._trouble.result()

    @property
    def outbox(self) -> Outbox:
        return self._outbox.result()

    @property
    def closed(self) -> Closed:
        return self._closed.result()


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenes]:
    if not Path(BINARY).exists() or shutil.which("mosquitto_passwd") is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto mosquitto-clients")
    with ThreadPoolExecutor(3) as pool:
        yield Scenes(pool, tmp_path_factory.mktemp("scenes"))


@pytest.fixture
def trouble(scenes: Scenes) -> Trouble:
    return scenes.trouble


# -- a broken configuration ------------------------------------------------------------------------

BROKEN = """
[site]
id = "Test Site"
gateway = "gw-1"
perod_s = 60
[store]
dir = "{dir}/store"
run_dir = "{dir}/run"
[uplink]
url = "mqtt://127.0.0.1"
confirm = "broker"
encoding = "xml"
[streams]
raw = true
[bus.air]
kind = "i2c"
[device.hut]
driver = "sen555"
bus = "air"
[device.meter]
driver = "sdm630"
bus = "meters"
unit = 300
[lane.north_1]
approach = "north"
bus = "air"
lead = "GPIO17"
trail = "GPIO27"
"""
WRONG = {  # key: (where it stands, what would be right)
    "site.id": ("id =", "a-z"),
    "site.perod_s": ("perod_s", "period_s"),
    "uplink.encoding": ("encoding", "msgpack"),
    "streams.raw": ("raw =", "passages = true"),
    "device.hut.driver": ('driver = "sen555"', "sen55"),
    "device.meter.bus": ('bus = "meters"', "air"),
    "device.meter.unit": ("unit", "between 1 and 247"),
    "lane.north_1.bus": ('bus = "air"\nlead', "gpio"),
    "lane.north_1": ("[lane.north_1]", "spacing_m"),
}


def test_a_broken_configuration_is_exit_2_and_everything_is_told_at_once(tmp_path: Path) -> None:
    config = tmp_path / "site.toml"
    text = BROKEN.format(dir=tmp_path)
    config.write_text(text)
    done = subprocess.run(
        [*KERBSTONE, "run", str(config)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    for key, (place, remedy) in WRONG.items():
        number = text[: text.index(place)].count("\n") + 1
        reported = [
            line for line in lines if f"{key}" in line and line.startswith(f"{config}:{number}:")
        ]
        assert reported, (key, number, lines)
        assert any(remedy in line for line in reported), (key, reported)
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "store").exists(), "nothing is begun"


@pytest.mark.parametrize("key", ["password_file", "ca"])
def test_a_file_of_the_configuration_that_is_missing_is_exit_2(tmp_path: Path, key: str) -> None:
    config = tmp_path / "site.toml"
    url, name = ("mqtts://127.0.0.1", "") if key == "ca" else ("mqtt://127.0.0.1", "gw")
    more = f'username = "{name}"\n' if name else ""
    (tmp_path / "run").mkdir()
    config.write_text(
        f'[site]\nid = "test"\ngateway = "gw-1"\n[store]\ndir = "{tmp_path}/store"\n'
        f'run_dir = "{tmp_path}/run"\n[uplink]\nurl = "{url}"\nconfirm = "broker"\n{more}'
        f'{key} = "{tmp_path}/none"\n{LOOPS.format(dir=tmp_path)}'
    )
    done = subprocess.run(
        [*KERBSTONE, "run", str(config)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert f"{tmp_path}/none" in done.stderr
    assert key in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2


# -- corrupt models, garbage on serial lines, a flood of edges -------------------------------------


def test_trouble_is_declared_and_the_platform_finds_nothing_missing(trouble: Trouble) -> None:
    assert trouble.check[0] == 0, trouble.check[1]
    assert trouble.code == 0, trouble.log
    assert "Traceback" not in trouble.log


def test_corrupt_models_are_said_and_the_rule_answers(trouble: Trouble) -> None:
    for model in ("congestion", "anomaly"):
        assert f"model {model}: " in trouble.log
    said = [line for line in trouble.log.splitlines() if "checksum" in line]
    issues = [line for line in said if "issue model_fails" in line]  # when they fail again
    assert (len(said) - len(issues), len(issues) <= 2) == (2, True)
    (flag,) = events(trouble.found, "congestion", "west")
    assert (flag["state"], flag["by"]) == ("on", "rule occupancy")
    assert "rule occupancy" in flag["text"]


def test_the_description_says_which_models_do_not_answer_and_why(trouble: Trouble) -> None:
    last = [r for r in trouble.found if r["kind"] in ("meta", "status") and "models" in r]
    assert last
    for model in ("congestion", "anomaly"):
        reported = last[-1]["models"][model]
        assert reported["answers"] == "rule"
        assert "checksum" in reported["why"]


def test_a_flooded_line_is_closed_and_said_so_and_opened_again(trouble: Trouble) -> None:
    reported = events(trouble.found, "sensor_fault", "south_1")
    line = [e for e in reported if "line south" in e["text"]]
    assert [e["state"] for e in line] == ["on", "off"]
    assert line[0]["reason"] == "fault"
    assert "is closed" in line[0]["text"]
    begin_us, end = trouble.flood_us
    assert begin_us < line[0]["mono"][0] < end + BUSY_US


def closing_us(trouble: Trouble) -> tuple[int, int]:
    """When the flooded line was closed, and when it was open again."""
    reported = events(trouble.found, "sensor_fault", "south_1")
    on, off = (e["mono"][0] for e in reported if "line south" in e["text"])
    return on, off


def test_what_was_counted_in_a_flood_is_no_number(trouble: Trouble) -> None:
    """The flood itself: the record of its window says that something is wrong with the lane."""
    begin_us, end = trouble.flood_us[0], min(trouble.flood_us[1], closing_us(trouble)[0])
    lanes = once(trouble.found, "traffic", "south_1")
    flooded = [r for r in lanes if r["mono"][0] < end and r["mono"][1] > begin_us]
    assert flooded
    for record in flooded:
        void = record["volume"] is None and record["occupancy"] is None
        marked = record["health"] != "ok" and any(":" in word for word in record["quality"])
        assert void or marked, {k: record[k] for k in ("volume", "occupancy", "health", "quality")}


def test_a_closed_line_is_not_covered(trouble: Trouble) -> None:
    closed, opened = closing_us(trouble)
    for record in once(trouble.found, "traffic", "south_1"):
        begin, end = record["mono"]
        deaf_us = max(0, min(end, opened) - max(begin, closed))
        assert record["covered_s"] <= (end - begin - deaf_us) / 1e6 + 0.2, record
        if end <= opened and begin >= closed:
            assert record["volume"] is None


def test_no_vehicle_is_made_up_by_a_flood_and_the_lane_counts_again(trouble: Trouble) -> None:
    lanes = once(trouble.found, "traffic", "south_1")
    assert sum(r["volume"] or 0 for r in lanes) == trouble.after
    assert lanes[-2]["health"] == "ok"  # the last one is cut short by the stop
    assert lanes[-2]["covered_s"] == pytest.approx(2.0, abs=0.01)


def test_the_other_lanes_vehicles_are_all_counted(trouble: Trouble) -> None:
    assert trouble.street is not None
    lanes = once(trouble.found, "traffic", "north_1")
    assert sum(r["volume"] or 0 for r in lanes) == len(trouble.street.passed) > 10
    speeds = [r["speed"]["mean"] for r in lanes if r["speed"] and r["speed"]["n"]]
    assert all(speed == pytest.approx(50.0, abs=0.5) for speed in speeds)
    assert all(set(r["quality"]) <= {"good"} for r in lanes)


def test_a_flood_does_not_fill_the_memory(trouble: Trouble) -> None:
    assert trouble.grown_kib < 16 * 1024


def good_share(records: list[dict[str, Any]], key: str) -> float:
    """How many of a point's polls gave a good value."""
    reported = [record["points"][key]["quality"] for record in records]
    polls: int = sum(sum(words.values()) for words in reported)
    assert polls, "nobody asked"
    good: int = sum(words.get("good", 0) for words in reported)
    return good / polls


@pytest.mark.parametrize(
    ("stream", "source", "held"),
    [
        ("energy", "noisy_meter", {"voltage_l1": 231.5, "energy_import": 500.0}),
        ("air", "dust", DUST_HELD),
    ],
)
def test_garbage_on_a_line_is_a_quality_and_never_a_number(
    trouble: Trouble, stream: str, source: str, held: dict[str, float]
) -> None:
    begin_us, end = trouble.garbage_us
    found = once(trouble.found, stream, source)
    for record in found:
        for key, value in held.items():
            point = record["points"][key]
            for name in ("mean", "min", "max", "first", "last"):
                assert point.get(name) in (None, pytest.approx(value, abs=1e-6)), (key, record)
            assert point.get("delta") in (None, 0)
    main = "voltage_l1" if stream == "energy" else "pm2_5"
    words = [set(r["points"][main]["quality"]) for r in found]
    during = set().union(
        *(w for r, w in zip(found, words, strict=True) if begin_us < end_us(r) < end + 2_000_000)
    )
    assert any(word.startswith("bad:") for word in during), "no garbage came through at all"
    assert "good" in during, "good values go on between the bad ones"
    assert good_share([r for r in found if end_us(r) > end + 2_000_000], main) > 0.8
    faults = events(trouble.found, "sensor_fault", source)
    assert [e["state"] for e in faults][-1:] in ([], ["off"])


@pytest.mark.parametrize(
    ("stream", "source", "key", "value"),
    [
        ("energy", "quiet_meter", "voltage_l1", 229.25),
        ("air", "hut_air", "temperature", 23.5),
        ("air", "hut_air", "humidity", 45.5),
    ],
)
def test_the_neighbours_are_not_disturbed(
    trouble: Trouble, stream: str, source: str, key: str, value: float
) -> None:
    found = once(trouble.found, stream, source)[1:]  # the first window is cut short
    assert len(found) >= 5
    points = [record["points"][key] for record in found]
    means = [point["mean"] for point in points if point["mean"] is not None]
    assert means == [pytest.approx(value, abs=1e-6)] * len(means)
    # where a machine is busy with three such scenes, a poll may be late, and so may a simulator
    # with the bytes of a frame: that is told, too
    allowed = {"good", "bad:stale", "bad:silent", "bad:crc"}
    words = [set(point["quality"]) for point in points]
    # the one that was cut short may have ended before the sensor had measured at all
    assert words[0] <= {*allowed, "bad:warmup"}
    assert set().union(*words[1:]) <= allowed
    assert good_share(found, key) > 0.8
    assert not events(trouble.found, "sensor_fault", source)


def test_devices_answer_a_person_after_all_that(trouble: Trouble) -> None:
    assert '"value": 231.5' in trouble.read["noisy_meter"]
    assert '"value": 229.25' in trouble.read["quiet_meter"]
    assert '"value": 11.0' in trouble.read["dust"] or '"value": 11' in trouble.read["dust"]
    assert '"value": 23.5' in trouble.read["hut_air"]


# -- a corrupt outbox ------------------------------------------------------------------------------


def test_the_daemon_lives_through_every_damage_of_its_outbox(scenes: Scenes) -> None:
    outbox = scenes.outbox
    assert outbox.code == 0, outbox.log
    assert "Traceback" not in outbox.log
    assert outbox.rounds.keys() == {damage.__name__ for damage in DAMAGES}
    assert all(one.started_s < 10 for one in outbox.rounds.values()), "starting takes too long"


@pytest.mark.parametrize("damage", [damage.__name__ for damage in DAMAGES])
def test_what_a_corrupt_outbox_held_is_declared_as_lost(scenes: Scenes, damage: str) -> None:
    one = scenes.outbox.rounds[damage]
    drops = [d for d in events(one.found, "drop") if d["epoch_of"] == one.killed_epoch]
    assert drops, "records waited in it, and nobody is told that they are lost"
    assert (drops[0]["stream_of"], drops[0]["reason"]) == ("*", "damage")
    (said, *_) = events(one.found, "storage")
    assert said["state"] == "on"


@pytest.mark.parametrize("damage", ["garbage_file", "cut", "flip"])
def test_a_damaged_file_is_kept_in_quarantine(scenes: Scenes, damage: str) -> None:
    one = scenes.outbox.rounds[damage]
    assert one.quarantine, "the evidence is gone"
    assert "put aside" in events(one.found, "storage")[0]["text"]


def test_a_later_start_is_not_called_the_first_one(scenes: Scenes) -> None:
    """The file of epochs outlives the database: it is known that there was something before."""
    gaps = {name: events(one.found, "gap")[0] for name, one in scenes.outbox.rounds.items()}
    assert [name for name, gap in gaps.items() if "first time" in gap["text"]] == []


def test_after_all_that_the_platform_finds_nothing_but_what_was_declared(scenes: Scenes) -> None:
    """That a whole memory was lost is a finding: how much of it, nobody knows."""
    code, said = scenes.outbox.check
    findings = [line for line in said.splitlines() if ": gw-1: " in line or ": gw-1 " in line]
    findings = [line for line in findings if not line.startswith("note: ")]
    assert code == 1, said
    assert 0 < len(findings) <= len(DAMAGES), said
    assert all(line.startswith("lost: gw-1: ") for line in findings), said


# -- a broker that is not there, then does not let us in -------------------------------------------


def test_without_a_broker_it_goes_on_and_everything_arrives_later(scenes: Scenes) -> None:
    closed = scenes.closed
    assert closed.code == 0, closed.log
    assert closed.check[0] == 0, closed.check[1]
    assert json.loads(closed.waiting)["streams"]["traffic"] >= 3
    lanes = once(closed.found, "traffic")
    assert [r["seq"] for r in lanes] == list(range(1, len(lanes) + 1))
    assert sum(r["volume"] or 0 for r in lanes) == closed.passed > 5


def test_what_comes_from_the_backlog_is_marked_backfilled(scenes: Scenes) -> None:
    """What has waited for ten seconds is not live any more."""
    closed = scenes.closed
    found = once(closed.found, "traffic") + once(closed.found, "event")
    old = [r for r in found if end_us(r) < closed.came_us - 11_000_000]
    assert old
    assert all(r.get("backfilled") for r in old)
    assert not any(r.get("backfilled") for r in found if end_us(r) > closed.came_us)


def test_a_refusal_is_said_once_even_when_nobody_was_there_before(scenes: Scenes) -> None:
    """Another trouble than the one before: whoever reads the log must see the wrong password."""
    lines = [line for line in scenes.closed.log.splitlines() if "kerbstone.uplink" in line]
    assert [line for line in lines if "Connection refused" in line]
    assert [line for line in lines if "uthori" in line or "password" in line.lower()], lines
    assert len(lines) < 12, "the hours between are silent"
