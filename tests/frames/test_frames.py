"""The comparison itself: it finds what is planted, and names what is missing."""

import hashlib
import tarfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chips import dlt645 as dlt645_chip
from drivers.chips import dsmr as dsmr_chip
from drivers.chips import mbus as mbus_chip
from drivers.chips import sml as sml_chip
from edge.core import Bad, Sample, UncertainValue
from edge.core import Reason as Why
from tests.frames import dlt645, dsmr, mbus, modbus, report, run, sml, sources
from tests.frames.literals import literals
from tests.frames.outcome import Case, FrameTally, Outcome, compare
from tests.frames.reasons import Reason, reasons
from tests.frames.sets import FOLDER, HERE, SETS, Set

TRACES = sources.ROOT / "tests" / "drivers" / "traces"
LOCK = sources.ROOT / "requirements" / "dev.txt"
SHORT = [one for one in SETS if one.origin == HERE and not one.parser]
REASON = Reason("known", ("set",), ("frame *",), ("power",), "ours better", "why", "source")


def outcomes(case: Case, *why: Reason) -> dict[str, Outcome]:
    return {one.point: one.outcome for one in compare(case, why)}


# --- one value ----------------------------------------------------------------------------------


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_numbers_are_the_same_or_wrong(mine: float, other: float) -> None:
    found = outcomes(Case("frame", {"power": mine}, {"power": other}))
    near = abs(mine - other) <= 1e-9 * max(abs(mine), abs(other))
    assert found == {"power": Outcome.SAME if near else Outcome.WRONG}


@pytest.mark.parametrize(
    ("ours", "theirs", "want"),
    [
        (-230.0, 230.0, Outcome.WRONG),
        (UncertainValue(1.0, Why.FAULT), 1.0, Outcome.SAME),
        (UncertainValue(2.0, Why.FAULT), 1.0, Outcome.WRONG),
        (Bad(Why.RANGE), 1.0, Outcome.WRONG),
        (1.0, None, Outcome.WRONG),
        (0.0, None, Outcome.WRONG),
        (Bad(Why.RANGE), None, Outcome.SAME),
    ],
)
def test_what_one_gives_and_the_other_not_is_wrong_without_a_reason(
    ours: Sample, theirs: float | None, want: Outcome
) -> None:
    assert outcomes(Case("frame", {"power": ours}, {"power": theirs})) == {"power": want}


def test_a_value_that_only_ours_gives_is_seen() -> None:
    assert outcomes(Case("frame", {"power": 1.0}, {})) == {"power": Outcome.WRONG}


def test_what_is_no_point_of_ours_is_not_tried() -> None:
    assert outcomes(Case("frame", {"power": Bad(Why.ADDRESS)}, {"energy": 5.0})) == {}


def test_a_frame_that_one_refuses_is_wrong_without_a_reason() -> None:
    assert outcomes(Case("frame", "damaged", {"power": 1.0})) == {"power": Outcome.WRONG}
    assert outcomes(Case("frame", "damaged", {})) == {"": Outcome.WRONG}
    assert outcomes(Case("frame", {"power": 1.0}, "damaged")) == {"power": Outcome.WRONG}
    assert outcomes(Case("frame", {"power": Bad(Why.RANGE)}, "damaged")) == {"": Outcome.SAME}
    assert outcomes(Case("frame", "damaged", "damaged")) == {"": Outcome.SAME}


def test_a_frame_that_gives_a_number_when_it_is_cut_is_found() -> None:
    def hasty(frame: bytes) -> dict[str, Sample] | str:
        return {"power": 1.0 if len(frame) > 3 else Bad(Why.RANGE)} if frame else "nothing"

    one, found = replace(SHORT[0], origin=FOLDER, floor=1, name="set"), FrameTally("set")
    found.add(Case("frame", {"power": 1.0}, {"power": 1.0}, raw=b"12345", again=hasty), [])
    assert (found.cuts, found.decoded) == (5, ["frame, the first 4 of 5 bytes"])
    assert "set: 1 frames that were cut give a number" in list(run.faults({one: found}, [], [one]))
    assert not list(run.faults({one: replace(found, decoded=[])}, [], [one]))


