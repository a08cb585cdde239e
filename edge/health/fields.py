"""The metrics of the health record: one for each field of `edge/wire/contract/health.py:Health`.

Names of the record have their unit last; those of OpenMetrics have base units, so some values
are scaled. A field that nobody could measure is left out, never 0.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args, get_origin

from msgspec import Meta
from msgspec.structs import FieldInfo, fields

from edge.wire.contract.health import Health, Metric

Kind = Literal["gauge", "counter", "word", "words", "ratios"]

MB_DAY: Final = 1e6 / 86_400  # megabytes (10**6) a day in bytes a second
YEAR_S: Final = 365.25 * 86_400
UNITS: Final = {  # of the record: how its keys end, the unit of the metric, what one of it is there
    "": ("", "", 1.0),
    "s": ("_s", "seconds", 1.0),
    "a": ("_years", "seconds", YEAR_S),
    "B": ("_bytes", "bytes", 1.0),
    "TB": ("_tb", "bytes", 1e12),
    "MB/d": ("_mb_day", "bytes_per_second", MB_DAY),
    "Hz": ("_hz", "hertz", 1.0),
    "Cel": ("", "celsius", 1.0),
    "/": ("_ratio", "ratio", 1.0),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One key of the record; `metric` with `unit` last, times `scale`, is its OpenMetrics form.

    A `word` is one of some, `words` a list of those in `among`, `ratios` a map from devices.
    """

    key: str
    kind: Kind
    help: str
    metric: str
    unit: str
    scale: float
    among: tuple[str, ...]


def metric_field(declared: FieldInfo) -> Field:
    """From `Annotated[TYPE, meaning(...)] | UnsetType`, perhaps with a `Metric`."""
    key = declared.name
    annotated, *_ = get_args(declared.type) or (None,)
    of, *more = get_args(annotated) or (None,)
    meaning = next((each for each in more if isinstance(each, Meta) and each.description), None)
    if meaning is None or meaning.description is None:
        raise ValueError(f"Health.{key}: say what it means, as the other fields do")
    unit = (meaning.extra_json_schema or {}).get("x-unit", "")
    if unit not in UNITS:
        raise ValueError(f"Health.{key}: edge/health/fields.py:UNITS has no {unit!r}; add it")
    end, base, scale = UNITS[unit]
    metric = next((each for each in more if isinstance(each, Metric)), Metric())
    kind, among = _kind(key, of, metric)
    name = metric.name or key.removesuffix(end)
    return Field(
        key=key,
        kind=kind,
        help=metric.help or meaning.description.replace("True while", "1 while"),
        metric=f"{name}_{base}" if base else name,
        unit=base,
        scale=scale,
        among=among,
    )


def _kind(key: str, of: Any, metric: Metric) -> tuple[Kind, tuple[str, ...]]:
    origin = get_origin(of)
    if origin is Literal:
        return "word", get_args(of)
    if origin is list:
        return "words", get_args(get_args(of)[0])
    if origin is dict:
        return "ratios", ()
    if of not in (bool, int, float):
        raise ValueError(f"Health.{key}: {of} is no number, no word of a list, and no map")
    return ("counter" if metric.counts else "gauge"), ()


FIELDS: Final = tuple(map(metric_field, fields(Health)))
