"""A wrong byte in what the server says, or in what the card has kept, is never the end.

What the server says is asked for again; of two bundles the one that is whole is used, and it is
said. A fault of the program itself is no success for any unit.
"""

import base64
import configparser
import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.identity import est, httpsclient, identitybundle, keys
from edge.identity.claim import ClaimError, parse_claim
from edge.identity.enrol import DAMAGED_HINT
from edge.identity.enrolstatus import EnrolmentStatus
from edge.identity.floorclock import FloorClock
from edge.identity.httpsclient import HttpsReply, ServerError
from edge.identity.identitybundle import CA, CERT, HOME, KEY
from edge.identity.main import NO_CLAIM, main
from edge.identity.names import comparison_code
from edge.identity.statefolder import CLAIM, PENDING, StateFolder
from tests.identity.city import Answer, EnrolmentCity
from tests.identity.enrolling_box import EnrollingGateway, NappingClock
from tests.long import examples, one_in

UNITS = Path(__file__).parents[2] / "systemd"
RNG = Random(13)
# a later release of cryptography refuses what it only warns of now
pytestmark = [pytest.mark.filterwarnings("ignore:PKCS#7 certificates:UserWarning"),
              pytest.mark.filterwarnings("ignore:Parsed a serial number")]  # fmt: skip


def flipped(data: bytes, step: int = 1) -> Iterator[bytes]:
    """Each byte, or each `step`th: another one in its place."""
    for at in range(RNG.randrange(step), len(data), step):
        yield data[:at] + bytes([data[at] ^ RNG.choice((0x01, 0x20, 0x80, 0xFF))]) + data[at + 1 :]


def answering(status: int, headers: dict[str, str], body: bytes) -> Callable[[str, Answer], Answer]:
    return lambda name, answer: (status, headers, body)


@pytest.fixture
def box(tmp_path: Path) -> EnrollingGateway:
    made = EnrollingGateway(tmp_path, EnrolmentCity())
    made.insert(made.city.claim())
    return made


def test_every_wrong_byte_of_an_answer_is_asked_for_again(box: EnrollingGateway) -> None:
    """One was enough to end with a traceback, for which the unit had no second try."""
    enrolment = box.power()
    enrolment.take()
    data = enrolment.claim_file()
    assert data is not None
    claim, key = parse_claim(data), enrolment.store.next_key(has_tpm=False)
    whole: list[Answer] = []
    box.wire.changed = lambda name, answer: whole.append(answer) or answer  # type: ignore[func-returns-value]
    said = EnrolmentStatus("not enrolled", claim.gateway, comparison_code(key.spki()))
    _, made, _ = enrolment._try(claim, data, key, said, 0)
    assert made is not None
    status, headers, body = whole[0]
    tried = again = 0
    for der in flipped(base64.b64decode(body)):
        wrong = base64.encodebytes(der)
        box.wire.changed = answering(status, headers, wrong)
        reported, made, wait_s = enrolment._try(claim, data, key, said, 0)
        tried += 1
        if made is None:  # else it was a byte of the envelope, and the certificate is whole
            again += 1
            assert wait_s > 0
            assert (reported.waits_for, reported.action) == ("the enrolment server", DAMAGED_HINT)
            assert "certificate" in reported.answer
    for wrong in flipped(body, 4):
        box.wire.changed = answering(status, headers, wrong)
        reported, made, _ = enrolment._try(claim, data, key, said, 0)
        tried += 1
        assert made is not None or reported.action == DAMAGED_HINT
    print(f"{tried} answers with a wrong byte, {again} of the first kind asked for again")
    assert again > 300


def test_a_box_that_gets_damaged_answers_is_enrolled_by_the_first_whole_one(
    box: EnrollingGateway,
) -> None:
    left = 6

    def damaged(name: str, answer: Answer) -> Answer:
        nonlocal left
        if name != "simpleenroll" or not left:
            return answer
        left -= 1
        der = base64.b64decode(answer[2])
        at = len(der) // 2 + left
        wrong = b"\x0d" if der[at] != 0x0D else b"\x0e"
        return answer[0], answer[1], base64.encodebytes(der[:at] + wrong + der[at + 1 :])

    box.wire.changed = damaged
    assert box.power().run() == "enrolled"
    assert left == 0


def test_every_wrong_byte_of_a_renewal_is_trouble_and_another_day(box: EnrollingGateway) -> None:
    assert box.power().run() == "enrolled"
    box.clock.passes(45 * 86_400)
    box.city.now += timedelta(days=45)
    for turn in range(60):

        def damaged(name: str, answer: Answer, turn: int = turn) -> Answer:
            if name != "simplereenroll":
                return answer
            der = base64.b64decode(answer[2])
            at = turn * len(der) // 60
            wrong = der[:at] + bytes([der[at] ^ 0x41]) + der[at + 1 :]
            return answer[0], answer[1], base64.encodebytes(wrong)

        box.wire.changed = damaged
        done = box.renewal().run()
        assert done in ("trouble", "renewed")
        if done == "renewed":  # the envelope's byte: start again from the older one
            store = StateFolder(box.state)
            current = store.current()
            assert current is not None
            assert store.fall_back(current, lambda older: True) is not None


