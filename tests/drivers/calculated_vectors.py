"""Vectors that are no conversation: what is calculated from their numbers, and must come out."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest

from drivers.chips import _shdlc
from drivers.chips._ads1115 import volts
from drivers.chips.bme280 import Bme280Trim, decode, fine_temperature, parse_trim
from drivers.sim import bme280
from edge.process.aan803 import AlphasenseCell, coefficient, compensate, corrected_mv, without_no2
from edge.process.engine import PulseSetup
from edge.process.traffic.histogram import SPEED_BINS, HistogramCounts
from edge.process.traffic.passage import Passage, SpeedTrap, measure_passage
from tests.kit.engine import MINUTE, SINGLE, body, engine, found, presences
from tests.kit.vectors import frame

Numbers = Mapping[str, Any]
FOOT_MM: Final = 304.8
IRIS_LOOP_MM: Final = 1829  # 6 ft; its rules do not depend on it
KMH_PER_MPH: Final = 1.609344


def near(value: float, **more: Any) -> Any:
    return pytest.approx(value, **more)


# -- air -------------------------------------------------------------------------------------------


def _no2(given: Numbers, want: Numbers) -> None:
    zeros = given["WEe_mV"], given["AEe_mV"], 0, 0
    one = AlphasenseCell("NO2-A43F", *zeros, given["sens_mV_per_ppb"])
    reported = given["WEu_mV"] / 1000, given["AEu_mV"] / 1000, given["T_c"]
    assert corrected_mv(one, *reported) == near(want["WEc_mV"])
    assert compensate(one, *reported) == near(want["ppb"], abs=5e-5)


def _factor(given: Numbers, want: Numbers) -> None:
    one = AlphasenseCell("NO2-A43F", 0, 0, 0, 0, 1)
    assert coefficient(one, given["temperature_c"]) == near(want["nT"])


def _ozone(given: Numbers, want: Numbers) -> None:
    cell = given["OX_WEc_mV"], given["sens_o3_mV_per_ppb"]
    no2 = given["no2_ppb"], given["no2_cross_sens_mV_per_ppb"]
    assert without_no2(*cell, *no2) == near(want["o3_ppb"], abs=5e-5)


def _packing(given: Numbers, want: Numbers) -> None:
    reported = parse_trim(b"\x01" * 26 + bytes.fromhex(given["block_e1_hex"]))._asdict()
    assert {key: reported[key.lower()] for key in want} == want


def _bosch(given: Numbers, want: Numbers) -> None:
    trim = Bme280Trim(*given["T"], *given["P"], *given.get("H", bme280.H))
    said = [given["adc_P"] << 4, given["adc_T"] << 4, given.get("adc_H", 0x8000)]
    sizes = (3, 3, 2)
    data = b"".join(value.to_bytes(size) for value, size in zip(said, sizes, strict=True))
    temperature, humidity, pressure = decode(trim, data)
    assert temperature == near(want["temperature_c"], abs=0.003)
    assert pressure == near(want.get("pressure_pa") or 100 * want["pressure_hpa"], abs=0.005)
    if "humidity_pct" in want:
        assert humidity == near(want["humidity_pct"], abs=1e-6)
    if "t_fine" in want:
        assert int(fine_temperature(trim, given["adc_T"])) == want["t_fine"]


def _volts(given: Numbers, want: Numbers) -> None:
    assert volts(int(given["raw_hex"], 16), given["fsr_v"]) == near(want["volts"], rel=1e-4)


def _stuffed(_: Numbers, want: Numbers) -> None:
    whole = frame("shdlc-byte-stuffing")
    assert _shdlc.parse_response(whole).data.hex() == want["data_hex"]
    assert _shdlc.byte_stuff(bytes.fromhex(want["unstuffed_hex"])) == whole[1:-1]


# -- pulses and traffic ----------------------------------------------------------------------------


def _pulses(given: Numbers, want: Numbers) -> None:
    every_s = given["interval_s"]
    count = round(60 / every_s)
    made = engine(PulseSetup("heat", given["imp_per_kwh"]))
    times = ((at * every_s, at * every_s + 0.03) for at in range(count))
    made.contacts([*found("heat"), *presences("heat", *times)])
    reported = body(made.close(MINUTE), "heat")["points"]
    assert reported["power"]["max"] == want["power_w"]
    assert reported["energy_import"]["delta"] == near(count * want["energy_per_pulse_wh"] / 1000)


def _trapped(given: Numbers) -> Passage | None:
    sizes = given["spacing_leading_to_leading_m"], given["loop_length_m"]
    edges = (given[key] for key in ("loop1_on_s", "loop1_off_s", "loop2_on_s", "loop2_off_s"))
    return measure_passage(
        SpeedTrap(*(round(1000 * size) for size in sizes)), *(round(e * 1e9) for e in edges)
    )


def _constant(given: Numbers, want: Numbers) -> None:
    reported = _trapped(given)
    assert reported is not None
    assert reported.speed == round(10 * want["speed_kmh"]) == round(10 * want["speed_trailing_kmh"])
    assert reported.length == round(100 * want["length_m"])


def _accelerating(given: Numbers, want: Numbers) -> None:
    reported = _trapped(given)
    assert reported is not None
    between = 2 / (1 / want["speed_lead_kmh"] + 1 / want["speed_trail_kmh"])  # of the times
    assert reported.speed == round(10 * between)


def _reverse(given: Numbers, want: Numbers) -> None:
    assert want["speed_kmh"] < 0
    assert _trapped(given) is None


def _iris(given: Numbers, want: Numbers) -> None:
    edges = []
    for one in (given["upstream_ms"], given["downstream_ms"]):
        edges += [one["start"] * 1_000_000, (one["start"] + one["dur"]) * 1_000_000]
    reported = measure_passage(
        SpeedTrap(round(given["spacing_ft"] * FOOT_MM), IRIS_LOOP_MM), *edges
    )
    mph = 0 if reported is None else round(reported.speed / 10 / KMH_PER_MPH)
    assert mph == want["speed_mph"]


def _straddle(given: Numbers, want: Numbers) -> None:
    length_ns = round(given["interval_s"] * 1e9)
    times = [at for _, at in given["edges"]]
    made = engine(SINGLE)
    made.contacts(found("east_1.lead"))
    made.contacts(presences("east_1.lead", *zip(times[::2], times[1::2], strict=True)))
    for number in (0, 1):
        reported = body(made.close((number + 1) * length_ns), "east_1")
        asked = want[f"interval_{number}"]
        assert reported["volume"] == asked["count_by_rising_edge"]
        assert reported["occupancy"] == near(asked["occupancy"], abs=5e-5)


def _means(given: Numbers, want: Numbers) -> None:
    histogram = HistogramCounts(SPEED_BINS)
    for kmh in given["speeds_kmh"]:
        histogram.add(round(10 * kmh), round(3.6e9 / kmh))
    reported = histogram.speeds()
    assert reported.mean == near(want["time_mean"], abs=5e-3)
    assert reported.harmonic == near(want["space_mean_harmonic"], abs=5e-3)


CALCULATED: Final[dict[str, Callable[[Numbers, Numbers], None]]] = {
    "aan803-no2a4-alg1": _no2,
    **{f"aan803-no2a4-nT-{t}": _factor for t in ("-30", "-40", "25", "27.5", "50", "60")},
    "aan803-ox-minus-no2": _ozone,
    "bme280-h4h5-packing": _packing,
    "bme280-pimoroni-calibration": _bosch,
    "bmp280-datasheet-example": _bosch,
    **{f"ads1115-conv-{name}": _volts for name in ("0b00-4.096", "8000-4.096", "ffff-0.256")},
    "shdlc-byte-stuffing": _stuffed,
    **{f"s0-{name}": _pulses for name in ("1000-3.6", "10000-0.36", "2000-1.8")},
    **{f"trap-{name}": _constant for name in ("car-120", "car-50", "moto-50", "truck-80")},
    "trap-accelerating": _accelerating,
    "trap-wrong-way": _reverse,
    **{f"speed-pair-{n}": _iris for n in ("ok", "duration-mismatch", "spacing-too-small")},
    "interval-straddle": _straddle,
    "space-mean-speed": _means,
}
