"""`kerbstone config`: what is said before, what is put in place, and what is refused."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.cli import config as module
from edge.gateway.applymark import read_apply_mark
from edge.gateway.configapply import ConfigApplier
from edge.gateway.lastgood import file_digest
from edge.gateway.sitefile import SiteFile, SiteFileChangedError
from edge.identity.configoutcome import OUTCOME_NAME, ConfigOutcome
from edge.identity.configspool import (
    ConfigRequest,
    config_spool,
    leave_request,
    read_answer,
)
from edge.identity.runfiles import BOX_NAME, BoxNames
from edge.kernelclock import KernelClock
from tests.cli.answering_daemon import answering
from tests.config.test_sitechanges import SITE
from tests.kit.command import Command

STATUS: dict[str, Any] = {
    "file": "site.toml", "signed": False, "digest": "", "running": "", "changed": False,
    "state": "confirmed", "reason": "", "text": "", "waiting": "", "trial": None,
    "restarts": ["bus hut"], "restarts_text": "bus hut starts anew",
}  # fmt: skip
TRIAL = {
    "digest": "a" * 64, "vouched": False, "confirm_s": 600, "confirm_left_s": 421.0,
    "health_left_s": 100.0, "held": "the broker is not connected",
}  # fmt: skip


class Desk:
    """A site file, a new one beside it, and a daemon that may answer."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file, self.new = folder, folder / "site.toml", folder / "new.toml"
        self.run = folder / "run"
        self.text = SITE + f'[store]\nrun_dir = "{self.run}"\ndir = "{folder}/store"\n'
        self.file.write_text(self.text)

    @contextmanager
    def daemon(self, **answer: Any) -> Iterator[None]:
        with answering(
            self.run, {"config": {**STATUS, **answer}, "config_step": {**STATUS, **answer}}
        ):
            yield

    def change(self, before: str, after: str) -> Path:
        assert before in self.text
        self.new.write_text(self.text.replace(before, after))
        return self.new


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("KERBSTONE_RUN", str(tmp_path / "run-root"))
    (tmp_path / "run-root" / "kerbstone-config").mkdir(parents=True)
    return Desk(tmp_path)


def test_diff_says_what_it_means_and_what_starts_anew(kerbstone: Command, desk: Desk) -> None:
    said = kerbstone("config", "diff", desk.change("0x44", "0x45"), "--config", desk.file)
    assert said.code == 0, said.err
    assert "device.hut_air.address (Hütte): 0x44 -> 0x45" in said.lines
    assert "= device hut_air (Hütte) changes: address" in said.lines
    assert any(line.startswith("* bus hut") for line in said.lines)
    assert said.lines[-1].endswith(f"--base {file_digest(desk.text.encode())[:12]}")
    assert desk.file.read_text() == desk.text


def test_diff_lists_all_errors_of_check_first(kerbstone: Command, desk: Desk) -> None:
    said = kerbstone("config", "diff", desk.change("sht4x", "sht9"), "--config", desk.file)
    assert said.code == 2
    assert "device.hut_air.driver" in said.err
    found = json.loads(kerbstone("config", "diff", desk.new, "--config", desk.file, "--json").out)
    assert found["errors"][0]["line"] == 12
    assert found["changes"] == []


def test_nothing_is_said_of_a_file_that_means_the_same(kerbstone: Command, desk: Desk) -> None:
    said = kerbstone("config", "diff", desk.change("[site]", "# x\n[site]"), "--config", desk.file)
    assert said.code == 0
    assert "= nothing that the gateway does is changed" in said.lines
    assert "* nothing starts anew" in said.lines


def test_apply_puts_it_in_place_and_the_daemon_takes_it(kerbstone: Command, desk: Desk) -> None:
    new = desk.change("0x44", "0x45")
    with desk.daemon():
        said = kerbstone("config", "apply", new, "--config", desk.file, "--confirm-within", "10m")
    assert said.code == 0, said.err
    assert desk.file.read_text() == new.read_text()
    assert (desk.folder / "site.toml.before").read_text() == desk.text
    assert "bus hut starts anew" in said.out
    assert "within 10 min" in said.out


