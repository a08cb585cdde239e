"""What is written to the card, from recorded trees and counters."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.health.countergrowth import DAY_NS, HOUR_NS, CounterGrowth, ErrorRate, ErrorRates
from edge.health.flash import FlashMeter, disk_bytes_written, life_years, own_written, read_wear
from edge.health.mounts import disk_of, filesystem_errors, mount_of
from tests.kit.kerneltrees import lay, pi

QUARTER_NS = HOUR_NS // 4


def test_the_disk_below_a_folder_is_the_whole_one(tmp_path: Path) -> None:
    root = pi(tmp_path)
    mount = mount_of("/var/lib/kerbstone/deeper", root)
    assert mount is not None
    assert (mount.point, mount.kind, mount.read_only) == ("/var/lib/kerbstone", "ext4", False)
    disk = disk_of(mount, root)
    assert (disk.name, disk.partition, disk.why) == ("mmcblk0", "mmcblk0p3", "")
    assert disk_bytes_written("mmcblk0", root) == 250368 * 512
    assert own_written(root) == 4096000
    assert filesystem_errors(disk, root) == 2


@pytest.mark.parametrize(
    ("folder", "why"),
    [("/run/kerbstone", "tmpfs"), ("/srv", "device-mapper"), ("/elsewhere", "unknown")],
)
def test_a_folder_without_a_disk_of_its_own_says_why(tmp_path: Path, folder: str, why: str) -> None:
    root = pi(tmp_path)
    disk = disk_of(mount_of(folder, root), root)
    assert (disk.name, disk.why) == (None, why)


def test_a_mount_that_became_read_only_is_seen(tmp_path: Path) -> None:
    root = pi(tmp_path)
    mount = mount_of("/boot/my card/x", root)
    assert mount is not None
    assert mount.read_only
    failed = "39 22 179:3 / /var/lib/kerbstone rw shared:1 - ext4 /dev/mmcblk0p3 ro,noatime\n"
    lay(root, {"proc/self/mountinfo": failed})
    mount = mount_of("/var/lib/kerbstone", root)
    assert mount is not None
    assert mount.read_only
    assert mount_of("/var/lib/kerbstoneX", root) is None


def test_nothing_is_known_of_a_board_that_says_nothing(tmp_path: Path) -> None:
    assert mount_of("/", tmp_path) is None
    assert disk_of(None, tmp_path).name is None
    assert disk_bytes_written("mmcblk0", tmp_path) is None
    assert own_written(tmp_path) is None
    assert read_wear("mmcblk0", tmp_path).life_used is None


@given(st.binary(max_size=300))
def test_no_bytes_of_the_kernel_are_an_exception(content: bytes) -> None:
    with TemporaryDirectory() as name:
        root = lay(Path(name), {"proc/self/mountinfo": content, "sys/block/sda/stat": content})
        lay(root, {"sys/block/sda/device/life_time": content, "proc/self/io": content})
        disk_of(mount_of("/a", root), root)
        assert (disk_bytes_written("sda", root) or 0) >= 0
        assert (read_wear("sda", root).life_used or 0) <= 1
        own_written(root)


@pytest.mark.parametrize(
    ("life", "eol", "used", "word"),
    [
        ("0x01 0x02\n", "0x01\n", 0.2, "normal"),
        ("0x0b 0x01\n", "0x03\n", 1.0, "urgent"),
        ("0x00 0x00\n", "0x00\n", None, None),
        ("0x0f\n", "torn", None, None),
    ],
)
def test_an_emmc_says_how_worn_it_is(
    tmp_path: Path, life: str, eol: str, used: float | None, word: str | None
) -> None:
    device = "sys/block/mmcblk1/device/"
    lay(tmp_path, {device + "life_time": life, device + "pre_eol_info": eol})
    found = read_wear("mmcblk1", tmp_path)
    assert (found.life_used, found.pre_eol) == (used, word)


def test_bytes_a_day_and_years_follow_the_last_day() -> None:
    meter = FlashMeter()
    disk = own = 0
    for quarter in range(4 * 24 * 3):
        rate = 10_000_000 if quarter < 4 * 24 else 1_000_000  # a quarter, the first day only
        disk, own = disk + rate, own + 500_000
        meter.see(quarter * QUARTER_NS, disk, own)
    assert meter.disk_day() == pytest.approx(96e6)
    assert meter.own_day() == pytest.approx(48e6)
    assert meter.years() == pytest.approx(0.4e12 / 96e6 / 365.25)


def test_a_rate_is_not_told_before_it_is_known() -> None:
    meter = FlashMeter()
    assert meter.disk_day() is None
    meter.see(0, 0, None)
    meter.see(HOUR_NS - 1, 10, None)
    assert meter.disk_day() is None
    assert meter.own_day() is None
    assert life_years(0.0) is None
    assert life_years(None) is None


def test_a_counter_that_begins_anew_loses_nothing_that_it_shows() -> None:
    growth = CounterGrowth()
    for hour, counter in enumerate([100, 250, 30, 80]):
        growth.see(hour * HOUR_NS, counter)
    assert growth.grown == 150 + 30 + 50


def test_what_was_long_ago_does_not_count_however_seldom_it_was_looked_at() -> None:
    growth = CounterGrowth()
    for day, counter in enumerate([0, 1000, 1000, 1007]):
        growth.see(day * 2 * DAY_NS, counter)
    assert growth.grown == 7


@given(st.lists(st.tuples(st.integers(0, 3600), st.none() | st.integers(0, 2**40)), max_size=400))
def test_a_sliding_counter_never_shrinks_and_stays_small(
    seen: list[tuple[int, int | None]],
) -> None:
    growth, now_ns = CounterGrowth(HOUR_NS, 12), 0
    for later_s, counter in seen:
        now_ns += later_s * 1_000_000_000
        growth.see(now_ns, counter)
        assert growth.grown >= 0
        assert growth.span_ns >= 0
        assert len(growth._marks) <= 13
    assert CounterGrowth(DAY_NS).per_day() is None


def test_errors_of_a_device_are_those_of_the_last_hour() -> None:
    rates = ErrorRates()
    for minute in range(0, 180, 5):
        errors = min(minute, 60)  # all within the first hour
        rates.see(minute * 60_000_000_000, {"air": (minute, errors), "meter": (7, 0)})
    assert rates.rates()["air"] == ErrorRate(60, 0)
    assert rates.rates()["meter"] == ErrorRate(0, 0)
    assert rates.rates()["meter"].ratio is None
    rates.see(180 * 60_000_000_000, {"air": (240, 90)})
    rate = rates.rates()["air"]
    assert rate.errors == 30
    assert rate.ratio == pytest.approx(30 / rate.reads)
    assert list(rates.rates()) == ["air"]


def test_the_number_of_devices_that_are_watched_has_an_end() -> None:
    rates = ErrorRates(devices=8)
    rates.see(0, {f"d{n}": (1, 0) for n in range(100)})
    assert len(rates.rates()) == 8
