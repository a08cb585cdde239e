"""The configuration is changed as a transaction while vehicles pass: real broker, real process.

Seconds stand for the minutes of a trial (`hurriedtrial`); nothing else is other than on a box.
"""

import json
import mmap
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.control.protocol import VerbError, ask_daemon
from edge.gateway.lastgood import GOOD_NAME, file_digest
from edge.gateway.trialstate import ConfigTrials
from edge.identity.configoutcome import OUTCOME_NAME, read_config_outcome
from tests.kit.broker import Mosquitto
from tests.kit.gateway import ROOT
from tests.kit.hugesite import huge_site
from tests.system.changingbox import ChangingBox, TriedBox

HUT, HUT_OTHER = 'bus = "hut"\naddress = 0x44', 'bus = "hut"\naddress = 0x45'


@pytest.fixture
def box(
    tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ChangingBox]:
    """As systemd starts it, though nobody listens to what it says to systemd."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    with ChangingBox(tmp_path, broker) as made:
        yield made


def edited(box: ChangingBox, before: str, after: str) -> str:
    assert before in box.gateway.text
    return box.gateway.text.replace(before, after)


def check_whole(box: ChangingBox) -> None:
    """All vehicles were counted, nobody stopped listening, and each record came once."""
    box.finish()
    assert box.counted == len(box.street.passed), box.gateway.log.read_text()[-3000:]
    assert [each for each in box.gaps() if each["sources"] == ["*"]] == []
    assert box.twice() == []


def test_a_wrong_broker_is_rolled_back_and_no_edge_is_missed(box: ChangingBox) -> None:
    pid = box.gateway.process.pid
    applied = box.gateway.apply(edited(box, box.broker.url, "mqtt://127.0.0.1:1"))
    assert applied["restarts"] == ["uplink"]
    found = box.gateway.until_state("rolled_back")
    assert found["reason"] == "deaf"
    assert "mqtt://127.0.0.1:1" in found["text"]
    box.records.wait(lambda r: ("rolled_back", "deaf") in box.changes())
    assert (box.gateway.process.pid, box.gateway.running) == (pid, True)
    outcome = read_config_outcome(box.folder / "run" / OUTCOME_NAME)
    assert outcome is not None
    assert (outcome.state, outcome.reason) == ("rolled_back", "deaf")
    status = json.loads(box.gateway.ask("status").stdout)
    (issue,) = [each for each in status["issues"] if each["kind"] == "configuration_refused"]
    assert "deaf" in issue["cause"]
    assert "kerbstone config" in issue["remedy"]
    check_whole(box)


def test_a_wrong_address_is_rolled_back_and_only_its_bus_has_stood_still(
    box: ChangingBox,
) -> None:
    applied = box.gateway.apply(edited(box, HUT, HUT_OTHER))
    assert applied["restarts"] == ["bus hut"]
    found = box.gateway.until_state("rolled_back")
    assert found["reason"] == "blind"
    assert "hut_air" in found["text"]
    box.records.wait(lambda r: ("rolled_back", "blind") in box.changes())
    box.gateway.until(lambda: box.gateway.ask("read", "hut_air").returncode == 0)
    check_whole(box)
    yard = [each for each in box.records.of("air") if each["source"] == "yard_air"]
    assert "bad:stale" not in json.dumps(yard), "the other bus was read all the time"


def test_a_good_change_of_a_bus_is_confirmed_and_no_edge_is_missed(box: ChangingBox) -> None:
    text = edited(box, f"{HUT}\nevery_s = 0.5", f"{HUT}\nevery_s = 0.25")
    text = text.replace("[device.yard_air]", "[device.yard_other]")
    applied = box.gateway.apply(text)
    assert applied["restarts"] == ["bus hut", "bus yard"]
    box.gateway.until_state("confirmed")
    assert (box.gateway.state / GOOD_NAME).read_text() == text
    check_whole(box)
    sources = {each["source"] for each in box.records.of("air")}
    assert sources == {"hut_air", "yard_air", "yard_other"}
    assert box.changes() == [("trial", None), ("confirmed", None)]


def test_words_change_nothing_that_counts(box: ChangingBox) -> None:
    applied = box.gateway.apply(edited(box, 'gateway = "gw-1"', 'gateway = "gw-1"\nname = "Kai"'))
    assert applied["restarts"] == []
    box.gateway.until(lambda: json.loads(box.gateway.ask("status").stdout)["site_name"] == "Kai")
    box.gateway.until_state("confirmed")
    check_whole(box)


def test_a_lane_needs_the_daemon_anew_and_the_gap_says_how_long(box: ChangingBox) -> None:
    pid = box.gateway.process.pid
    applied = box.gateway.apply(edited(box, "spacing_m = 4.0", "spacing_m = 4.0\nlimit_kmh = 50"))
    assert applied["restarts"] == ["daemon"]
    box.gateway.until_state("confirmed")
    assert box.gateway.process.pid == pid, "in its own place: systemd waits for nobody"
    box.finish()
    (gap,) = [each for each in box.gaps() if each["sources"] == ["*"]]
    from_us, to_us = gap["gap"]
    unwatched_s = (to_us - from_us) / 1e6
    print(f"\nlines were not watched for {unwatched_s:.2f} s")
    missed = [
        each
        for each in box.street.passed
        if each.lead_off_ns >= from_us * 1000 - 200_000_000 and each.lead_on_ns <= to_us * 1000
    ]
    assert box.counted >= len(box.street.passed) - len(missed) - 1, "all others are counted"
    assert box.twice() == []


class LimitedBox(TriedBox):
    """Whoever takes more memory than `limit` bytes is killed at once, as the kernel does it to a
    unit beyond its MemoryMax: no allocation fails, and nobody is asked."""

    limit = sys.maxsize
    kills = 0

    def start(self) -> None:
        super().start()
        threading.Thread(target=self._watch, args=(self.process,), daemon=True).start()

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        while process.poll() is None:
            if _resident_bytes(process.pid) > self.limit:
                self.kills += 1
                process.kill()
                return
            time.sleep(0.002)


def test_a_file_that_fills_the_memory_is_rolled_back_by_the_next_start(
    tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1,900 meters, where the daemon has room for some hundred."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    with ChangingBox(tmp_path, broker, kind=LimitedBox) as box:
        gateway = box.gateway
        assert isinstance(gateway, LimitedBox)
        gateway.limit = _resident_bytes(gateway.process.pid) + (40 << 20)
        gateway.apply(
            huge_site(gateway.text.replace("spacing_m = 4.0", "spacing_m = 4.5")), code=None
        )

        def as_systemd_does() -> bool:
            if not gateway.running:
                gateway.start()
            return gateway.status().get("state") == "rolled_back"

        gateway.until(as_systemd_does, 120)
        assert gateway.kills >= 2, "when it was taken, and in the start that had it"
        assert gateway.status()["reason"] == "bad_start", gateway.log.read_text()[-2000:]
        box.records.wait(lambda r: ("rolled_back", "bad_start") in box.changes())
        count = len(box.records.of("traffic"))
        box.records.wait(lambda r: len(r.of("traffic")) > count)
        box.finish()
        assert box.twice() == []


def test_without_a_word_of_confirmation_it_comes_back(box: ChangingBox) -> None:
    text = edited(box, 'gateway = "gw-1"', 'gateway = "gw-1"\nname = "Kai"')
    box.gateway.apply(text, "--confirm-within", "30s")
    assert box.gateway.status()["trial"]["confirm_left_s"] <= 30
    time.sleep(8)
    assert box.gateway.status()["state"] == "trial", "good health alone is not enough"
    assert box.gateway.until_state("rolled_back")["reason"] == "unconfirmed"
    check_whole(box)


def test_a_confirmed_one_stays(box: ChangingBox) -> None:
    text = edited(box, 'gateway = "gw-1"', 'gateway = "gw-1"\nname = "Kai"')
    box.gateway.apply(text, "--confirm-within", "30s")
    box.gateway.config_step("confirm")
    box.gateway.until_state("confirmed")
    assert box.changes() == [("trial", None), ("confirmed", None)]


def test_a_rollback_by_hand_is_at_once(box: ChangingBox) -> None:
    before = box.gateway.text
    box.gateway.apply(edited(box, 'gateway = "gw-1"', 'gateway = "gw-1"\nname = "Kai"'))
    box.gateway.config_step("rollback")
    found = box.gateway.until_state("confirmed")  # root's part has put the file back
    assert (found["reason"], box.gateway.text) == ("", before)
    check_whole(box)


@pytest.fixture
def slow_box(
    tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ChangingBox]:
    """Its windows are so long that a person would wait."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    with ChangingBox(tmp_path, broker, period_s=30) as made:
        count = len(made.records.of("traffic"))
        made.records.wait(lambda r: len(r.of("traffic")) > count)
        yield made