@pytest.fixture
def two(box: EnrollingGateway) -> EnrollingGateway:
    """It has renewed its certificate, and no broker has seen the new one: both bundles are there"""
    assert box.power().run() == "enrolled"
    box.clock.passes(45 * 86_400)
    box.city.now += timedelta(days=45)
    assert box.renewal().run() == "renewed"
    assert StateFolder(box.state).numbers() == {1, 2}
    return box


@one_in(2)
@pytest.mark.parametrize("name", [CERT, KEY, CA, HOME])
def test_any_wrong_byte_of_a_bundle_leaves_the_other_one(two: EnrollingGateway, name: str) -> None:
    """No exception, whatever byte it is; and what is used is whole."""
    path, store = two.state / "bundle-2" / name, StateFolder(two.state)
    whole, tried, other = path.read_bytes(), 0, 0
    for data in flipped(whole, 2):
        path.write_bytes(data)
        tried += 1
        if store.current() is not None:  # a byte that says nothing: it is good all the same
            assert store.damaged() == ""
            continue
        other += 1
        assert "bundle-2" in store.damaged()
        found = store.whole()
        assert found is not None
        assert found.folder.name == "bundle-1"
    print(f"{name}: {tried} wrong bytes, {other} times the other bundle")
    assert other > tried / 3 or name in (HOME, CA)


