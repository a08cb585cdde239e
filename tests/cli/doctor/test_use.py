"""`kerbstone doctor` as it is used: its exit codes, its end in time, its sentences."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from drivers.sim.gpio import SimChip
from drivers.sim.i2c import I2cKernel
from drivers.sim.meter_rtu import MeterRtu
from drivers.sim.simpty import open_pty
from edge.config import Device
from edge.control.buslock import BusLock
from edge.diagnose import diagnosis, probe
from edge.diagnose.checks import CHECKS, GROUPS, checks_of
from edge.diagnose.diagnosis import Doctor
from edge.diagnose.exam import split_finding
from edge.diagnose.probe import first_question
from tests.cli.doctor.cabinet import AIR, LOOPS, METERS, QUICK, ROOT, Site, sht4x
from tests.kit.command import Command

# somebody who has seen enough need not wait long for a step that does not end anyway
COMMAND = (
    "from edge.diagnose import diagnosis; diagnosis.JOIN_S = 0.1; "
    "from edge.cli.main import main; raise SystemExit(main())"
)


def test_wrong_use_and_a_wrong_file_are_2(kerbstone: Command, wired: Site, tmp_path: Path) -> None:
    said = kerbstone("doctor", "shed", "--config", wired(AIR))
    assert said.code == 2
    assert "no bus, device, lane or bay is called 'shed'; there are hut, hut_air" in said.err
    assert kerbstone("doctor", "--config", tmp_path / "none.toml").code == 2


def test_all_checks_are_listed_and_each_is_asked_by_its_id_or_its_group(
    kerbstone: Command, wired: Site, air: I2cKernel
) -> None:
    air.chips = {0x44: sht4x()}
    listed = kerbstone("doctor", "--list")
    assert listed.code == 0
    assert [line.split()[0] for line in listed.lines if line.startswith("  ")] == [*CHECKS]
    file = wired(AIR)
    said = kerbstone("doctor", "--check", "clock", "--check", "memory", "--json", "--config", file)
    assert {row["id"] for row in json.loads(said.out)["checks"]} == {*checks_of("clock"), "memory"}
    assert not air.log, "no wire was asked about"
    wrong = kerbstone("doctor", "--check", "tls", "--config", file)
    assert wrong.code == 2
    assert "no check is called 'tls'; `kerbstone doctor --list` has them all" in wrong.err


def test_ids_are_words_to_search_for_and_are_no_group() -> None:
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", check) for check in CHECKS)
    assert {check for check in CHECKS if check in GROUPS} == {"models"}
    assert checks_of("models") == ["models"]


def test_with_names_only_these_are_looked_at(
    kerbstone: Command, wired: Site, air: I2cKernel, chip: SimChip
) -> None:
    air.chips = {0x44: sht4x()}
    said = kerbstone("doctor", "hut", "--json", "--config", wired(AIR, LOOPS))
    rows = json.loads(said.out)["checks"]
    assert {row["about"] for row in rows} == {"", "hut", "hut/hut_air"}  # "": site_in_use
    assert said.code == 0


def test_a_bus_that_somebody_works_on_is_not_reached(
    kerbstone: Command, wired: Site, air: I2cKernel, tmp_path: Path
) -> None:
    file, lock = wired(AIR), BusLock(tmp_path / "run", "hut")
    assert lock.take()
    said = kerbstone("doctor", "--check", "wires", "--config", file, "--json")
    lock.release()
    assert said.code == 3
    assert json.loads(said.out)["not_reached"] == ["hut"]
    assert not air.log


def test_it_ends_in_time_with_what_it_has(
    kerbstone: Command, wired: Site, meters: MeterRtu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both meters were read in vain, and the search for the reason does not come to an end."""
    meters.units = {}
    searching, over, question = threading.Event(), threading.Event(), first_question

    async def endless(device: Device) -> Any:
        searching.set()
        assert over.wait(60)
        return await question(device)

    class Late(Doctor):
        """The time is over as soon as it searches."""

        @property
        def took_s(self) -> float:
            return 1.3 if searching.is_set() else 0.0

    monkeypatch.setattr("edge.cli.doctor.Doctor", lambda exams: Late(exams, 1.2))
    monkeypatch.setattr(probe, "first_question", endless)
    monkeypatch.setattr(diagnosis, "JOIN_S", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    said = kerbstone("doctor", "--check", "wires", "--config", wired(QUICK, words=(meters.port,)))
    over.set()
    assert said.code == 1
    assert "no answer within 0.05 s" in said.out
    assert "0 of 1 buses, 0 s  meters: " in said.err  # progress, where somebody sees it
    assert "ended after 1.2 s; this is what was found so far" in said.err
    for looking in [each for each in threading.enumerate() if each.name == "meters"]:
        looking.join()  # it would open its port again, which is the next test's by then


def test_ctrl_c_gives_what_was_found_so_far(
    wired: Site, air: I2cKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it says itself that one bus is done: how long that takes is the machine's affair."""
    air.chips = {0x44: sht4x()}
    busy(air, monkeypatch)
    port, end, name = open_pty()  # a port where nobody is: that takes long
    file = wired(AIR, METERS.replace("0.4", "30.0"), words=(name,))
    os.close(end)  # who holds it open is a finding by itself
    screen, terminal = os.openpty()
    command = [sys.executable, "-c", COMMAND, "doctor", "--config", str(file)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=terminal, text=True
    ) as process:
        os.close(terminal)
        error = shown(screen, "1 of 2 buses")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=25)
    error += shown(screen, None)
    assert process.returncode == 130, f"\n{out}\n{error}"
    assert "ok       device_answers hut/hut_air" in out
    assert "found so far" in error
    os.close(port)
    os.close(screen)


def busy(air: I2cKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has other things to do: each answer takes a while."""
    real = air.transfer

    def late(messages: Any) -> Any:
        time.sleep(0.3)
        return real(messages)

    monkeypatch.setattr(air, "transfer", late)


def shown(screen: int, words: str | None) -> str:
    """What comes to a terminal until these words do, or until nobody holds it any more."""
    text = ""
    while words is None or words not in text:
        try:
            # a pty's number is used again: a stranger may still write to the one before
            text += os.read(screen, 4096).decode("utf-8", "replace")
        except OSError:  # EIO: its other end is closed
            assert words is None, f"it has ended:\n{text}"
            break
    return text


@pytest.mark.parametrize(
    ("text", "sentence", "remedy"),
    [
        ("/x: nothing came within 1 s: check it", "/x: nothing came within 1 s", "check it"),
        ("unit 1: damaged answer, 7 bytes: 01 03", "unit 1: damaged answer, 7 bytes: 01 03", ""),
        ("unit 5: exception 2", "unit 5: exception 2", ""),
        ("it is stuck: held low; switch it off", "it is stuck: held low", "switch it off"),
    ],
)
def test_a_driver_s_error_is_sentence_and_remedy(text: str, sentence: str, remedy: str) -> None:
    found = split_finding("fault", text)
    assert (found.sentence, found.remedy) == (sentence, remedy)


def test_the_page_for_technicians_quotes_what_is_said() -> None:
    """Each sentence of its table is in the code, but for the names and numbers in it."""
    code = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("drivers/buses", "edge/gateway", "edge/diagnose")
        for path in sorted((ROOT / folder).rglob("*.py"))
    )
    code = re.sub(r"""["']\s*(?:#.*)?\n\s*f?["']""", "", code)  # a sentence over several lines
    code = re.sub(r"\{[^{}]*\}", "...", code)
    page = (ROOT / "docs/doctor.md").read_text(encoding="utf-8")
    table = page.partition("|---|---|\n")[2].partition("\n\n")[0].splitlines()
    said = [row.split("|")[1].strip() for row in table if "**" not in row]
    assert len(said) > 25
    parts = [part for one in said for part in re.split(r"; |\.\.\.|\(\w+\)$", one)]
    missing = [p for part in parts if len(p := part.strip(" ,:")) > 3 and p not in code]
    assert missing == []