def test_a_rollback_withdraws_a_change_that_waits_for_its_window(slow_box: ChangingBox) -> None:
    before = slow_box.gateway.text
    slow_box.gateway.apply(edited(slow_box, HUT, HUT_OTHER))
    assert "bus hut" in slow_box.gateway.status()["waiting"]
    began_s = time.monotonic()
    back = slow_box.gateway.config_step("rollback")
    assert back["restarts"] == []
    slow_box.gateway.until_state("confirmed", 15)
    assert time.monotonic() - began_s < 15
    assert (slow_box.gateway.status()["waiting"], slow_box.gateway.text) == ("", before)
    time.sleep(30)
    check_whole(slow_box)
    assert ("rolled_back", "by_hand") in slow_box.changes()
    hut = [each for each in slow_box.records.of("air") if each["source"] == "hut_air"]
    assert "bad:" not in json.dumps(hut), "its bus was read all the time"


def test_the_connection_comes_back_before_the_buses(slow_box: ChangingBox) -> None:
    """A gateway that is deaf does not wait for the end of a window to hear again."""
    text = edited(slow_box, HUT, f'{HUT}\nname = "x"')
    text = text.replace(slow_box.broker.url, "mqtt://127.0.0.1:1").replace("0.5", "0.25", 1)
    applied = slow_box.gateway.apply(text)
    assert applied["restarts"] == ["uplink", "bus hut"]
    found = slow_box.gateway.until_state("rolled_back", 90)
    assert found["reason"] == "deaf"
    assert "bus hut" in found["waiting"]

    def told() -> bool:
        status = json.loads(slow_box.gateway.ask("status").stdout)
        return bool(status["link"]["connected"])

    slow_box.gateway.until(told, 10)
    assert "bus hut" in slow_box.gateway.status()["waiting"]
    check_whole(slow_box)


