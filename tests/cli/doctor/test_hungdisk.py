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

from tests.kit.command import Command

WITHIN_S = 0.5
inspector = importlib.import_module("edge.outbox.outboxinspector")  # the function has its name


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Of a site whose `store.dir` answers no system call; whoever looks in a process waits, too."""
    store, released = tmp_path / "store", threading.Event()
    file = tmp_path / "site.toml"
    file.write_text(
        f'[site]\nid = "s"\ngateway = "gw-1"\n[uplink]\nurl = "mqtt://127.0.0.1:1"\n'
        f'[store]\ndir = "{store}"\nrun_dir = "{tmp_path}/run"\n'
    )

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
        "cli.status.GLANCE_S",
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