@pytest.mark.parametrize("name", [CERT, KEY, CA])
def test_status_and_renew_go_to_the_other_bundle_and_say_so(
    two: EnrollingGateway, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = two.state / "bundle-2" / name
    whole = path.read_bytes()
    seen = 0
    for data in flipped(whole, len(whole) // 12):
        path.write_bytes(data)
        if StateFolder(two.state).current() is not None:
            continue
        seen += 1
        capsys.readouterr()
        code = main(["status", "--state", str(two.state), "--boot", str(two.boot)])
        said = capsys.readouterr().out
        assert code == 1
        assert "bundle-2 cannot be used" in said
        assert "bundle-1, until" in said
        assert "Traceback" not in said
        two.wire.changed = lambda wanted, answer: (503, {}, b"") if wanted != "config" else answer
        assert two.renewal().run() in ("trouble", "fine")
        current = StateFolder(two.state).current()
        assert current is not None
        assert current.folder.name == "bundle-1"
        assert "bundle-2" in two.status or "waits for" in two.status
        path.write_bytes(whole)
        (two.state / "current").unlink()
        (two.state / "current").symlink_to("bundle-2")
    assert seen >= 3


def test_with_no_other_bundle_it_is_said_what_to_do(
    box: EnrollingGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    assert box.power().run() == "enrolled"
    (box.state / "bundle-1" / CERT).write_bytes(b"")
    assert main(["status", "--state", str(box.state), "--boot", str(box.boot)]) == 1
    assert capsys.readouterr().out == (
        "bundle-1 cannot be used: damaged, or the key is elsewhere\nno identity\n"
    )
    assert box.renewal().run() == "not enrolled"
    assert "bundle-1 cannot be used" in box.status
    assert "write a new claim" in box.status


@settings(deadline=None, max_examples=examples(20))
@given(st.integers(0, 10**6), st.integers(1, 255), st.sampled_from([PENDING, CLAIM, "next.key"]))
def test_any_wrong_byte_of_what_waits_is_no_end_either(at: int, flip: int, name: str) -> None:
    """The claim's copy, the key of the next certificate, the time waited."""
    with TemporaryDirectory() as folder:
        box = EnrollingGateway(Path(folder), EnrolmentCity(approves=False))
        box.insert(box.city.claim())
        box.clock.then = lambda: setattr(box.city, "approves", box.clock.now_s > 40)
        enrolment = box.power()
        enrolment.take()
        data = enrolment.claim_file()
        assert data is not None
        enrolment.store.next_key(has_tpm=False)
        enrolment.store.put(PENDING, b'{"claim":"%s","waited_s":7,"tries":3}' % (b"0" * 16))
        path = box.state / name
        held = bytearray(path.read_bytes())
        held[at % len(held)] ^= flip
        path.write_bytes(held)
        assert box.power().run() == "enrolled"


@pytest.mark.parametrize("waited", ["1e400", "-5", "1" * 400, "null", "\udcff"])
def test_a_time_waited_that_cannot_be_is_none(box: EnrollingGateway, waited: str) -> None:
    data = f'{{"claim":"{"0" * 15}1","waited_s":{waited}}}'.encode("utf-8", "surrogateescape")
    (box.state / PENDING).write_bytes(data)
    assert StateFolder(box.state).pending("0" * 15 + "1").waited_s == 0
    assert box.power().run() == "enrolled"


@given(
    st.integers(100, 599),
    st.binary(max_size=60),
    st.dictionaries(st.sampled_from(["content-type", "retry-after"]), st.text(max_size=30)),
)
def test_any_answer_is_a_certificate_patience_a_refusal_or_another_try(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    try:
        found: object = est._answer(HttpsReply(status, headers, body))
    except ServerError as error:
        found = error
    assert isinstance(found, est.EstIssued | est.EstWait | est.EstDenied) or str(found)


@settings(deadline=None)
@given(
    st.text(max_size=40)
    | st.builds(
        "{}, {} {} {} {}:{}:{} {}".format,
        st.sampled_from(["Mon", "Xyz"]),
        st.integers(0, 40),
        st.sampled_from(["Jan", "Nov", "Foo"]),
        st.integers(0, 12_000),
        st.integers(0, 30),
        st.integers(0, 70),
        st.integers(0, 70),
        st.sampled_from(["GMT", "+0000", "+99999999999999999999", "-9999", ""]),
    )
)
def test_any_date_of_a_server_leaves_a_time_to_plan_by(text: str) -> None:
    with TemporaryDirectory() as folder:
        watch = FloorClock(NappingClock(known=False), Path(folder))
        httpsclient._date(text, watch)
        watch.wait(4000)
        about = watch.estimate()
        assert about is None or about < datetime(9000, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "enrol", ["https://[", "https://localhost:8x43", "https://:1", "", "\udcff"]
)
def test_an_address_that_is_none_is_asked_another_time(two: EnrollingGateway, enrol: str) -> None:
    found = StateFolder(two.state).current()
    assert found is not None
    home = identitybundle.EnrolmentTarget(
        gateway="gw-0001", site="s17", enrol=enrol, label="kerbstone", operator=""
    )
    with pytest.raises(ServerError):
        httpsclient.https_request(
            httpsclient.HttpsRequest(home, found.ca, "cacerts"), FloorClock(two.clock, two.state)
        )


@given(
    st.binary(max_size=200)
    | st.builds(lambda at, flip: flip_pem(at, flip), st.integers(0, 10**6), st.integers(1, 255))
)
def test_any_bytes_are_a_key_or_a_no_key_error(data: bytes) -> None:
    with contextlib.suppress(keys.NoKeyError):
        keys.parse_key(data).spki()


PEM = keys.make_key(has_tpm=False).pem


def flip_pem(at: int, flip: int) -> bytes:
    data = bytearray(PEM)
    data[at % len(data)] ^= flip
    return bytes(data)


@given(
    st.binary(max_size=300)
    | st.builds(lambda at, flip: flip_claim(at, flip), st.integers(0, 10**6), st.integers(1, 255))
)
@settings(deadline=None)
def test_any_bytes_are_a_claim_or_a_claim_error(data: bytes) -> None:
    with contextlib.suppress(ClaimError):
        parse_claim(data)


CLAIMED = EnrolmentCity().claim()


def flip_claim(at: int, flip: int) -> bytes:
    data = bytearray(CLAIMED)
    data[at % len(data)] ^= flip
    return bytes(data)


# -- what the units take for success -----------------------------------------------------------


def service(name: str) -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNITS / name)
    return dict(parser["Service"])


@pytest.mark.parametrize("path", sorted(UNITS.glob("*.service")), ids=lambda path: str(path.name))
def test_no_unit_takes_a_traceback_for_success(path: Path) -> None:
    """Python ends with 1 when nobody caught it."""
    unit = service(path.name)
    assert "1" not in unit.get("SuccessExitStatus", "").split()
    assert "1" not in unit.get("RestartPreventExitStatus", "").split()


def test_no_claim_is_a_success_that_is_not_tried_again() -> None:
    unit = service("kerbstone-enrol.service")
    assert unit["SuccessExitStatus"].split() == [str(NO_CLAIM)]
    assert unit["RestartPreventExitStatus"].split() == ["2", str(NO_CLAIM)]
    assert unit["Restart"] == "on-failure"


def test_a_card_that_is_full_is_tried_again(
    box: EnrollingGateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edge.durable.atomicwrite.write_file", full)
    words = ["--state", str(box.state), "--boot", str(box.boot)]
    for verb in ("take", "run"):
        assert main([verb, *words]) == 3, "2 would be the last word of the unit"
        assert "No space left" in capsys.readouterr().err


def test_a_fault_of_the_program_ends_with_1(tmp_path: Path) -> None:
    """A real process: `ours` is broken in it, and it does not end as if there were no claim."""
    code = (
        "import sys, edge.identity.statefolder as s\n"
        "def broken(self): raise RuntimeError('a fault of ours')\n"
        "s.StateFolder.remove_leftovers = broken\n"
        "from edge.identity.main import main\n"
        "sys.exit(main(['run', '--state', sys.argv[1], '--boot', sys.argv[1]]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=UNITS.parent, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"RuntimeError: a fault of ours" in done.stderr