def test_a_file_that_is_edited_by_hand_ends_the_trial_of_another_one(box: ChangingBox) -> None:
    box.gateway.apply(edited(box, 'gateway = "gw-1"', 'gateway = "gw-1"\nname = "Kai"'))
    box.gateway.config.write_text(edited(box, '"Kai"', '"Hand"'))
    assert box.gateway.stop() == 0
    box.gateway.start()
    found = box.gateway.until_state("none")
    assert found["trial"] is None
    assert "is over without a verdict" in found["text"]
    box.gateway.until_state("confirmed")
    assert "Hand" in (box.gateway.state / GOOD_NAME).read_text()
    box.finish()
    assert box.changes() == [("trial", None), ("replaced", None)]


def test_a_file_that_was_rolled_back_is_tried_when_it_is_applied_without_a_daemon(
    box: ChangingBox,
) -> None:
    text = edited(box, 'gateway = "gw-1"', 'gateway = "gw-1"\nname = "Kai"')
    box.gateway.apply(text)
    box.gateway.config_step("rollback")
    box.gateway.until_state("confirmed")
    assert box.gateway.stop() == 0
    box.gateway.apply(text)
    box.gateway.start()
    box.gateway.until_state("trial")
    box.gateway.until_state("confirmed")
    assert (box.gateway.state / GOOD_NAME).read_text() == text


def test_who_stops_a_daemon_that_starts_anew_has_stopped_it(box: ChangingBox) -> None:
    """`systemctl stop` while it makes room for itself: it went on, until systemd killed it, and
    that was a bad start of the new file. And as soon as that file is on trial."""
    gateway, trials = box.gateway, ConfigTrials(box.gateway.state)
    text = edited(box, "spacing_m = 4.0", "spacing_m = 4.0\nlimit_kmh = 50")
    digest, run = file_digest(text.encode()), gateway.folder / "run"
    ask_daemon(run, "config_step", 10, op="announce", digest=digest, confirm_s=0)
    gateway.config.write_text(text)
    ask_daemon(run, "config_step", 10, op="take", digest=digest)
    gateway.process.terminate()
    assert gateway.process.wait(20) == 0
    began = subprocess.Popen(
        [*gateway.command, "run", str(gateway.config)], cwd=ROOT, stdin=subprocess.DEVNULL
    )
    while (trial := trials.read().trial) is None or not trial.running:
        time.sleep(0.001)
    began.terminate()
    assert began.wait(20) == 0
    gateway.start()
    gateway.until_state("confirmed")
    assert (gateway.state / GOOD_NAME).read_text() == text


