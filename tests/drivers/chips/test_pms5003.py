"""The PMS5003's frames: found in any rubbish, never believed when damaged."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chips.pms5003 import HEAD, SIZE, Pms5003, cut, decode
from drivers.sim.pms5003 import frame
from edge.core import Bad, BusError, Cut, DataError, Doubt, Polled, Reason

VECTORS = Path(__file__).parents[3] / "../shared/facts/vectors.json"
GOOD = frame({"pm1_0": 5, "pm2_5": 8, "pm10": 11, "n0_3": 12.3, "n0_5": 4.1})
ZEROS = frame({})


def drain(data: bytes, step: int = 7) -> list[bytes]:
    """What a port makes of bytes that come a few at a time; never more than it may keep."""
    buffer, found = b"", []
    for at in range(0, len(data), step):
        buffer += data[at : at + step]
        while buffer:
            one, done = cut(buffer)
            assert 0 <= done <= len(buffer)
            if one is not None:
                assert len(one) == SIZE
                assert done >= SIZE
                found.append(one)
            buffer = buffer[done:]
            if not done:
                break
        assert len(buffer) < SIZE
    return found


def test_a_frame_is_found_between_rubbish() -> None:
    assert drain(b"\x00\xff" + GOOD + b"BM\x00" + GOOD + b"\x42") == [GOOD, GOOD]


def test_half_a_frame_does_not_cost_the_next_one() -> None:
    for count in range(1, SIZE):
        assert drain(GOOD[:count] + GOOD)[-1] == GOOD


def test_the_answer_to_a_command_is_passed_over() -> None:
    assert drain(bytes.fromhex("424d0004e1010174") + GOOD) == [GOOD]


@given(st.binary(max_size=300), st.integers(1, 64))
def test_whatever_comes_the_buffer_stays_small_and_a_frame_behind_it_is_found(
    rubbish: bytes, step: int
) -> None:
    found = drain(rubbish + GOOD + GOOD, step)
    assert GOOD in found


@given(st.lists(st.sampled_from([HEAD, HEAD[:1], HEAD[:3], b"\x00", GOOD[:20]]), max_size=40))
def test_beginnings_of_frames_do_not_confuse_it(parts: list[bytes]) -> None:
    assert drain(b"".join(parts) + GOOD + GOOD)[-1] == GOOD


@given(st.binary(max_size=64))
def test_rubbish_is_a_data_error(data: bytes) -> None:
    with pytest.raises(DataError):
        decode(data)


@given(st.binary(min_size=26, max_size=26))
def test_whatever_a_whole_frame_says_stays_within_the_points_ranges(counts: bytes) -> None:
    body = HEAD + counts
    found = decode(body + sum(body).to_bytes(2))
    for point, sample in zip(Pms5003.points, found, strict=True):
        value = sample.value if isinstance(sample, Doubt) else sample
        assert isinstance(value, Bad) or point.low <= float(value) <= point.high


def test_every_flipped_bit_is_noticed() -> None:
    for bit in range(SIZE * 8):
        wrong = bytearray(GOOD)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataError):
            decode(bytes(wrong))


class Talker:
    """A port that gives these frames, then is silent."""

    def __init__(self, *frames: bytes) -> None:
        self.frames = list(frames)

    async def frame(
        self, cut: Cut, timeout_s: float, write: bytes = b"", newest: bool = False
    ) -> bytes:
        assert newest
        assert not write
        if not self.frames:
            raise BusError("nothing came")
        return self.frames.pop(0)


async def test_zeros_and_silence_begin_the_warm_up_anew() -> None:
    talker = Talker(GOOD, GOOD, GOOD, ZEROS, GOOD, GOOD, GOOD)
    device: Polled = Pms5003(talker, settle_reads=2)
    await device.open()
    kinds = []
    for _ in range(7):
        kinds.append((await device.read())[0])
    doubt = Doubt(5, Reason.WARMUP)
    assert kinds == [doubt, doubt, 5, Bad(Reason.WARMUP), doubt, doubt, 5]
    with pytest.raises(BusError):
        await device.read()
    talker.frames += [GOOD]
    assert (await device.read())[0] == doubt


@pytest.mark.parametrize("vector", ["pms5003-captured", "pms5003-captured-2"])
def test_captured_frames_mean_what_others_made_of_them(vector: str) -> None:
    if not VECTORS.exists():
        pytest.skip("the collected vectors are not here")
    found = next(v for v in json.loads(VECTORS.read_text())["vectors"] if v["id"] == vector)
    want = list(found["decoded"].values())
    data = bytes.fromhex(found["raw_hex"])
    assert drain(b"\x42" + data) == [data]
    assert decode(data) == pytest.approx((*want[3:6], *(count / 100 for count in want[6:12])))


def test_a_sensor_that_starts_sends_zeros() -> None:
    assert set(decode(ZEROS)) == {Bad(Reason.WARMUP)}