def test_a_reason_explains_what_it_names_and_nothing_else() -> None:
    differs = Case("frame 1", {"power": 1.0, "voltage": 1.0}, {"power": 2.0, "voltage": 2.0})
    want = {"power": Outcome.BETTER, "voltage": Outcome.WRONG}
    assert outcomes(differs, REASON) == want
    assert outcomes(replace(differs, frame="other"), REASON)["power"] is Outcome.WRONG
    assert outcomes(differs, replace(REASON, ours=("1",), theirs=("2",))) == want
    assert outcomes(differs, replace(REASON, theirs=("3",)))["power"] is Outcome.WRONG
    assert outcomes(differs, replace(REASON, outcome="refused"))["power"] is Outcome.WRONG
    other = FrameTally("other")
    other.add(differs, [REASON])
    assert other.count(Outcome.WRONG) == 2, "it is of another set"


@pytest.mark.parametrize(
    ("was", "is_now", "text"),
    [
        ('source = "s"', 'source = ""', "a source are needed"),
        ('why = "w"', 'why = ""', "a reason and"),
        ("refused", "fine", "an outcome"),
        ('why = "w"', 'why = "w"\nfram = []', "fram mean nothing"),
    ],
)
def test_a_reason_without_its_source_is_refused(was: str, is_now: str, text: str) -> None:
    row = (
        '[[reason]]\nname = "n"\nsets = []\nframes = []\npoints = []\noutcome = "refused"\n'
        'why = "w"\nsource = "s"\n'
    )
    assert len(reasons(row)) == 1
    with pytest.raises(ValueError, match=text):
        reasons(row.replace(was, is_now))
    with pytest.raises(ValueError, match="one name"):
        reasons(row * 2)


# --- whole sets ---------------------------------------------------------------------------------


def recorded(name: str) -> Iterator[bytes]:
    """What the trace of a driver has from the wire."""
    for case in tomllib.loads((TRACES / f"{name}.toml").read_text("utf-8"))["case"]:
        for turn in case.get("dialogue", ()):
            if decoded := turn.get("reply"):
                yield bytes.fromhex(decoded)
        for heard in case.get("frames", ()):
            yield bytes.fromhex(heard)


def mbus_traces() -> Iterator[Case]:
    for number, frame in enumerate(recorded("mbus")):
        if frame[:1] == b"\x68":
            yield Case(f"mbus {number}", mbus.ours(frame), mbus.pymeterbus(frame))


def sml_traces() -> Iterator[Case]:
    for number, heard in enumerate(recorded("sml")):
        for frame in sml.frames(heard):
            yield Case(f"sml {number}", sml.ours(frame), sml.smllib(frame))


def dsmr_telegram() -> Iterator[Case]:
    body = (
        "/ISK5\\2M550T-1012\r\n\r\n1-0:1.8.1(000156.167*kWh)\r\n1-0:1.8.2(000071.546*kWh)\r\n"
        "1-0:1.7.0(00.519*kW)\r\n1-0:2.7.0(00.000*kW)\r\n!\r\n"
    )
    yield Case(
        "telegram", dsmr.ours(body.encode("ascii"), pushed=False), dsmr.dsmr_parser(body, "V3")
    )


def tally(cases: Iterator[Case]) -> FrameTally:
    found = FrameTally("planted")
    for case in cases:
        found.add(case, [])
    return found