def test_two_technicians_at_once(box: ChangingBox) -> None:
    """Both have seen the same file: one is let in, the other one is told."""
    texts = [edited(box, HUT, HUT + f'\nname = "{name}"') for name in ("A", "B")]
    base = box.gateway.config_step("status")["digest"][:12]
    codes: dict[str, int] = {}

    def apply(name: str, text: str) -> None:
        file = box.folder / f"{name}.toml"
        file.write_text(text)
        done = subprocess.run(
            [*box.gateway.command, "config", "apply", "--config", str(box.gateway.config),
             str(file), "--base", base], cwd=ROOT, capture_output=True, text=True, timeout=90,
        )  # fmt: skip
        codes[name] = done.returncode

    both = [threading.Thread(target=apply, args=pair) for pair in zip("AB", texts, strict=True)]
    for each in both:
        each.start()
    for each in both:
        each.join(120)
    assert sorted(codes.values())[0] == 0
    assert sorted(codes.values())[1] in (1, 3)
    winner = next(name for name, code in codes.items() if code == 0)
    assert box.gateway.text == texts["AB".index(winner)]
    box.gateway.until_state("confirmed")


@pytest.mark.parametrize(
    "words",
    [
        {"op": "diff"}, {"op": "diff", "text": 7}, {"op": "diff", "text": "x" * 61_500},
        {"op": "take", "digest": "../x"}, {"op": "take", "digest": "0" * 64}, {"op": "rm"},
        {"op": ["take"]}, {"op": "announce", "digest": "0" * 64, "confirm_s": 1e9},
        {"op": "announce", "digest": "0" * 64, "confirm_s": True}, {"op": "confirm"},
        {"op": "confirm", "digest": "0" * 64}, {"op": "rollback", "digest": "0" * 64},
    ],
)  # fmt: skip
def test_a_hostile_question_is_refused(quiet: "Quiet", words: dict[str, Any]) -> None:
    with pytest.raises(VerbError):
        ask_daemon(quiet.folder / "run", "config_step", 30.0, **words)
    assert quiet.gateway.status()["state"] == "confirmed"


@pytest.mark.parametrize(
    "text",
    ["[" * 20_000, "a." * 20_000, '"' * 30_000, "\x00" * 1000, "a = 1\n" * 10_000,
     '[lane."\x1b[2J"]\n', "[device.x]\n" * 2, "x" * 60_000],
)  # fmt: skip
def test_a_hostile_text_is_compared_in_bounded_time(quiet: "Quiet", text: str) -> None:
    began_s = time.monotonic()
    found = ask_daemon(quiet.folder / "run", "config_step", 30.0, op="diff", text=text)
    assert found is not None
    assert found["errors"]
    assert found["changes"] == []
    assert time.monotonic() - began_s < 10


class Quiet:
    """One daemon for all hostile questions."""

    def __init__(self, folder: Path, gateway: TriedBox) -> None:
        self.folder, self.gateway = folder, gateway


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quiet]:
    from tests.kit.broker import BINARY
    from tests.kit.fixtures import PERSISTENT

    if not Path(BINARY).exists():
        pytest.skip("mosquitto is not installed: apt-get install mosquitto mosquitto-clients")
    folder = tmp_path_factory.mktemp("quiet")
    broker = Mosquitto(folder / "broker", PERSISTENT.format(folder / "broker")).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATE_DIRECTORY", str(folder / "state"))
        patch.setenv("NOTIFY_SOCKET", str(folder / "nobody"))
        gateway = TriedBox(folder, broker, "\n")
        gateway.start()
        gateway.until((gateway.state / GOOD_NAME).exists)
        yield Quiet(folder, gateway)
        gateway.close()
    broker.kill()


def _resident_bytes(pid: int) -> int:
    """0: it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * mmap.PAGESIZE
    except (OSError, IndexError):
        return 0
