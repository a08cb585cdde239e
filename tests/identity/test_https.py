"""The same over real TLS, against a small server; what it hears is looked at."""

from pathlib import Path

import pytest

from edge.identity import httpsclient
from edge.identity.statefolder import StateFolder
from tests.identity.city import Answer, EnrolmentCity
from tests.identity.enrolling_box import EnrollingGateway, NappingClock, date
from tests.identity.secret import decoded, forms
from tests.identity.server import server


def boxed(root: Path, city: EnrolmentCity, port: int, number: int = 1) -> EnrollingGateway:
    box = EnrollingGateway(root, city, NappingClock(date(1970)))
    box.ask = httpsclient.https_request
    box.insert(city.claim(number, enrol=f"https://localhost:{port}"))
    return box


def key_of(box: EnrollingGateway) -> bytes:
    bundle = StateFolder(box.state).current()
    assert bundle is not None
    return bundle.key.read_bytes()


@pytest.mark.parametrize("year", [1970, 2040])
def test_two_boxes_enrol_and_their_keys_stay(tmp_path: Path, year: int) -> None:
    city = EnrolmentCity()
    with server(city, tmp_path) as one:
        boxes = [boxed(tmp_path / str(n), city, one.port, n) for n in (1, 2)]
        for box in boxes:
            box.clock.set_wall(date(year))
            assert box.power().run() == "enrolled"
            assert box.wrong() == []
    assert b"Kerbstone-Claim" in one.heard
    assert forms(key_of(boxes[0]))[0] != forms(key_of(boxes[1]))[0]
    for box in boxes:
        public = b"".join(each.read_bytes() for each in box.boot.iterdir())
        for form in forms(key_of(box)):
            assert form not in decoded(one.heard)
            assert form not in decoded(public)


@pytest.mark.parametrize(
    "kind", ["other authority", "other name", "a client's", "expired", "TLS 1.2"]
)
def test_a_wrong_server_hears_nothing(tmp_path: Path, kind: str) -> None:
    class Enough(BaseException):
        pass

    def enough() -> None:
        raise Enough

    city = EnrolmentCity()
    with server(city, tmp_path, kind) as one:
        box = boxed(tmp_path / "box", city, one.port)
        box.clock.then = enough
        with pytest.raises(Enough):
            box.power().run()
        assert one.heard == b""
    assert "the enrolment server" in box.status


@pytest.mark.parametrize("kind", ["redirect", "huge"])
def test_a_redirect_and_a_huge_answer_are_refused(tmp_path: Path, kind: str) -> None:
    city = EnrolmentCity()
    with server(city, tmp_path) as one:
        box = boxed(tmp_path / "box", city, one.port)
        reported = []

        def change(name: str, answer: Answer) -> Answer:
            if box.clock.naps:
                return answer
            if kind == "huge":
                return 200, answer[1], b"A" * (httpsclient.REPLY_LIMIT + 2)
            return 302, {"Location": "https://elsewhere.example/"}, b""

        one.change = change
        box.clock.then = lambda: reported.append(box.status)
        assert box.power().run() == "enrolled"
    assert ("redirect" if kind == "redirect" else "larger") in reported[0]
