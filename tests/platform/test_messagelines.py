"""Lines for people: an event is told once, not twice."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.printable import printable
from edge.demo.display import RED, DemoDisplay, _coloured, _folded
from edge.platform.messagelines import Descriptions, _span, _stream_text, event_text, message_line
from edge.wire import JSON, DecodedMessage, decode

BY = "model congestion 1.0.0"
JAM = f"Congestion on north: p 0.93 (decided by the {BY})."
ENDED = f"The congestion on north has ended (decided by the {BY})."
MOVES = f"Traffic on north moves again (decided by the {BY})."


def event(**body: object) -> DecodedMessage:
    record = {
        "v": 1, "gw": "gw-1", "epoch": 7, "stream": "event", "seq": 3, "source": "north",
        "boot": 1, "from": "2026-11-25T01:00:00.000Z", "to": "2026-11-25T01:00:00.000Z",
        "tq": "ntp", "mono": [5, 5], **body,
    }  # fmt: skip
    topic = "kerbstone/v1/s/gw-1/up/event/north"
    (found,) = decode(topic, json.dumps(record).encode(), JSON)
    return found


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"event": "congestion", "state": "on", "by": BY, "text": JAM}, JAM),
        ({"event": "congestion", "state": "off", "by": BY, "text": ENDED}, ENDED),
        ({"event": "congestion", "state": "off", "by": BY, "text": MOVES},
         f"congestion off: {MOVES}"),
        ({"event": "sensor_fault", "state": "on", "text": "hut_air: silent"},
         "sensor_fault on: hut_air: silent"),
        ({"event": "sensor_fault", "text": "A sensor fault."}, "A sensor fault."),
        ({"event": "drop", "text": "3 air records are lost."}, "drop: 3 air records are lost."),
        ({"event": "congestion", "state": "on"}, "congestion on"),
        ({"event": "clock"}, "clock"),
        ({"event": "congestion", "state": "on", "reason": "a queue stands", "by": BY, "text": JAM},
         f"{JAM} Seen: a queue stands."),
        ({"event": "congestion", "state": "on", "reason": "p 0.93", "by": BY, "text": JAM}, JAM),
        ({"event": "incident", "state": "on", "upstream": "hill", "downstream": "bridge",
          "text": "The road from hill to bridge may be blocked."},
         "incident on: The road from hill to bridge may be blocked."),
        ({"event": "overstay", "state": "off", "text": "bakery: the vehicle left."},
         "overstay off: bakery: the vehicle left."),
    ],
)  # fmt: skip
def test_kind_and_state_stand_where_the_text_does_not_say_them(
    body: dict[str, object], says: str
) -> None:
    assert event_text(body) == says
    assert message_line(event(**body)) == f"2026-11-25T01:00:00.000Z gw-1 event/3 north: {says}"


def test_the_demos_table_says_a_flag_once_and_a_raised_one_in_red() -> None:
    board = DemoDisplay("demo")
    board.take(event(event="congestion", state="on", by=BY, text=JAM))
    board.take(event(event="congestion", state="off", by=BY, text=ENDED))
    on, off = board.rows()[-3:-1]
    assert (on, off) == (f"  01:00:00 ! {JAM}", f"  01:00:00   {ENDED}")
    assert _coloured(on).startswith(RED)
    assert _coloured(off) == off


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"event": "start", "reason": "first", "text": "This is the first start."},
         "start (first): This is the first start."),
        ({"event": "gap", "gap": [5_000_000, 5_024_000], "boot_before": 1, "text": "It started."},
         "gap of 24 ms: It started."),
        ({"event": "gap", "gap": [None, 9], "boot_before": None, "text": "Nothing before."},
         "gap: Nothing before."),
        ({"event": "gap", "gap": [9, 1], "boot_before": 0, "text": "Off."}, "gap: Off."),
        ({"event": "gap", "gap": [9, 1], "boot_before": 1, "text": "Back."}, "gap: Back."),
        ({"event": "gap", "gap": [9, 9], "boot_before": 1, "text": ""}, "gap of 0 ms"),
        ({"event": "board", "condition": "hot"}, "hot"),
        ({"event": "board", "condition": "disk_full", "state": "on", "text": "Only 3 MiB."},
         "disk full on: Only 3 MiB."),
    ],
)  # fmt: skip
def test_events_of_the_box_say_what_they_are(body: dict[str, object], says: str) -> None:
    assert message_line(event(**body)).endswith(f" north: {says}")


LANE = {"volume": 5, "occupancy": 0.125, "health": "ok"}
BAY = {"bay": "bakery", "occupied": 1, "since_s": 460.0, "occupancy": 1.0, "health": "ok"}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (LANE | {"speed": {"mean": 43.2}}, "5 vehicles, occupied 12.5%, 43.2 km/h"),
        (LANE | {"speed": {"n": 4, "mean": 43.2, "estimated": 2}},
         "5 vehicles, occupied 12.5%, 43.2 km/h"),
        (LANE | {"speed": {"n": 5, "mean": 43.2, "estimated": 3}},
         "5 vehicles, occupied 12.5%, about 43 km/h"),
        (LANE | {"volume": 1, "speed": None, "speed_single": {"kmh": 47.6}},
         "1 vehicle, occupied 12.5%, about 48 km/h"),
        (LANE | {"stopped": 2, "queue_us": 7_400_000, "signal": {"split_failures": 1}},
         "5 vehicles, occupied 12.5%, 2 stopped, a queue for 7 s, 1 split failure"),
        (LANE | {"volume": 0, "stopped": 0, "p_congested_15": 0.5, "speed": {"mean": True}},
         "0 vehicles, occupied 12.5%, congested in 15 min: 0.50"),
        (LANE | {"p_congested_15": 0.49, "volume": 1e12, "counted_by": "both", "loops": 7,
                 "speed": 7, "speed_single": {"kmh": float("nan")}},
         "vehicles not known, occupied 12.5%"),
        (LANE | {"counted_by": "both"}, "5 vehicles by both loops, occupied 12.5%"),
        (BAY | {"since_s": 119.4, "occupancy": None, "departures": 2},
         "occupied for 119 s, 2 departures"),
        (BAY | {"since_s": 120, "occupancy": None}, "occupied for 2 min"),
        (BAY | {"since_s": None, "occupancy": None}, "occupied"),
        (LANE | {"p_congested": 0.2, "p_congested_15": 0.61},
         "5 vehicles, occupied 12.5%, congested in 15 min: 0.61"),
        ({"volume": None, "occupancy": None, "health": "stuck_on",
          "loops": {"lead": {"score": 0.9, "fault": "stuck_on"},
                    "trail": {"score": 0.4, "fault": None}}},
         "vehicles not known, occupied -, lead loop doubted (stuck_on), trail loop doubted,"
         " stuck_on"),
        (LANE | {"counted_by": "trail", "health": "stuck_off"},
         "5 vehicles by the trail loop, occupied 12.5%, stuck_off"),
        (BAY | {"arrivals": 0, "overstays": 1},
         "occupied for 8 min, 100.0% of the time, 1 overstay"),
        (BAY | {"occupied": 0, "since_s": None, "occupancy": 0.5, "arrivals": 2, "departures": 1},
         "free, 50.0% of the time, 2 arrivals, 1 departure"),
        (BAY | {"occupied": None, "since_s": None, "occupancy": None, "health": "unobserved"},
         "not known whether it is free, unobserved"),
    ],
)  # fmt: skip
def test_lanes_and_bays_say_what_a_person_looks_for(body: dict[str, object], says: str) -> None:
    assert _stream_text("bay" if "bay" in body else "traffic", body) == says


def test_the_demos_table_has_a_row_for_a_bay() -> None:
    board = DemoDisplay("demo")
    header = {"v": 1, "gw": "gw-1", "epoch": 7, "stream": "bay", "source": "bakery", "boot": 1,
              "from": "2026-11-25T01:00:00.000Z", "to": "2026-11-25T01:01:00.000Z", "tq": "ntp",
              "mono": [0, 60]}  # fmt: skip
    for seq, arrivals in ((1, 1), (2, 0)):
        body = {**header, **BAY, "seq": seq, "arrivals": arrivals, "overstays": 0}
        topic = "kerbstone/v1/s/gw-1/up/bay/bakery"
        [found] = decode(topic, json.dumps(body).encode(), JSON)
        board.take(found)
    [head, row] = [text for text in board.rows() if text.startswith(("BAY", "bakery"))]
    assert row.split() == ["bakery", "0", "1", "100.0%", "occupied", "7.7", "0"]
    assert len(head) == len(row)
    assert _coloured(head) != head


def test_a_long_sentence_is_folded_in_its_colour() -> None:
    row = "  01:00:00 ! " + "a road that is full " * 8
    folded = _folded(row, 60).split("\n")
    assert [text[:13] for text in folded] == ["  01:00:00 ! ", *[" " * 13] * (len(folded) - 1)]
    assert max(map(len, folded)) <= 60
    assert " ".join("".join(folded).split()) == " ".join(row.split())
    assert _coloured(row, "\n".join(folded)).startswith(RED)
    table = "north_1" + " " * 80
    assert _folded(table, 60) == table


MANIFEST = {"stream_of": "air", "epoch_of": 7, "first": 1, "last": 45, "count": 45,
            "seqs": [[1, 45, 1]], "sha256": "00"}  # fmt: skip


@pytest.mark.parametrize(
    ("stream", "body", "says"),
    [
        ("manifest", MANIFEST, "manifest of air: 45 records, 1 to 45"),
        ("manifest", MANIFEST | {"sig": "AA==", "seqs": [[1, 3, 1], [5, 45, 1]]},
         "manifest of air: 45 records, 1 to 45 with holes, signed"),
        ("manifest", MANIFEST | {"count": 1, "last": 1, "seqs": [[1, 1, 1]]},
         "manifest of air: 1 record, 1 to 1"),
        ("manifest", MANIFEST | {"count": 0, "last": 0, "seqs": [], "stream_of": "manifest",
                                 "former": {"epoch": 6, "last": {"air": 3, "event": 9}}},
         "first manifest of this start; the previous one ended with air 3, event 9"),
        ("health", {"alarms": [], "uptime_s": 7300, "queue_rows": 3, "dropped": 0},
         "no alarm, up 2 h, 3 records wait, 0 lost"),
        ("health", {"alarms": ["hot", "memory"], "cpu_temperature": 81.2},
         "alarms: hot, memory, 81 degrees"),
        ("health", {"reads": 4}, "no values"),
        ("health", {"alarms": None, "uptime_s": float(1 << 63), "dropped": -(1 << 63),
                    "flash_written_mb_day": 7.4, "queue_rows": "3"}, "7 MB a day written"),
        ("manifest", MANIFEST | {"count": 0, "former": {"epoch": 6, "last": {}}},
         "first manifest of this start; how the previous one ended is not known"),
        ("manifest", MANIFEST | {"count": 0, "former": {"last": 7}, "sig": "x"},
         "first manifest of this start; the previous one ended with -, signed"),
        ("manifest", MANIFEST | {"count": 0, "seqs": 7}, "manifest of air: 0 records, 1 to 45"),
        ("raw", {"n": 3, "sweeps": [1]}, "3 sweeps"),
        ("air", {"points": {"a": {"mean": 1.5}, "b": {"delta": 2}, "c": {}, "d": 7,
                            "e": {"mean": None, "delta": 0}, "f": {}, "g": {}}},
         "a 1.5, b +2, c -, d, e +0, f -, g -"),
        ("bay", {"a": 1, "b": 2, "c": 3, "d": 4}, "b=2, c=3, d=4"),
        ("traffic", {"points": {"a": {}}}, "points={'a': {}}"),
    ],
)  # fmt: skip
def test_manifests_and_health_are_said_in_words(
    stream: str, body: dict[str, object], says: str
) -> None:
    assert _stream_text(stream, body) == says


@given(
    st.sampled_from(["manifest", "health", "traffic", "bay", "air", "event", "raw"]),
    st.dictionaries(
        st.sampled_from(["event", "gap", "boot", "boot_before", "reason", "condition", "stream_of",
                         "count", "first", "last", "seqs", "former", "sig", "alarms", "uptime_s",
                         "dropped", "text", "volume", "points", "occupancy", "speed", "signal",
                         "speed_single", "stopped", "queue_us", "loops", "health", "bay",
                         "occupied", "since_s", "arrivals", "p_congested_15"]),
        st.none() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=5)
        | st.lists(st.integers() | st.none(), max_size=3)
        | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    ),
)  # fmt: skip
def test_whatever_a_record_holds_it_has_a_line(stream: str, body: dict[str, object]) -> None:
    assert isinstance(_stream_text(stream, body), str)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"ok": True}, "done"),
        ({"ok": False, "error": "epoch 1 is over"}, "refused: epoch 1 is over"),
    ],
)
def test_an_answer_to_a_command_has_a_line(answer: dict[str, object], says: str) -> None:
    data = {"v": 1, "gw": "gw-1", "id": "a", "verb": "resend", **answer}
    (found,) = decode("kerbstone/v1/s/gw-1/up/answer/resend", json.dumps(data).encode(), JSON)
    assert message_line(found) == f"gw-1 answers resend: {says}"


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (0.9994, "999 ms"), (1, "1 s"), (119.4, "119 s"), (120, "2 min"), (7199, "120 min"),
        (7200, "2 h"), (172_799, "48 h"), (172_800, "2 days"), (864_000, "10 days"),
    ],
)  # fmt: skip
def test_a_span_is_said_in_the_unit_that_fits(seconds: float, says: str) -> None:
    assert _span(seconds) == says


def test_marks_and_other_kinds_of_messages_have_a_line() -> None:
    text = message_line(event(event="clock", backfilled=True, redelivered=True, text=""))
    assert text == "2026-11-25T01:00:00.000Z gw-1 event/3 north: clock backfilled redelivered"
    for kind, data, says in (
        ("status", {"state": "online"}, "gw-1 status online"),
        ("meta", {}, "gw-1 meta"),
    ):
        payload = json.dumps({"v": 1, "gw": "gw-1", **data}).encode()
        (found,) = decode(f"kerbstone/v1/s/gw-1/up/{kind}", payload, JSON)
        assert message_line(found) == says
    record = {**event(event="clock", text="").data}
    topic = "kerbstone/v1/s/gw-1/up/last/north"
    (found,) = decode(topic, json.dumps(record).encode(), JSON)
    assert message_line(found) == "2026-11-25T01:00:00.000Z gw-1 event/3 north (last): clock"


def test_what_no_number_of_ours_can_be_is_no_span() -> None:
    gap = {"event": "gap", "boot": 1, "boot_before": 1}
    assert event_text(gap | {"gap": [0, 1 << 63]}) == "gap"
    assert (
        event_text(gap | {"gap": [1, 1 << 63]}) == f"gap of {((1 << 63) - 1) / 86_400e6:.0f} days"
    )


@pytest.mark.parametrize(
    ("point", "shown"),
    [
        ({"mean": 20.0, "grade": "uncertain", "quality": {"uncertain:calibration": 60}},
         "x 20.0 uncertain:calibration"),
        ({"mean": 20.0, "quality": {"good": 59, "uncertain:gap": 1}}, "x 20.0"),
        ({"mean": None, "quality": {"bad:range": 60}}, "x - bad:range"),
        ({"last": None, "delta": None, "quality": {"bad:fault": 1}}, "x - bad:fault"),
        ({"last": 5, "delta": 1, "quality": {"uncertain:calibration": 1}},
         "x 5 (+1) uncertain:calibration"),
        ({"last": 5, "delta": 1, "quality": {"good": 1, "uncertain:gap": 1}}, "x 5 (+1)"),
        ({"mean": None, "quality": ["bad:range"]}, "x -"),
    ],
)  # fmt: skip
def test_a_value_that_is_not_good_says_why(point: dict[str, object], shown: str) -> None:
    assert _stream_text("air", {"points": {"x": point}}) == shown


def test_points_have_the_units_that_their_gateway_has_described_and_none_is_left_out() -> None:
    def message(kind: str, gw: str, source: str, **data: object) -> DecodedMessage:
        place = replace(event().topic, kind=kind, gw=gw, source=source)
        return replace(event(), topic=place, data={**event().data, **data})

    points = {"pm2_5": {"unit": "ug/m3"}, "index": {"unit": "1"}, "energy": {"unit": "kWh"}, "x": 7}
    units = Descriptions()
    units.take(message("meta", "gw-1", "", devices={"hut": {"points": points}, "bad": 7}))
    units.take(message("status", "gw-2", "", devices={"hut": {"points": points}}))
    body = {
        "stream": "air",
        "points": {
            "pm2_5": {"mean": 9.5}, "index": {"mean": 3}, "energy": {"last": 812.5, "delta": 0.5},
            **{f"p{n}": {"mean": n} for n in range(12)},
        },
    }  # fmt: skip
    record = message("record", "gw-1", "hut", **body)
    line = message_line(record, units.units(record))
    assert "pm2_5 9.5 ug/m3, index 3, energy 812.5 kWh (+0.5), p0 0" in line
    assert line.endswith(", p8 8, and 3 more")
    for other in (message("record", "gw-2", "hut", **body), message("record", "gw-1", "y", **body)):
        assert "pm2_5 9.5, index 3, energy 812.5 (+0.5)" in message_line(other, units.units(other))


def test_a_pulse_meter_has_its_units_and_a_percent_sign_needs_no_quotes() -> None:
    def record(gw: str, source: str, stream: str, points: dict[str, object]) -> DecodedMessage:
        place = replace(event().topic, kind="record", gw=gw, source=source)
        body = {key: value for key, value in event().data.items() if key != "event"}
        return replace(event(), topic=place, data={**body, "stream": stream, "points": points})

    told = Descriptions()
    place = replace(event().topic, kind="meta", gw="gw-1", source="")
    hut = {"points": {"humidity": {"unit": "%RH"}, "odd": {"unit": "a b"}}}
    told.take(replace(event(), topic=place, data={"devices": {"hut": hut}}))
    pulses: dict[str, object] = {"energy_import": {"last": 3.615, "delta": 0.015},
                                 "power": {"mean": 900.0}}  # fmt: skip
    charger = record("gw-1", "charger", "energy", pulses)
    said = message_line(charger, told.units(charger))
    assert said.endswith(": energy_import 3.615 kWh (+0.015), power 900.0 W")
    air = record("gw-1", "hut", "air", {"humidity": {"mean": 40.5}, "odd": {"mean": 1}})
    assert message_line(air, told.units(air)).endswith(': humidity 40.5 %RH, odd 1 "a b"')
    other = record("gw-2", "charger", "energy", pulses)  # nobody has described it
    assert told.units(other) == {}


def test_a_source_has_the_name_that_its_gateway_has_described() -> None:
    def message(kind: str, gw: str, source: str, **data: object) -> DecodedMessage:
        place = replace(event().topic, kind=kind, gw=gw, source=source)
        return replace(event(), topic=place, data={**event().data, **data})

    told = Descriptions()
    meta = message(
        "meta", "gw-1", "", site="south", site_name="Ampel Süd 3 / شارع", devices={},
        names={"north_1": "Nordstraße 1", "odd": 7, "both": "the lane"},
        approaches={"north": {"name": "Nordstraße"}, "both": {"name": "the approach"}, "bad": 7},
    )  # fmt: skip
    told.take(meta)
    told.take(message("meta", "gw-3", "", devices={}, names=[1], approaches=7))
    assert message_line(meta) == "gw-1 meta south (Ampel Süd 3 / شارع)"
    assert message_line(message("meta", "gw-1", "", site="south", devices={})) == "gw-1 meta"

    def line(gw: str, source: str) -> str:
        one = message("record", gw, source, event="clock")
        return message_line(one, told.units(one), told.names(one)).split(" ", 1)[1]

    assert line("gw-1", "north_1") == "gw-1 event/3 north_1 (Nordstraße 1): clock"
    assert line("gw-1", "north") == "gw-1 event/3 north (Nordstraße): clock"
    assert line("gw-1", "both") == "gw-1 event/3 both (the lane): clock"
    assert line("gw-1", "odd") == "gw-1 event/3 odd: clock"
    for gw in ("gw-2", "gw-3"):  # of an older version, and one that says nonsense
        assert line(gw, "north_1") == f"{gw} event/3 north_1: clock"


def test_a_hostile_name_is_one_short_piece_of_a_line() -> None:
    told = Descriptions()
    place = replace(event().topic, kind="meta", gw="gw-1", source="")
    for name in ("\x1b[2J\n2026 gw-2 event/1: fine", "\u202egnorw", "x" * 1_000_000):
        names = {f"s{n}": name for n in range(1500)}
        told.take(replace(event(), topic=place, data={"devices": {}, "names": names}))
        one = replace(event(), topic=replace(event().topic, source="s7"))
        line = message_line(one, {}, told.names(one))
        assert line == printable(line)
        assert len(line) < 200
        assert len(told.names(one)) <= 1000
        assert sum(map(len, told.names(one).values())) <= 1000 * 2 * 64
