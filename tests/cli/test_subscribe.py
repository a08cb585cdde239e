"""`kerbstone subscribe`: what it refuses before it connects. The rest is in tests/platform."""

from pathlib import Path

import pytest

from tests.kit.broker import free_port
from tests.kit.command import Command

UP = "kerbstone/v1/test/gw-1/up"
CANNOT = {
    f"{UP}/traffic/north_1": f"{UP.rsplit('/', 1)[0]}",
    f"{UP}/traffic/+": "/up/traffic/#",
    f"{UP}/traffic": "/up/traffic/#",
    f"{UP}/+": "/up/#",
    f"{UP}/+/north_1": "/up/#",
    f"{UP}/last/#": "numbered",
    f"{UP}/last/north_1": "numbered",
    f"{UP}/status": "numbered",
    f"{UP}/meta": "numbered",
    f"$share/city/{UP}/#": "shared",
    "kerbstone/v1/test/gw-1/down/#": "/up/#",
    "kerbstone/v1/+/+/up": "/up/#",
    "kerbstone/v1/test/gw-1": "/up/#",
}


@pytest.fixture
def nobody() -> str:
    """A URL at which nobody listens."""
    return f"mqtt://127.0.0.1:{free_port()}"


@pytest.mark.parametrize("topic", CANNOT)
def test_a_filter_that_cannot_be_checked_is_refused(
    kerbstone: Command, nobody: str, topic: str
) -> None:
    said = kerbstone("subscribe", "--broker", nobody, "--check", "--filter", topic, "--for", "2")
    assert said.code == 2
    assert said.out == ""
    assert topic in said.err
    assert CANNOT[topic] in said.err


@pytest.mark.parametrize(
    "words",
    [
        ["--check"],
        ["--check", "--filter", f"{UP}/#"],
        ["--check", "--filter", f"{UP}/traffic/#"],
        ["--check", "--filter", "kerbstone/v1/+/+/up/#"],
        ["--check", "--filter", "#"],
        ["--filter", f"{UP}/traffic/north_1"],  # without --check anything may be looked at
        ["--json"],
    ],
)
def test_other_filters_are_tried_and_nobody_there_is_exit_3(
    kerbstone: Command, nobody: str, words: list[str]
) -> None:
    said = kerbstone("subscribe", "--broker", nobody, *words)
    assert said.code == 3
    assert nobody in said.err


@pytest.mark.parametrize(
    "url", ["localhost", "http://x:1883", "mqtt://", "mqtt://x:notaport", "mqtt://u:p@x", ""]
)
def test_a_url_that_is_none_is_exit_2(kerbstone: Command, url: str) -> None:
    said = kerbstone("subscribe", "--broker", url, "--for", "1")
    assert said.code == 2
    assert "mqtt" in said.err or "username" in said.err


def test_a_password_file_that_is_not_there_is_exit_2_or_3(
    kerbstone: Command, nobody: str, tmp_path: Path
) -> None:
    said = kerbstone(
        "subscribe", "--broker", nobody, "--username", "x", "--password-file", tmp_path / "none"
    )
    assert said.code in (2, 3)
    assert "none" in said.err


def test_the_broker_is_required(kerbstone: Command) -> None:
    said = kerbstone("subscribe", "--json")
    assert said.code == 2
    assert "--broker" in said.err


@pytest.mark.parametrize("name", ["", "a/b/c", "gw 1", "#", "quay/"])
def test_an_expected_gateway_that_can_be_none_is_exit_2(
    kerbstone: Command, nobody: str, name: str
) -> None:
    said = kerbstone("subscribe", "--broker", nobody, "--expect", name)
    assert said.code == 2
    assert "--expect" in said.err
