"""A new configuration that fails three times gives way to the last good one."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.config import Site
from edge.config.model import SiteTable, Uplink
from edge.core import ConfigError
from edge.gateway.lastgood import (
    AGAIN_S,
    EARLIEST_CLOCK_S,
    GOOD_NAME,
    STARTS_NAME,
    LastGood,
    StartHistory,
    has_carrier,
    load_usable_site,
    read_site,
)
from tests.long import examples

NOW_S = EARLIEST_CLOCK_S + 1_000_000
DAY_S = AGAIN_S
FINE = """\
[site]
id = "quay"
gateway = "gw-1"
[uplink]
url = "mqtt://localhost"
confirm = "broker"
[bus.meters]
kind = "modbus-tcp"
host = "localhost"
[device.main_meter]
driver = "sdm120"
bus = "meters"
unit = 1
"""
BROKEN = FINE.replace("sdm120", "sdm12")


def site_of(text: str) -> Site:
    """A site that shows from which text it was loaded: the text is its file's name."""
    return Site(
        SiteTable(id="quay", gateway="gw-1"), Uplink(url="mqtt://a", confirm="broker"), file=text
    )


def loaded(file: Path) -> Site:
    """A file is a site unless it begins with `bad`."""
    text = file.read_text()
    if text.startswith("bad"):
        raise ConfigError(f"{file}:7: device.x: {text}\nand another")
    return site_of(text)


class RestartingGateway:
    """A box that starts again and again."""

    def __init__(self, folder: Path) -> None:
        self.state, self.file = folder / "state", folder / "site.toml"
        self.now_s = NOW_S

    def start(self, text: str | None = None) -> tuple[LastGood, str]:
        """What runs: the text of a file, or "refused"."""
        if text is not None:
            self.file.write_text(text)
        one = LastGood(self.state, self.file, loaded, loaded)
        try:
            return one, one.choose(self.now_s).file
        except ConfigError:
            return one, "refused"

    def crash(self, text: str | None = None) -> str:
        return self.start(text)[1]

    def good(self, text: str) -> None:
        one, _ = self.start(text)
        one.is_good()


@pytest.fixture
def box(tmp_path: Path) -> RestartingGateway:
    return RestartingGateway(tmp_path)


def test_after_three_crashes_the_last_good_one_runs_and_says_why(box: RestartingGateway) -> None:
    box.good("old")
    assert [box.crash("new") for _ in range(3)] == ["new"] * 3
    one, runs = box.start()
    assert runs == "old"
    why = "in 3 starts with this file the daemon never ran well for five minutes"
    assert f"site.toml is not used: {why}" in one.fallback
    assert box.start()[1] == "old", "and at the next start, too"


def test_a_file_that_is_refused_three_times_gives_way_with_the_line_of_its_error(
    box: RestartingGateway,
) -> None:
    box.good("old")
    assert [box.crash("bad word") for _ in range(3)] == ["refused"] * 3
    one, runs = box.start()
    assert runs == "old"
    assert "site.toml:7: device.x: bad word (and 1 more)" in one.fallback


def test_a_file_that_is_missing_gives_way_too(box: RestartingGateway) -> None:
    box.good("old")
    box.file.unlink()
    one = LastGood(box.state, box.file, read_site, load_usable_site)
    for _ in range(3):
        with pytest.raises(ConfigError):
            one.choose(NOW_S)
    box.state.joinpath(GOOD_NAME).write_text(FINE)
    assert one.choose(NOW_S).place.id == "quay"
    assert "cannot be read" in one.fallback


def test_a_changed_file_is_tried_at_once(box: RestartingGateway) -> None:
    box.good("old")
    for _ in range(4):
        box.crash("bad")
    assert box.start("new")[1] == "new"
    assert box.start("bad")[1] == "refused", "and an old mistake is a new one"