@pytest.mark.parametrize(
    ("cases", "driver"),
    [
        (mbus_traces, mbus_chip),
        (sml_traces, sml_chip),
        (dsmr_telegram, dsmr_chip),
        (dlt645.published, dlt645_chip),
        (dlt645.written, dlt645_chip),
    ],
    ids=["mbus", "sml", "dsmr", "dlt645 published", "dlt645 written"],
)
def test_a_number_that_is_planted_is_found(
    cases: Callable[[], Iterator[Case]], driver: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = tally(cases())
    assert sound.count(Outcome.SAME)
    right = driver.explain

    def planted(frames: list[bytes]) -> Mapping[str, Sample]:
        decoded = right(frames)
        return {k: 1.001 * s if isinstance(s, float) else s for k, s in decoded.items()}

    monkeypatch.setattr(driver, "explain", planted)
    broken = tally(cases())
    same = [one for one in sound.values if one.outcome is Outcome.SAME and one.point]
    changed = [one for one in same if one.ours != "0" and one.ours[-1].isdigit()]
    assert changed
    assert broken.count(Outcome.WRONG) == sound.count(Outcome.WRONG) + len(changed)


@pytest.mark.parametrize(
    ("was", "is_now"),
    [("0x0048", "0x004A"), ('"i32", scale = 0.1 }', '"i32", scale = 0.01 }'),
     ('words = "big"', 'words = "little"'), ("function = 4", "function = 5")],
)  # fmt: skip
def test_a_map_that_differs_is_found(
    was: str, is_now: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = modbus.FILE.read_text("utf-8")
    (tmp_path / "maps.toml").write_text(text.replace(was, is_now))
    sound = tally(modbus.maps("mbmd")).count(Outcome.WRONG)
    monkeypatch.setattr(modbus, "FILE", tmp_path / "maps.toml")
    if "function" in was:  # nothing is answered at all
        with pytest.raises(Exception, match="function"):
            tally(modbus.maps("mbmd"))
    else:
        assert tally(modbus.maps("mbmd")).count(Outcome.WRONG) > sound


@pytest.mark.parametrize("one", SHORT, ids=lambda one: str(one.name))
def test_the_sets_that_are_here_are_the_same(one: Set) -> None:
    found = run.compared(run.Shelf(None), reasons(), [one])
    assert found[one].frames >= one.floor
    assert not found[one].count(Outcome.WRONG), report.wrong(found[one])


def test_the_page_has_the_counts_of_what_is_here_and_every_reason() -> None:
    page = run.DOCUMENT.read_text("utf-8")
    tallies = run.compared(run.Shelf(None), reasons(), SHORT)
    for one, found in tallies.items():
        counts = " | ".join(str(found.count(outcome)) for outcome in Outcome)
        assert f"| {found.frames} | {len(found.values)} | {counts} | {found.cuts} |" in page, (
            report.line(one, found)
        )
    for reason in reasons():
        assert f": {reason.name} |" in page
    for one in SETS:
        assert f"| {one.name} (" in page
    for name, package in sources.packages().items():
        assert f"{name} {package.version}" in page


# --- what is not here ---------------------------------------------------------------------------


def offline(*_: object) -> None:
    raise sources.MissingError("no registry")


def test_a_set_that_is_not_here_is_named_and_nothing_at_all_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sources, "_fetch", offline)
    wanted = [*[one for one in SETS if one.origin != HERE][:3], SHORT[0]]
    found = run.compared(run.Shelf(None, tmp_path), reasons(), wanted)
    said = capsys.readouterr().out
    assert list(found) == [SHORT[0]]
    for one in wanted[:3]:
        assert f"{one.name:24} not here: " in said
    assert "FRAMES=DIR" in said
    assert "no registry" in said
    assert any("no set of a source package" in fault for fault in run.faults(found, [], SETS))


def test_too_few_frames_no_value_and_an_idle_reason_are_faults() -> None:
    one = replace(SHORT[0], origin=FOLDER, floor=2, name="set")
    few = FrameTally("set")
    few.add(Case("frame 1", {"power": 1.0}, {"power": 1.0}), [])
    assert list(run.faults({one: few}, [], [one])) == ["set: 1 frames, at least 2 are wanted"]
    few.add(Case("frame 2", {"power": 1.0}, {"power": 1.0}), [])
    assert list(run.faults({one: few}, [], [one])) == []
    idle = list(run.faults({one: few}, [REASON], [one]))
    assert idle == ["the reason 'known' explains nothing any more: take it out"]
    assert len(list(run.faults({one: few}, [replace(REASON, sets=("sett",))], [one]))) == 1
    few.add(Case("frame 3", {"power": 1.0}, {"power": 1.1}), [])
    assert any("differ without a reason" in fault for fault in run.faults({one: few}, [], [one]))
    empty = FrameTally("set", frames=5)
    assert any("was anything compared" in fault for fault in run.faults({one: empty}, [], [one]))


def shelved(place: Path, **files: bytes) -> Path:
    lines = []
    for name, data in files.items():
        (place / name).write_bytes(data)
        lines.append(f"{hashlib.sha256(data).hexdigest()}  ./{name}\n")
    (place / sources.MANIFEST).write_text("".join(lines))
    return place


def test_a_folder_is_what_its_manifest_says(tmp_path: Path) -> None:
    place = shelved(tmp_path, a=b"1", b=b"22")
    assert sources.folder(place) == {"a": b"1", "b": b"22"}
    (place / "stranger").write_bytes(b"not in the manifest")
    assert "stranger" not in sources.folder(place)
    (place / "b").write_bytes(b"23")
    with pytest.raises(sources.DamagedError, match="b is damaged"):
        sources.folder(place)
    (place / "b").unlink()
    with pytest.raises(sources.DamagedError, match="not there"):
        sources.folder(place)


@pytest.mark.parametrize("text", ["", "\n", "0 a\n", f"{'0' * 64}  ../a\n", f"{'0' * 64}  /a\n"])
def test_a_manifest_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / sources.MANIFEST).write_text(text)
    with pytest.raises(sources.DamagedError):
        sources.folder(tmp_path)


