"""The disk of the outbox hangs: `doctor` and `status` say so in time, and answer all else."""

import importlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.control.handover import HandOver, write_hand_over
from tests.kit.command import Command

WITHIN_S = 0.5
SITE = """
[site]
id = "s"
gateway = "gw-1"
[uplink]
url = "mqtt://127.0.0.1:1"
[store]
dir = "{0}"
run_dir = "{1}/run"
"""
inspector = importlib.import_module("edge.outbox.outboxinspector")  # the function has its name


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Of a site whose `store.dir` answers no system call; whoever looks in a process waits, too."""
    store, released = tmp_path / "store", threading.Event()
    file = tmp_path / "site.toml"
    file.write_text(SITE.format(store, tmp_path))

    def hanging(call: Callable[..., Any]) -> Callable[..., Any]:
        def asked(path: object, *more: Any, **named: Any) -> Any:
            if isinstance(path, str | Path) and str(path).startswith(str(store)):
                released.wait(60)
            return call(path, *more, **named)

        return asked

    for name in ("stat", "access", "statvfs", "open"):
        monkeypatch.setattr(os, name, hanging(getattr(os, name)))
    monkeypatch.setattr(inspector, "INSPECTOR_CODE", "import time; time.sleep(60)")
    for place in (
        "diagnose.wholeway.GLANCE_S", "cli.doctor.GLANCE_S", "diagnose.outboxchecks.GLANCE_S",
        "cli.status.GLANCE_S", "control.handover.GLANCE_S",
    ):  # fmt: skip
        monkeypatch.setattr(f"edge.{place}", WITHIN_S)
    monkeypatch.setattr("edge.diagnose.brokersteps.in_use", lambda path: released.wait(60))
    yield file
    released.set()


def test_doctor_says_so_and_answers_what_needs_no_disk(kerbstone: Command, config: Path) -> None:
    begin_s = time.monotonic()
    said = kerbstone(
        "doctor", "--config", config, "--json",
        *(word for check in ("outbox_room", "store_rights", "card", "site_file", "tcp", "login")
          for word in ("--check", check)),
    )  # fmt: skip
    assert time.monotonic() - begin_s < 10.0
    found = {each["id"]: each for each in json.loads(said.out)["checks"]}
    for check in ("outbox_room", "store_rights"):
        assert found[check]["outcome"] == "not checked"
        assert "disk" in found[check]["cause"]
        assert str(config.parent / "store") in found[check]["cause"]
    assert found["site_file"]["outcome"] != "not checked"
    assert found["tcp"]["outcome"] == "fault", "the way to the broker is looked at all the same"


def test_status_says_so(kerbstone: Command, config: Path) -> None:
    begin_s = time.monotonic()
    said = kerbstone("status", "--config", config)
    assert time.monotonic() - begin_s < 10.0
    assert said.code == 3
    assert "cannot be read: no answer within 0.5 s: the disk is slow or hangs" in said.out


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(5, "Input/output error", "outbox.db"), "Input/output error: 'outbox.db'"),
        (PermissionError(13, "Permission denied", "outbox.db"), "outbox.db is not open to you"),
    ],
)
def test_who_cannot_see_whether_a_gateway_starts_does_not_log_in(
    error: OSError, why: str, kerbstone: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A login would throw it off."""

    def fails(path: Path) -> bool:
        raise error

    monkeypatch.setattr("edge.diagnose.brokersteps.in_use", fails)
    monkeypatch.setattr("edge.diagnose.brokersteps.log_in", None)
    file = tmp_path / "site.toml"
    file.write_text(SITE.format(tmp_path / "store", tmp_path))
    said = kerbstone("doctor", "--connect", "--check", "login", "--json", "--config", file)
    [row] = json.loads(said.out)["checks"]
    assert (said.code, row["outcome"]) == (3, "not checked")
    assert row["cause"].startswith(f"whether a gateway runs is not known: {why}")


def test_a_box_that_has_handed_over_is_neither_started_nor_logged_in(
    kerbstone: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The box in its place has the same name: a login would throw that one off."""
    monkeypatch.setattr("edge.diagnose.brokersteps.log_in", None)
    (tmp_path / "store").mkdir()
    mark = HandOver(backup="0123456789abcdef", at="2026-12-01T08:00:00.000Z", by="anna")
    write_hand_over(tmp_path / "store", mark)
    file = tmp_path / "site.toml"
    file.write_text(SITE.format(tmp_path / "store", tmp_path))
    said = kerbstone(
        "doctor", "--connect", "--check", "login", "--check", "gateway_runs", "--json",
        "--config", file,
    )  # fmt: skip
    found = {each["id"]: each for each in json.loads(said.out)["checks"]}
    assert found["login"]["outcome"] == "not checked"
    assert "another box has gone on in its place" in found["login"]["cause"]
    assert "Another box has gone on" in found["gateway_runs"]["cause"]
    assert "systemctl start" not in found["gateway_runs"]["remedy"]
