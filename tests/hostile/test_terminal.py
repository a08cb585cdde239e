"""Whoever writes a text that an operator reads writes in that operator's terminal: not here.

Each verb gets a stranger's text in each field that it shows. Its output then holds no control
character but its own newlines, and no line that the stranger has begun.
"""

import argparse
import base64
import contextlib
import io
import json
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.broker.rabbitmq import gateways
from drivers.scan.found import Findings, FoundDevice
from edge.acquire.clock import SystemClock
from edge.cli import check, decode, provision_common, scan, status, subscribe
from edge.cli.ingestrun import IngestRun
from edge.cli.main import main
from edge.core import Stream
from edge.diagnose import tomlsnippet
from edge.diagnose.scanning import ScanJob
from edge.health.fields import FIELDS
from edge.health.openmetrics import families, render
from edge.identity.claim import ClaimError, parse_claim
from edge.identity.enrolstatus import EnrolmentStatus, status_line, status_page
from edge.identity.est import _problem_text
from edge.identity.httpsclient import HttpsReply
from edge.platform.auditor import Auditor
from edge.platform.openstore import open_store
from edge.platform.receivedrecord import RefusedMessage
from edge.platform.subscription import ArrivedMessage
from edge.terminal import echo
from edge.wire import WireError, encode
from tests.cli.test_status import FINE
from tests.kit.broker import Mosquitto
from tests.kit.platform import COMMAND
from tests.kit.records import GW, TOPICS, entry, envelope, record
from tests.long import examples