def test_a_folder_without_a_manifest_or_with_damage_ends_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["--frames", str(tmp_path)]) == 1
    assert sources.MANIFEST in capsys.readouterr().err
    place = shelved(tmp_path, a=b"1")
    (place / "a").write_bytes(b"2")
    assert run.main(["--frames", str(place)]) == 1
    assert "is damaged" in capsys.readouterr().err


def test_what_holds_no_frames_is_named_with_its_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cases(files: Mapping[str, bytes]) -> Iterator[Case]:
        yield Case("frame 1", {"power": 1.0}, {"power": 1.0})
        raise ValueError(files["a"].decode())

    monkeypatch.setattr(run, "SETS", [replace(SHORT[0], origin=FOLDER, name="set", cases=cases)])
    assert run.main(["--frames", str(shelved(tmp_path, a=b"nonsense"))]) == 1
    assert "set: after 1 frames: ValueError: nonsense; are these frames" in capsys.readouterr().err


# --- source packages ----------------------------------------------------------------------------

SETUP = "import pathlib\npathlib.Path({mark!r}).write_text('it was run')\nimport no_such_module\n"


def made(place: Path, mark: Path) -> sources.Package:
    """A source package beside this test that tells when it is run."""
    folder = place / "kerbstone_frames_of_nobody-1.0"
    folder.mkdir()
    (folder / "setup.py").write_text(SETUP.format(mark=str(mark)))
    (folder / "frames.py").write_text("FRAME = b'1'\n")
    (folder / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: x\nVersion: 1.0\n")
    archive = place / f"{folder.name}.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    return sources.Package(
        "kerbstone-frames-of-nobody", "1.0", archive.name, sha256, "none", "now", "nothing"
    )


def test_a_source_package_is_fetched_by_its_hash_and_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, mark = tmp_path / "shop", tmp_path / "mark"
    shop.mkdir()
    package = made(shop, mark)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shop))
    files = sources.package(package, tmp_path / "cache")
    assert files["frames.py"] == b"FRAME = b'1'\n"
    assert not mark.exists(), "its setup.py was run"

    other = replace(package, sha256="0" * 64)
    with pytest.raises(sources.DamagedError):
        sources.package(other, tmp_path / "cache2")
    assert not mark.exists(), "another one was run"
    with pytest.raises(sources.MissingError, match="cannot be fetched"):
        sources.package(replace(package, version="2.0", file="no.tar.gz"), tmp_path / "cache2")

    (tmp_path / "cache" / package.file).write_bytes(b"something else")
    with pytest.raises(sources.DamagedError):
        sources.package(package, tmp_path / "cache")


def test_packages_are_those_that_are_installed() -> None:
    lock = LOCK.read_text("utf-8")
    for name in ("pymeterbus", "smllib", "dsmr-parser", "dlt645"):
        one = sources.packages()[name]
        pin = lock.partition(f"\n{name}=={one.version} \\\n")[2]
        assert one.sha256 in "".join(pin.splitlines()[:4]), name


def test_literals_are_read_and_nothing_is_run() -> None:
    source = (
        b"import no_such\nA = 'a' 'b' + 'c'\nB = (b'1' +\n b'2')\nraise SystemExit\nf('x', 3)\n"
    )
    assert list(literals(source)) == [("A", "abc"), ("B", b"12"), ("line 6", "x")]
