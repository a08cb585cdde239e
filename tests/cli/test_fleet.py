"""`kerbstone fleet`: what it refuses. The rest is in tests/fleet."""

import time
from pathlib import Path

import pytest

from edge.cli.fleet import plan_fleet
from edge.cli.main import whole_parser
from edge.fleet.boxrecords import gateway_names
from tests.kit.broker import free_port
from tests.kit.command import Command

URL = f"mqtt://127.0.0.1:{free_port()}"  # nobody listens there


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--gateways", "0"], "1 to 20000"),
        (["--gateways", "x"], "1 to 20000"),
        (["--first", "gw"], "end it with a number"),
        (["--first", "gw/1"], "cannot be part of a topic"),
        (["--site", "a+b"], "cannot be part of a topic"),
        (["--lanes", "49"], "1 to 48"),
        (["--speed", "0"], "too little"),
        (["--rate", "nan"], "no number"),
        (["--speed", "2", "--rate", "3"], "not allowed with"),
        (["--for", "-1"], "no number"),
        (["--confirm", "nobody"], "invalid choice"),
        (["--ledger", "there/is/none/x.jsonl"], "no such folder"),
        (["--cert", "none.pem"], "certificates need --broker mqtts://"),
        (["--broker", "mqtts://localhost", "--cert", "none-{gw}.pem"], "No such file"),
        (["--password-file", "none"], "none"),
        (["--client-id", "x"], "unrecognized"),
    ],
)
def test_what_cannot_be_is_exit_2(kerbstone: Command, words: list[str], why: str) -> None:
    said = kerbstone("fleet", "--broker", URL, "--gateways", "2", "--for", "1", *words)
    assert said.code == 2
    assert why in said.err


def test_a_file_that_is_no_ledger_is_exit_2_and_left_alone(
    kerbstone: Command, tmp_path: Path
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("{}\n")
    said = kerbstone("fleet", "--broker", URL, "--gateways", "2", "--ledger", path)
    assert said.code == 2
    assert "line 1" in said.err
    assert path.read_text() == "{}\n"


@pytest.mark.parametrize("url", ["localhost", "http://x:1883", "mqtt://", ""])
def test_a_url_that_is_none_is_exit_2(kerbstone: Command, url: str) -> None:
    assert kerbstone("fleet", "--broker", url, "--gateways", "1").code == 2


@pytest.mark.parametrize(
    "words",
    [
        ["--for", "600"],
        ["--for", "60", "--speed", "60"],
        ["--for", "60", "--rate", "1000", "--backlog", "20"],
        ["--records", "10000", "--speed", "600"],
        ["--records", "10000", "--for", "10", "--speed", "600", "--backlog", "5"],
        ["--speed", "0.5", "--for", "600"],
    ],
)
def test_no_record_is_dated_in_the_future(words: list[str]) -> None:
    args = whole_parser().parse_args(["fleet", "--broker", URL, "--gateways", "10", *words])
    now = time.time() / 60
    plan = plan_fleet(args, list(gateway_names("gw-1", 10)), 1, {})
    made, ended = plan.first_minute + plan.backlog, int(args.for_s or 1e9)
    assert made <= now
    for minute in range(min(plan.minutes or 10**9, int(ended / plan.minute_s)) + 1):
        first_s = max(0.0, minute * plan.minute_s - plan.spread_s)
        assert made + minute <= now + first_s / 60
