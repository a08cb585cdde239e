"""What was whole in a log is read, and nothing else, wherever it is cut or a bit of it flips."""

import os
import struct
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.durable.framedlog import AppendedFile, FrameFormat
from tests.kit.power import ProcessKilled
from tests.long import examples

LIMIT = 64
PLAIN, CHECKED = FrameFormat(limit=LIMIT), FrameFormat(limit=LIMIT, checked_length=True)
FORMATS = {"plain": PLAIN, "checked": CHECKED}
HEADS = {"plain": 8, "checked": 12}
formats = pytest.mark.parametrize("name", FORMATS)
bodies = st.lists(st.binary(min_size=1, max_size=LIMIT), max_size=5)


def read(name: str, data: bytes, at: int = 0) -> list[bytes | None]:
    file = BytesIO(data)
    file.seek(at)
    return [frame.body for frame in FORMATS[name].read(file, at)]


def ends(name: str, made: list[bytes]) -> list[int]:
    found, at = [], 0
    for body in made:
        at += HEADS[name] + len(body)
        found.append(at)
    return found


def test_the_bytes_are_those_of_ever() -> None:
    """Written down anew: a stage, or a log of what memory held, may be of the version before."""
    body = b"\x93\x01\x02\x03"
    length, crc = struct.pack("<I", 4), struct.pack("<I", zlib.crc32(body))
    assert PLAIN.pack(body) == length + crc + body
    assert CHECKED.pack(body) == length + struct.pack("<I", zlib.crc32(length)) + crc + body
    assert PLAIN.pack(b"a").hex() == "0100000043beb7e861"
    assert CHECKED.pack(b"a").hex() == "0100000079b8f89943beb7e861"


@formats
@given(made=bodies)
def test_what_was_packed_is_read_with_its_ends(name: str, made: list[bytes]) -> None:
    data = b"".join(map(FORMATS[name].pack, made))
    found = list(FORMATS[name].read(BytesIO(data)))
    assert [frame.body for frame in found] == made
    assert [frame.end for frame in found] == ends(name, made)
    for place, end in enumerate(ends(name, made)):
        assert read(name, data, end) == made[place + 1 :], "reading goes on behind any frame"


@formats
@settings(max_examples=examples(30), deadline=None)
@given(made=bodies)
def test_a_cut_at_any_byte_leaves_what_was_whole(name: str, made: list[bytes]) -> None:
    data = b"".join(map(FORMATS[name].pack, made))
    for cut in range(len(data) + 1):
        whole = sum(end <= cut for end in ends(name, made))
        assert read(name, data[:cut]) == made[:whole], "and a torn tail is no damage"