@pytest.mark.parametrize(
    ("word", "said_so"),
    [("open", "within 10 min"), ("good", "has no trial"), ("nothing", "has no trial")],
)
def test_apply_promises_no_return_where_nothing_could_come_back(
    kerbstone: Command, desk: Desk, word: str, said_so: str
) -> None:
    with answering(desk.run, {"config": STATUS, "config_step": {**STATUS, "trial": word}}):
        said = kerbstone("config", "apply", desk.change("0x44", "0x45"), "--config", desk.file,
                         "--confirm-within", "10m")  # fmt: skip
    assert said.code == 0, said.err
    assert said_so in said.out
    assert ("on trial" in said.out, "unless you confirm" in said.out) == (word == "open",) * 2


def test_apply_without_a_daemon_is_for_its_next_start(kerbstone: Command, desk: Desk) -> None:
    new = desk.change("0x44", "0x45")
    said = kerbstone("config", "apply", new, "--config", desk.file, "--confirm-within", "600s")
    assert said.code == 3
    assert "no daemon runs that could watch it" in said.err
    assert desk.file.read_text() == desk.text
    said = kerbstone("config", "apply", new, "--config", desk.file)
    assert said.code == 0
    assert "its next start uses it" in said.out
    assert desk.file.read_text() == new.read_text()
    mark = read_apply_mark(desk.file)
    assert mark is not None
    assert mark.digest == file_digest(new.read_bytes())
    with desk.daemon():
        kerbstone("config", "apply", new, "--config", desk.file)
    assert read_apply_mark(desk.file) is None, "this one was told"


def test_a_daemon_of_an_older_version_is_started_anew_first(kerbstone: Command, desk: Desk) -> None:
    new = desk.change("0x44", "0x45")
    with answering(desk.run, {"status": {}}):
        said = kerbstone("config", "apply", new, "--config", desk.file)
    assert said.code == 3
    assert "older version" in said.err
    assert desk.file.read_text() == desk.text


def test_of_two_technicians_the_second_is_refused_and_shown_why(
    kerbstone: Command, desk: Desk
) -> None:
    base = file_digest(desk.text.encode())[:12]
    with desk.daemon():
        first = kerbstone("config", "apply", desk.change("0x44", "0x45"), "--config", desk.file,
                          "--base", base)  # fmt: skip
        second = kerbstone("config", "apply", desk.change("unit = 1", "unit = 2"), "--config",
                           desk.file, "--base", base)  # fmt: skip
    assert (first.code, second.code) == (0, 1)
    assert "somebody has changed it meanwhile" in second.err
    assert "device.hut_air.address (Hütte): 0x45 -> 0x44" in second.out, "what he would undo"
    assert "0x45" in desk.file.read_text()


def test_who_is_not_let_in_announces_nothing(desk: Desk) -> None:
    """The daemon knows one announced file: the other one's time to confirm would be forgotten."""
    asked: list[tuple[str, Any]] = []

    def ask(verb: str, **words: Any) -> dict[str, Any]:
        asked.append((verb, words.get("op")))
        return dict(STATUS)

    applier = ConfigApplier(desk.file, KernelClock().now(), ask)
    with pytest.raises(SiteFileChangedError):
        applier.replace(desk.text.replace("0x44", "0x45"), "new.toml", "b" * 64)
    assert asked == [("config", None)]


def test_a_full_folder_in_place_of_a_request_does_not_stop_the_next_one(
    kerbstone: Command, desk: Desk
) -> None:
    folder = config_spool() / "request.json"
    (folder / "more").mkdir(parents=True)
    said = kerbstone("config", "spool", "--config", desk.file, "--outcome", desk.run / "none")
    assert (said.code, folder.exists()) == (0, False), said.err
    leave_request(config_spool(), request(desk))
    assert spooled(kerbstone, desk)["state"] == "replaced"


def test_an_unusable_file_is_never_put_in_place(kerbstone: Command, desk: Desk) -> None:
    with desk.daemon():
        said = kerbstone("config", "apply", desk.change("sht4x", "sht9"), "--config", desk.file)
    assert said.code == 2
    assert desk.file.read_text() == desk.text