def test_the_same_file_is_tried_once_after_a_day(box: RestartingGateway) -> None:
    box.good("old")
    assert [box.crash("new") for _ in range(4)][-1] == "old"
    box.now_s += DAY_S - 1
    assert box.crash() == "old"
    box.now_s += 1
    assert [box.crash() for _ in range(3)] == ["new", "old", "old"]
    box.now_s += DAY_S
    one, runs = box.start()
    assert runs == "new"
    one.is_good()
    assert [box.crash() for _ in range(3)] == ["new"] * 3
    assert box.crash() == "new", "it is the last good one itself"


def test_a_clock_that_stands_in_the_past_tries_nothing_and_stops_nothing(
    box: RestartingGateway,
) -> None:
    box.good("old")
    for _ in range(4):
        box.crash("new")
    box.now_s = 5
    assert box.crash() == "old"


def test_a_boot_in_1970_does_not_make_a_day_of_a_moment(box: RestartingGateway) -> None:
    box.good("old")
    box.now_s = 5
    assert [box.crash("new") for _ in range(4)][-1] == "old"
    box.now_s = NOW_S
    assert box.crash() == "old", "the time is known now: here the day begins"
    box.now_s += DAY_S - 1
    assert box.crash() == "old"
    box.now_s += 1
    assert [box.crash() for _ in range(2)] == ["new", "old"]


def test_a_box_that_never_knows_the_time_tries_again_after_a_day_of_running(
    box: RestartingGateway,
) -> None:
    box.good("old")
    box.now_s = 5
    for _ in range(4):
        box.crash("new")
    one, _ = box.start()
    assert not one.worth_a_try(5, DAY_S - 1)
    assert one.worth_a_try(5, DAY_S)
    one.stopped()
    assert [box.crash() for _ in range(2)] == ["new", "old"]