@formats
@settings(max_examples=examples(15), deadline=None)
@given(made=bodies)
def test_a_bit_that_flips_anywhere_makes_nothing_up(name: str, made: list[bytes]) -> None:
    data = b"".join(map(FORMATS[name].pack, made))
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        found = read(name, bytes(flipped))
        hit = sum(end <= bit // 8 for end in ends(name, made))
        begin = ([0, *ends(name, made)])[hit]
        assert found[:hit] == made[:hit], "what lies before it counts"
        if name == "checked" and bit // 8 - begin >= 8:  # not in its length, nor in that one's sum
            assert found[hit:] == [None, *made[hit + 1 :]]
        elif name == "checked":
            assert found[hit:] == [None]
        else:
            assert found[hit:] in ([None], []), "a length that is too long is as a torn tail"


@formats
@given(data=st.binary(max_size=200))
def test_bytes_of_anybody_are_no_frames(name: str, data: bytes) -> None:
    assert all(body is None for body in read(name, data))


@formats
def test_a_hole_is_no_frame_without_content(name: str) -> None:
    """Zeros where a file was never written: length 0, and the sum of nothing is 0, too."""
    first = FORMATS[name].pack(b"first")
    assert read(name, first + bytes(40)) == [b"first", None]
    assert read(name, first + FORMATS[name].pack(b"") + first) == [b"first", None]


@formats
def test_the_longest_is_read_and_a_longer_one_is_damage(name: str) -> None:
    longest, longer = bytes([1]) * LIMIT, bytes([1]) * (LIMIT + 1)
    assert read(name, FORMATS[name].pack(longest)) == [longest]
    assert read(name, FORMATS[name].pack(longer)) == [None]


def test_one_frame_is_in_memory_at_a_time() -> None:
    file = BytesIO(b"".join(PLAIN.pack(bytes([n]) * LIMIT) for n in range(1, 100)))
    frames = PLAIN.read(file)
    next(frames)
    assert file.tell() == 8 + LIMIT


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_file_grows_by_what_is_appended_and_is_its_owners(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        log = AppendedFile.create(tmp_path / "log")
    finally:
        os.umask(old)
    for n, piece in enumerate((b"one", b"two"), 1):
        log.append(piece)
        assert log.size == 3 * n
        assert (tmp_path / "log").read_bytes() == b"onetwo"[: 3 * n], "a kill would leave it"
    log.close()
    log.close()
    assert mode(tmp_path / "log") == 0o600
    with pytest.raises(OSError):
        log.append(b"three")


def test_what_goes_on_cuts_the_torn_tail_off(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"wholeto")
    log = AppendedFile.resume(path, 5)
    assert log.size == 5
    log.append(b"!")
    log.close()
    assert (path.read_bytes(), log.size) == (b"whole!", 6)


def test_a_piece_that_finds_no_room_is_said_in_the_writers_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, write = AppendedFile.create(tmp_path / "log", "no room for this"), os.write
    log.append(b"one")
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:2]))
    with pytest.raises(OSError, match="no room for this") as raised:
        log.append(b"two")
    assert (raised.value.errno, log.size) == (28, 3)
    log.close()


def test_a_new_one_takes_no_bytes_and_no_link_of_somebody_else(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "log"
    victim.write_bytes(b"theirs")
    path.symlink_to(victim)
    AppendedFile.create(path).close()
    assert (path.read_bytes(), victim.read_bytes()) == (b"", b"theirs")
    path.chmod(0o666)
    path.write_bytes(b"before")
    AppendedFile.create(path).close()
    assert (path.read_bytes(), mode(path)) == (b"", 0o600)


def test_one_that_is_made_anew_is_the_old_one_until_all_of_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, new = tmp_path / "commit.log", tmp_path / "commit.new"
    path.write_bytes(b"old")
    seen, replace = [], os.replace

    def looked(source: Path, target: Path) -> None:
        seen.append((new.read_bytes(), path.read_bytes()))
        replace(source, target)

    monkeypatch.setattr(os, "replace", looked)
    log = AppendedFile.replace(path, new, [b"a", b"bc"])
    log.append(b"d")
    assert seen == [(b"abc", b"old")]
    assert (path.read_bytes(), log.size, new.exists()) == (b"abcd", 4, False)
    log.close()


@pytest.mark.parametrize("at", range(3))
def test_one_that_cannot_be_made_anew_leaves_the_old_one_and_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    path, new = tmp_path / "commit.log", tmp_path / "commit.new"
    path.write_bytes(b"old")
    calls, write = 0, os.write

    def full(fd: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        return 0 if calls > at else write(fd, data)

    opened = len(list(Path("/proc/self/fd").iterdir()))
    with monkeypatch.context() as patch:
        if at < 2:
            patch.setattr(os, "write", full)
        else:
            path.unlink()
            path.mkdir()  # nothing goes in its place
        with pytest.raises(OSError):
            AppendedFile.replace(path, new, [b"a", b"bc"])
    assert path.is_dir() or path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    assert len(list(Path("/proc/self/fd").iterdir())) == opened


def test_a_kill_while_it_is_made_anew_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, new = tmp_path / "commit.log", tmp_path / "commit.new"
    path.write_bytes(b"old")

    def killed(*_: object) -> None:
        raise ProcessKilled

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(ProcessKilled):
            AppendedFile.replace(path, new, [b"a"])
    assert (path.read_bytes(), new.read_bytes()) == (b"old", b"a")
    AppendedFile.replace(path, new, [b"b"]).close()
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"b", [path])