def test_on_a_box_with_a_signed_configuration_apply_proposes(
    kerbstone: Command, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "is_signed_box", lambda file: True)
    shown = Path(config_spool().parent, "kerbstone-identity")
    shown.mkdir()
    (shown / BOX_NAME).write_bytes(msgspec.json.encode(BoxNames("quay", "gw-1")))
    said = kerbstone("config", "apply", desk.change("0x44", "0x45"), "--config", desk.file)
    assert "the operator signs the configuration of this box" in said.out
    assert "kerbstone-proposal" in said.err, "this desk has no folder for proposals"
    assert desk.file.read_text() == desk.text


def test_status_shows_the_trial(kerbstone: Command, desk: Desk) -> None:
    with desk.daemon(state="trial", trial=TRIAL):
        said = kerbstone("config", "status", "--config", desk.file)
    assert said.code == 0
    assert said.lines[0].endswith("in use, on trial")
    assert any("rolled back in 7 min unless" in line for line in said.lines)
    assert "stays open: the broker is not connected" in said.lines
    with desk.daemon(state="rolled_back", text="site.toml is not used: deaf"):
        said = kerbstone("config", "status", "--config", desk.file)
    assert said.code == 1
    assert "site.toml is not used: deaf" in said.lines


@pytest.mark.parametrize("step", ["confirm", "rollback"])
def test_there_has_to_be_a_trial_to_end(kerbstone: Command, desk: Desk, step: str) -> None:
    with desk.daemon():
        said = kerbstone("config", step, "--config", desk.file)
    assert (said.code, "no configuration is on trial" in said.err) == (1, True)
    with desk.daemon(trial=TRIAL):
        assert kerbstone("config", step, "--config", desk.file).code == 0


def request(desk: Desk, **words: Any) -> ConfigRequest:
    text = desk.text.replace("0x44", "0x45")
    base = file_digest(desk.text.encode())
    return ConfigRequest(**{"id": "1" * 16, "text": text, "base": base, **words})


def spooled(kerbstone: Command, desk: Desk, *words: str) -> Mapping[str, Any]:
    outcome = desk.run / OUTCOME_NAME
    said = kerbstone("config", "spool", "--config", desk.file, "--outcome", outcome, *words)
    assert said.code == 0, said.err
    answer = read_answer(config_spool())
    assert answer is not None
    return dict(msgspec.to_builtins(answer))


def test_what_the_page_has_left_is_put_in_place_and_then_taken(
    kerbstone: Command, desk: Desk
) -> None:
    leave_request(config_spool(), request(desk))
    with desk.daemon():
        assert spooled(kerbstone, desk)["state"] == "replaced"
        assert "0x45" in desk.file.read_text()
        found = spooled(kerbstone, desk, "--take")
    assert (found["state"], found["text"]) == ("taken", "bus hut starts anew")


def test_the_page_is_told_that_a_file_has_no_trial(kerbstone: Command, desk: Desk) -> None:
    leave_request(config_spool(), request(desk))
    with answering(desk.run, {"config": STATUS, "config_step": {**STATUS, "trial": "good"}}):
        spooled(kerbstone, desk)
        found = spooled(kerbstone, desk, "--take")
    assert found["text"].startswith("bus hut starts anew; it is the last good configuration")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"base": "b" * 64}, "somebody has changed it meanwhile"),
        ({"text": "[site]\n"}, "the file has errors"),
        ({"text": "[" * 5000}, "the file has errors"),
        ({"confirm_s": 600}, "no daemon runs"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    kerbstone: Command, desk: Desk, words: dict[str, Any], why: str
) -> None:
    leave_request(config_spool(), request(desk, **words))
    found = spooled(kerbstone, desk)
    assert found["state"] == "refused"
    assert why in found["text"]
    assert bool(found["errors"]) == (why == "the file has errors")
    assert desk.file.read_text() == desk.text


def test_root_puts_the_former_file_back_when_the_daemon_says_so(
    kerbstone: Command, desk: Desk
) -> None:
    new = desk.text.replace("0x44", "0x45")
    SiteFile(desk.file).replace(new.encode(), file_digest(desk.text.encode()))
    desk.run.mkdir()
    outcome = ConfigOutcome(digest=file_digest(new.encode()), state="rolled_back", reason="blind")
    (desk.run / OUTCOME_NAME).write_bytes(msgspec.json.encode(outcome))
    kerbstone("config", "spool", "--config", desk.file, "--outcome", desk.run / OUTCOME_NAME)
    assert desk.file.read_text() == desk.text
