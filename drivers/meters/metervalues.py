"""From what the registers hold to what the device says: ratios applied, conditions told."""

from collections.abc import Mapping, Sequence

from drivers.meters.registermodel import RegisterMap, SerialField
from edge.core import Bad, Condition, Reason, Sample, UncertainValue


def point_samples(table: RegisterMap, cells: Sequence[Sample | None]) -> list[Sample | None]:
    """The points among what the cells gave. None is what nobody asked for.

    A point whose ratio is bad is bad for the same reason. One whose ratio was not asked for is
    what the meter's own terminals have, and in doubt: calibration.
    """
    found = list(cells[: len(table.registers)])
    if not table.ratios:
        return found
    at = len(found)
    ratios = dict(zip(table.ratios, cells[at : at + len(table.ratios)], strict=True))
    for place, register in enumerate(table.registers):
        if register.times:
            found[place] = _times(found[place], [ratios[name] for name in register.times])
    return found


def _times(sample: Sample | None, ratios: list[Sample | None]) -> Sample | None:
    """In doubt when one of them is."""
    doubts = [one.reason for one in (sample, *ratios) if isinstance(one, UncertainValue)]
    sample, ratios = _point_sample(sample), list(map(_point_sample, ratios))
    if not isinstance(sample, int | float):
        return sample
    product = 1.0
    for ratio in ratios:
        if isinstance(ratio, Bad):
            return ratio
        if isinstance(ratio, int | float):
            product *= ratio
    if None in ratios:
        doubts.append(Reason.CALIBRATION)
    value = float(f"{sample * product:.12g}")
    return UncertainValue(value, doubts[0]) if doubts else value


def _point_sample(sample: Sample | None) -> Sample | None:
    return sample.value if isinstance(sample, UncertainValue) else sample


def meter_conditions(table: RegisterMap, cells: Sequence[Sample | None]) -> Mapping[Condition, str]:
    """What is wrong, in sentences. A sign that could not be read says nothing."""
    pairs = zip(
        table.signs, map(_point_sample, cells[len(cells) - len(table.signs) :]), strict=True
    )
    return {
        sign.condition: sign.says
        for sign, sample in pairs
        if isinstance(sample, int | float) and sample != sign.normal
    }


def meter_serial(where: SerialField, order: str, data: bytes) -> str:
    """A serial number from its registers; "" for one that was never written."""
    if where.type == "text":
        text = data.replace(b"\0", b"").decode("ascii", "replace").strip()
        return text if text.isprintable() and "\ufffd" not in text else ""
    words = [data[at : at + 2] for at in range(0, len(data), 2)]
    number = int.from_bytes(b"".join(words if order == "big" else reversed(words)), "big")
    return "" if number in (0, 2 ** (8 * len(data)) - 1) else str(number)