def test_a_file_that_a_newer_program_accepts_is_tried_at_once(
    box: RestartingGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.good("old")
    assert [box.crash("bad, as it seems") for _ in range(4)][-1] == "old"
    monkeypatch.setitem(globals(), "loaded", lambda file: site_of(file.read_text()))
    assert [box.crash() for _ in range(3)] == ["bad, as it seems"] * 3
    assert box.crash() == "old"


def test_starts_that_were_stopped_in_order_are_no_bad_ones(box: RestartingGateway) -> None:
    box.good("old")
    for _ in range(9):
        one, runs = box.start("new")
        assert runs == "new"
        one.stopped()
    assert [box.crash() for _ in range(4)] == ["new", "new", "new", "old"]


def test_a_stop_of_the_last_good_one_does_not_bring_the_bad_one_back(
    box: RestartingGateway,
) -> None:
    box.good("old")
    for _ in range(3):
        box.crash("new")
    for _ in range(3):
        one, runs = box.start()
        assert runs == "old"
        one.stopped()
        one.is_good()
    assert (box.state / GOOD_NAME).read_text() == "old"


def test_without_another_good_one_a_bad_one_is_tried_for_ever(box: RestartingGateway) -> None:
    assert [box.crash("new") for _ in range(9)] == ["new"] * 9
    assert [box.crash("bad") for _ in range(9)] == ["refused"] * 9
    box.good("old")
    (box.state / GOOD_NAME).write_text("bad too")
    assert [box.crash("new") for _ in range(9)] == ["new"] * 9


def test_the_last_good_one_is_written_only_when_it_is_another_one(box: RestartingGateway) -> None:
    box.good("old")
    before = (box.state / GOOD_NAME).stat().st_ino
    box.good("old")
    assert (box.state / GOOD_NAME).stat().st_ino == before
    one, _ = box.start("new")
    box.file.write_text("edited since")
    one.is_good()
    assert (box.state / GOOD_NAME).read_text() == "old", "nobody knows which of the two ran"


def test_while_the_last_good_one_runs_the_file_is_tried_when_it_is_mended(
    box: RestartingGateway,
) -> None:
    box.good("old")
    for _ in range(3):
        box.crash("new")
    one, _ = box.start()
    assert not one.worth_a_try(NOW_S, 60)
    box.file.write_text("bad half")
    assert not one.worth_a_try(NOW_S, 70)
    box.file.write_text("mended")
    assert one.worth_a_try(NOW_S, 80)
    assert box.start()[1] == "mended"


def test_while_the_last_good_one_runs_the_file_is_tried_when_a_day_is_over(
    box: RestartingGateway,
) -> None:
    box.good("old")
    for _ in range(3):
        box.crash("new")
    one, _ = box.start()
    assert not one.worth_a_try(NOW_S, DAY_S - 1)
    assert one.worth_a_try(NOW_S + 9, DAY_S), "by the clock that is never set"
    one.stopped()
    box.now_s += 10
    assert [box.crash() for _ in range(2)] == ["new", "old"]


@settings(max_examples=examples(50), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(starts=st.binary(max_size=400), good=st.binary(max_size=400), fine=st.booleans())
def test_whatever_lies_in_the_state_folder_the_start_goes_on(
    tmp_path: Path, starts: bytes, good: bytes, fine: bool
) -> None:
    box = RestartingGateway(tmp_path)
    box.state.mkdir(exist_ok=True)
    (box.state / STARTS_NAME).write_bytes(starts)
    (box.state / GOOD_NAME).write_bytes(good)
    box.file.write_text(FINE if fine else BROKEN)
    for _ in range(5):
        one = LastGood(box.state, box.file)
        if fine:
            assert one.choose(NOW_S).place.id == "quay"
        else:
            with pytest.raises(ConfigError, match="sdm12"):
                one.choose(NOW_S)


@given(
    st.builds(
        StartHistory,
        st.integers(0, 1_000_000),
        st.text("0123456789abcdef", max_size=64),
        st.booleans(),
        st.integers(0, 1 << 40),
    ),
    st.data(),
)
def test_what_was_counted_is_read_back_and_damage_counts_as_nothing(
    starts: StartHistory, data: st.DataObject
) -> None:
    packed = starts.packed()
    assert StartHistory.parse(packed) == starts
    at = data.draw(st.integers(0, len(packed) - 2))
    damaged = bytearray(packed)
    damaged[at] ^= 1 << data.draw(st.integers(0, 6))
    # a flipped bit in the check sum's case of a letter says the same
    assert StartHistory.parse(bytes(damaged)) in (StartHistory(), starts)
    assert StartHistory.parse(packed[:at]) in (StartHistory(), starts)


@pytest.mark.parametrize("kind", ["folder", "pipe", "endless link", "no folder"])
def test_what_is_no_file_stops_nothing_either(box: RestartingGateway, kind: str) -> None:
    box.state.mkdir()
    for name in (STARTS_NAME, GOOD_NAME, f"{STARTS_NAME}.new", f"{GOOD_NAME}.new"):
        path = box.state / name
        match kind:
            case "folder":
                path.mkdir()
            case "pipe":
                os.mkfifo(path)
            case "endless link":
                path.symlink_to(path)
    if kind == "no folder":
        box.state.rmdir()
        box.state.write_text("a file where the folder should be")
    for _ in range(5):
        one, runs = box.start("new")
        assert runs == "new"
        one.is_good()
        one.stopped()


def test_the_configuration_that_ran_well_is_a_daemons_own(box: RestartingGateway) -> None:
    box.file.write_text(FINE)
    one = LastGood(box.state, box.file)
    one.choose(NOW_S)
    one.is_good()
    assert (box.state / GOOD_NAME).read_bytes() == FINE.encode()
    assert (box.state / GOOD_NAME).stat().st_mode & 0o077 == 0
    box.file.write_text(BROKEN)
    for _ in range(3):
        with pytest.raises(ConfigError):
            LastGood(box.state, box.file).choose(NOW_S)
    last = LastGood(box.state, box.file)
    assert last.choose(NOW_S).file == str(box.state / GOOD_NAME)
    assert "site.toml:11: device.main_meter.driver" in last.fallback


def test_a_network_is_plugged_in_when_a_carrier_says_so(tmp_path: Path) -> None:
    for name, carrier in (("lo", "1"), ("eth0", "0")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "carrier").write_text(f"{carrier}\n")
    (tmp_path / "wlan0").mkdir()
    assert not has_carrier(tmp_path)
    (tmp_path / "eth0" / "carrier").write_text("1\n")
    assert has_carrier(tmp_path)
    assert has_carrier(tmp_path / "nowhere")
