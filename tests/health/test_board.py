"""What a board tells, and that it is never made up."""

from pathlib import Path

import pytest

from edge.health.board import (
    Board,
    Vitals,
    read_board,
    read_space,
    read_temperature,
    read_throttle_word,
    read_vitals,
)
from edge.health.boxalarms import read_box
from tests.kit.kerneltrees import lay, pi

THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"


def test_a_board_says_who_it_is(tmp_path: Path) -> None:
    assert read_board(pi(tmp_path)) == Board("Raspberry Pi Zero 2 W Rev 1.0", "00000000deadbeef")


def test_all_that_the_board_tells_is_read(tmp_path: Path) -> None:
    found = read_vitals(pi(tmp_path))
    assert found.cpu_temperature == 51.5
    assert found.cpu_frequency_hz == 1_000_000_000
    assert found.load_1min == 0.42
    assert found.memory_available_bytes == 213732 * 1024
    assert found.memory_total_bytes == 427464 * 1024
    assert found.swap_used_bytes == 10_000 * 1024
    assert found.rss_bytes is not None
    assert found.rss_bytes % 7000 == 0
    assert (found.oom_kills, found.memory_high) == (0, 7)
    assert (found.throttled, found.seen, found.undervoltage) == ((), (), False)


def test_what_is_not_told_is_none_and_never_zero(tmp_path: Path) -> None:
    assert read_vitals(tmp_path) == Vitals()
    assert read_board(tmp_path) == Board()
    assert read_space(tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("word", "now", "seen"),
    [
        ("50005\n", ("undervoltage", "throttled"), ("undervoltage", "throttled")),
        ("0x80008", ("soft_temperature_limit",), ("soft_temperature_limit",)),
        ("20000", (), ("frequency_capped",)),
        ("no word", None, None),
        ("", None, None),
    ],
)
def test_the_throttling_word_is_told_bit_by_bit(
    tmp_path: Path, word: str, now: tuple[str, ...] | None, seen: tuple[str, ...] | None
) -> None:
    found = read_vitals(lay(tmp_path, {THROTTLED: word}))
    assert (found.throttled, found.seen) == (now, seen)


def test_the_word_is_found_where_a_newer_board_keeps_it(tmp_path: Path) -> None:
    file = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"
    assert read_throttle_word(lay(tmp_path, {file: "1"})) == 1


def test_undervoltage_is_what_the_driver_that_polls_says(tmp_path: Path) -> None:
    lay(tmp_path, {THROTTLED: "1"})
    assert read_vitals(tmp_path).undervoltage is True
    lay(tmp_path, {"sys/class/hwmon/hwmon3/name": "rpi_volt\n"})
    lay(tmp_path, {"sys/class/hwmon/hwmon3/in0_lcrit_alarm": "0\n"})
    assert read_vitals(tmp_path).undervoltage is False


def test_a_name_that_only_begins_alike_is_another(tmp_path: Path) -> None:
    lay(tmp_path, {"proc/vmstat": "oom_kill_other 9\noom_kill 2\noom_killed 7\n"})
    assert read_vitals(tmp_path).oom_kills == 2
    lay(tmp_path, {"proc/vmstat": f"oom_kill_other 9\noom_kill {2**64 - 1}\noom_kill x\n"})
    assert read_vitals(tmp_path).oom_kills == 2**64 - 1


def test_a_zone_that_is_off_does_not_count(tmp_path: Path) -> None:
    zone = "sys/class/thermal/thermal_zone{}/temp"
    lay(tmp_path, {zone.format(0): "-274000\n", zone.format(1): "21400\n", zone.format(2): ""})
    assert read_temperature(tmp_path) == 21.4
    lay(tmp_path, {zone.format(1): "999999999999999999999999\n"})
    assert read_temperature(tmp_path) is None


def test_a_cgroup_outside_of_the_tree_is_not_followed(tmp_path: Path) -> None:
    lay(tmp_path, {"secret/memory.events": "high 5\n"})
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    lay(tmp_path, {"proc/self/cgroup": "0::/../../../secret\n"})
    assert read_vitals(tmp_path).memory_high is None
    lay(tmp_path, {"proc/self/cgroup": "0::/a\0b\n"})
    assert read_vitals(tmp_path).memory_high is None


def test_one_look_sees_the_disk_and_the_board(tmp_path: Path) -> None:
    found = read_box(Path("/var/lib/kerbstone"), pi(tmp_path))
    assert found.disk.name == "mmcblk0"
    assert found.disk_written == 250368 * 512
    assert found.read_only is False
    assert found.filesystem_errors == 2
    assert found.vitals.cpu_temperature == 51.5


def test_this_machine_can_be_looked_at(tmp_path: Path) -> None:
    found = read_box(tmp_path)
    assert found.space is not None
    assert 0 <= found.space.free <= found.space.total
    assert found.vitals.memory_total_bytes
    assert found.vitals.rss_bytes