INVENTED = "9999 records: complete"
SEEDS = "\x1b\x07\x08\n\r\t\v\f\x00\x7f\x85\x9b\u200b\u202e\u2028\u2029\u2066\ufeff\ud800"
TEXT = st.text(st.one_of(st.sampled_from(SEEDS), st.characters()), max_size=30)
EVIL = st.builds(
    "{}{}{}{}{}".format, TEXT, st.sampled_from(["\n", "\r", "\r\n", "\x85", "\u2028", "\v", ""]),
    st.just(INVENTED), st.sampled_from(["\n", "\r", "\x1b[1A", ""]), TEXT,
)  # fmt: skip
QUICK = settings(max_examples=examples(40), deadline=None,
                 suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
EVENT = {"event": "drop", "reason": "full", "class": "low", "ranges": [[1, 2]], "stream_of": "air",
         "text": "two numbers", "state": "on", "by": "rule", "point": "x"}  # fmt: skip


def said_by(call: Callable[[], object]) -> list[str]:
    """The lines that it writes, checked."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        call()
    return checked(out.getvalue())


def checked(text: str) -> list[str]:
    assert text == "" or text.endswith("\n")
    lines = text.split("\n")[:-1]
    for each in lines:
        assert each.isprintable(), each
        assert not each.startswith(INVENTED), each
    text.encode("utf-8")
    return lines


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], bool]]:
    """Where a text may be put: instead of each text and beside each number, and as each key."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        yield (*path, key), False
        if isinstance(value, dict):
            yield (*path, key), True
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


def poisoned(value: Any, path: tuple[Any, ...], as_key: bool, evil: Any) -> Any:
    made = deepcopy(value)
    here = made
    for key in path[:-1]:
        here = here[key]
    if as_key:
        here[evil] = here.pop(path[-1])
    else:
        here[path[-1]] = evil
    return made


def payload(stream: Stream = Stream.EVENT, body: Any = EVENT) -> dict[str, Any]:
    made = record(1, stream=stream, body={**body, "covered_s": 60.0})
    found = json.loads(encode(made, envelope(made), GW, "json").data)
    assert isinstance(found, dict)
    return found


BODIES = [
    payload(),
    payload(body={"event": "congestion", "state": "on", "reason": "speed", "text": "slow"}),
    payload(body={"event": "start", "reason": "power", "text": "x"}),
    payload(Stream.AIR, {"points": {"pm10": {"mean": 1.0, "unit": "ug"}}}),
    payload(Stream.HEALTH, {"alarms": ["hot"], "queue_rows": 3}),
    payload(Stream.MANIFEST, {"stream_of": "air", "count": 0, "former": {"last": {"air": 4}}}),
]


@QUICK
@given(EVIL, st.sampled_from(BODIES), st.data(), st.booleans(), st.booleans())
def test_subscribe(evil: str, body: Any, data: st.DataObject, as_json: bool, audits: bool) -> None:
    args = argparse.Namespace(
        json=as_json, for_s=None, idle_s=None, prefix="kerbstone/v1", expect=[], dropped=False
    )
    listener = subscribe._SubscriberRun(args, Auditor() if audits else None)
    path, as_key = data.draw(st.sampled_from(list(places(body))))
    sent = json.dumps(poisoned(body, path, as_key, evil)).encode()
    stream, source = str(body["stream"]), str(body["source"])
    topic = TOPICS.record(Stream(stream), source)

    def taken(topic: str, sent: bytes) -> list[str]:
        return said_by(
            lambda: listener._take(ArrivedMessage(topic, sent, "application/json", False))
        )

    assert len(taken(topic, sent)) <= 1
    assert len(taken(topic.replace(GW, evil), sent)) <= 1, "the topic"
    assert len(taken(evil, sent)) <= 1
    assert len(taken(f"kerbstone/v1/stadt/{evil}/up/status", b'{"v":1,"state":"online"}')) <= 1
    assert len(taken(topic, evil.encode("utf-8", "surrogatepass"))) <= 1, "no JSON at all"
    assert len(said_by(lambda: listener._lost(evil))) == 1, "the broker's reason"
    verdict = said_by(listener.verdict)
    assert not audits or len(verdict) >= 1
    args.dropped = True
    watch = subscribe._SubscriberRun(args, None)
    count = ArrivedMessage(evil, evil.encode("utf-8", "surrogatepass"), None, True)
    assert len(said_by(lambda: watch._take(count))) <= 1, "no count at all"


@settings(QUICK, max_examples=examples(15))
@given(EVIL, st.sampled_from(BODIES), st.data(), st.sampled_from(["store.db", "store.jsonl"]))
def test_audit(evil: str, body: Any, data: st.DataObject, kind: str) -> None:
    path, as_key = data.draw(st.sampled_from(list(places(body))))
    sent = poisoned(body, path, as_key, evil)
    with TemporaryDirectory() as name:
        file = Path(name, kind)
        store = open_store(file, write=True)
        good = entry(record(2))
        entries = [entry(record(n)) for n in (2, 5)]
        with contextlib.suppress(WireError, ValueError):  # what cannot be stored is not audited
            made = record(1, stream=Stream(body["stream"]), body=sent)
            entries.append(entry(made, encoding="json"))
        store.commit(
            entries, [RefusedMessage("undecodable", "", evil, evil, 3, b"abc", good.received)]
        )
        store.close()
        for more in ([], ["--json"], ["--day", "2026-11-25"]):
            lines = said_by(partial(main, ["audit", "--store", str(file), *more]))
            assert lines
        assert len(said_by(lambda: main(["audit", "--store", str(file), "--gateway", evil]))) <= 3


@QUICK
@given(EVIL)
def test_receipts(evil: str) -> None:
    ours = IngestRun(argparse.Namespace(json=False, verb="receipts"), SystemClock())
    assert len(said_by(lambda: ours.report(f"undecodable: {evil}: {evil}"))) == 1
    assert len(said_by(ours.verdict)) == 1


@QUICK
@given(EVIL, st.data(), st.booleans())
def test_status(evil: str, data: st.DataObject, as_json: bool) -> None:
    """A sheet wraps its lines; what goes on is indented, and a part's name is ours."""
    ill = deepcopy(FINE)
    ill["problems"] = {"air": "no answer"}
    ill["box"]["alarms"] = {"hot": "too hot"}
    ill["devices"]["hut_air"] |= {"state": "silent", "text": "no answer", "errors": 9,
                                  "health": {"fan": "worn"}, "serial": "4711"}  # fmt: skip
    ill["link"] |= {"failure": "refused", "connected": False}
    ill["outbox"]["in_memory"] = "the card is read-only"
    said = {"cause": "no answer", "remedy": "look", "severity": "fault", "told": False}
    ill["issues"] = [{"kind": "device_fails", "about": "hut_air", "for_s": 90.0, **said}]
    texts = [(path, key) for path, key in places(ill) if key or isinstance(at(ill, path), str)]
    path, as_key = data.draw(st.sampled_from(texts))
    args = argparse.Namespace(json=as_json)
    lines = said_by(lambda: status._print_status(args, poisoned(ill, path, as_key, evil)))
    if as_json:
        assert len(lines) == 1
        return
    assert lines[0].startswith("ATTENTION: " if path[-1] != "issues" else "OK: ")
    names = {"to do", "link", "outbox", "clock", "buses", "board", "card", "models", "wires"}
    assert all(row[:10].strip() in names | {""} for row in lines[1:]), lines


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


@QUICK
@given(EVIL, st.sampled_from(["key", "table", "value", "driver", "site"]))
def test_check(evil: str, where: str) -> None:
    quoted = json.dumps(evil.encode("utf-8", "replace").decode()).replace("\x7f", "\\u007f")
    text = {
        "key": f"[site]\n{quoted} = 1\n",
        "table": f"[{quoted}]\nx = 1\n",
        "value": f"[site]\nid = {quoted}\ngateway = 'gw-1'\n",
        "driver": f"[bus.a]\nkind = 'i2c'\n[device.x]\nbus = 'a'\ndriver = {quoted}\n",
        "site": evil.encode("utf-8", "replace").decode(),
    }[where]
    with TemporaryDirectory() as name:
        file = Path(name, "site.toml")
        file.write_text(text, encoding="utf-8", newline="")
        for as_json in (False, True):
            args = argparse.Namespace(file=file, json=as_json)
            lines = said_by(partial(check.run, args))
            assert as_json or all(each.startswith(str(file)) for each in lines)


@QUICK
@given(EVIL)
def test_the_small_verbs(evil: str) -> None:
    args = argparse.Namespace(json=False)
    words = argparse.Namespace(driver=evil, frames=["00"])
    assert len(said_by(lambda: decode.run(words))) == 1
    hexa = argparse.Namespace(driver="sht4x", frames=[evil])
    assert len(said_by(lambda: decode.run(hexa))) == 1
    assert (
        len(said_by(lambda: provision_common.print_result(args, {}, f"box {evil}", f"at {evil}")))
        == 2
    )
    assert len(said_by(lambda: provision_common.print_line(evil, 1))) == 1
    for verb in (["status"], ["outbox"], ["read", "x"], ["doctor"], ["replay", "--edges", "x"]):
        name = evil.replace("\x00", "")
        lines = said_by(partial(main, [*verb, "--config", f"/nowhere{name}"]))
        assert len(lines) == 1, verb


@QUICK
@given(EVIL)
def test_what_is_found_on_a_wire_begins_no_line_of_a_site_file(evil: str) -> None:
    """A device's identity stands in the tables that `scan` gives to be pasted."""
    text = tomlsnippet.render_tables(
        [
            tomlsnippet.SnippetBus(
                {"kind": "i2c", "path": evil}, [tomlsnippet.SnippetDevice("sht4x", {}, evil)]
            )
        ]
    )
    assert len(said_by(lambda: echo(*text.split("\n"), fold=False))) == 9
    if "\ud800" not in evil:  # TOML has no way to say it
        assert tomllib.loads(text)["bus"]["i2c"]["path"] == evil
    found = Findings([FoundDevice("sht4x", evil)], [evil], [evil])
    one = ScanJob(evil, "i2c", 1.0, found, refused=evil)
    lines = said_by(lambda: echo(*scan._comment_lines(one)))
    assert len(lines) == 5
    assert all(line.startswith("#") for line in lines)


@QUICK
@given(EVIL)
def test_what_a_technician_reads_on_the_card(evil: str) -> None:
    """The status file and the console. A claim is anybody's until its signature was looked at."""
    said = EnrolmentStatus("not enrolled", evil, evil, None, evil, 1.0, evil, evil)
    assert len(checked(status_page(said))) == 7
    checked(status_line(said) + "\n")
    problem = json.dumps({"detail": evil}).encode()
    checked(f"refused (400): {_problem_text(HttpsReply(400, {}, problem))}\n")
    name = json.dumps(evil.encode("utf-8", "replace").decode()).replace("\x7f", "\\u007f")
    claim = f'{name} = 1\nsignature = "{base64.b64encode(bytes(64)).decode()}"\n'
    with pytest.raises(ClaimError) as error:
        parse_claim(claim.encode())
    assert (
        len(checked(status_page(EnrolmentStatus("not commissioned", answer=str(error.value))))) == 2
    )


@QUICK
@given(EVIL)
def test_metrics(evil: str) -> None:
    kinds = {"gauge": 1.5, "counter": 2, "word": evil, "words": [], "ratios": {evil: 0.5}}
    text = render(families({f.key: kinds[f.kind] for f in FIELDS}, {"gateway": evil}))
    checked(text)


@QUICK
@given(st.text(st.characters(codec="utf-8", exclude_characters="#"), min_size=1, max_size=9))
def test_a_list_of_gateways_for_rabbitmq(evil: str) -> None:
    """It comes from a pipe, and quotes what it cannot use."""
    with TemporaryDirectory() as folder:
        names = Path(folder, "names")
        for text in (f"gw-\x1b[2J{evil}", f"\x9b1A{INVENTED}"):
            name = "".join(text.split()) or "x"
            names.write_text(f"{name} a\n{name} b\n", encoding="utf-8")
            lines = said_by(lambda: gateways.main(["--names", str(names)]))
            assert len(lines) == 1


def test_a_gateway_cannot_write_in_the_terminal_of_the_city(tmp_path: Path) -> None:
    """Through a real broker and the real commands, with what the issue shows: an invented line."""
    evil = f"x\n{INVENTED}\x1b[2J\x9b1A\u202e"
    broker = Mosquitto(tmp_path).start()
    verbs = (["subscribe"], ["subscribe", "--check"], ["subscribe", "--json"],
             ["receipts", "--store", str(tmp_path / "city.db")])  # fmt: skip
    with contextlib.ExitStack() as stack:
        stack.callback(broker.stop)
        cities = []
        for verb in verbs:  # all of them listen at the same time
            words = [*COMMAND, *verb, "--broker", broker.url, "--idle", "5"]
            city = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            cities.append(stack.enter_context(city))
        firsts = []
        for city in cities:
            assert city.stdout is not None
            firsts.append(city.stdout.readline())
        assert all(b"listening" in first for first in firsts), firsts
        for topic, body in hostile(evil):
            publish = ["mosquitto_pub", "-p", broker.url.rpartition(":")[2], "-q", "1",
                       "-t", topic, "-s"]  # fmt: skip
            subprocess.run(publish, input=body, check=True)
        for city, first in zip(cities, firsts, strict=True):
            assert city.stdout is not None
            rest = city.stdout.read()
            lines = checked((first + rest).decode())
            assert len(lines) >= 2
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", rest.decode())
        audited = subprocess.run([*COMMAND, "audit", "--store", str(tmp_path / "city.db")],
                                 capture_output=True, check=False)  # fmt: skip
        checked((audited.stdout + audited.stderr).decode())


def hostile(evil: str) -> Iterator[tuple[str, bytes]]:
    topic = TOPICS.record(Stream.EVENT, "hut")
    for key in ("text", "reason", "event", "state"):
        yield topic, json.dumps({**payload(), "source": "hut", key: evil}).encode()
    yield topic, b"\x1b[2J\n" + INVENTED.encode()
    yield topic.replace("hut", f"{INVENTED}\u202e"), json.dumps(payload()).encode()
    yield TOPICS.record(Stream.AIR, "hut").replace(GW, INVENTED), b"{}"


def test_the_picture_of_a_replay_is_no_script(tmp_path: Path) -> None:
    """A page is read by a browser: a name there is text, too."""
    from edge.report import plot

    heading = plot.Heading("</title><script>alert(1)</script>", None)
    for ending in (".html", ".svg"):
        assert "<script>alert" not in plot.draw_page(plot.PlotData(60 * 10**9), heading, ending)
