"""Numbers in the text format of OpenMetrics 1.0, from a health record.

Source: https://prometheus.io/docs/specs/om/open_metrics_spec/, sections "Text format" and
"ABNF": one family after the other, `_total` behind counters and `_info` behind infos, the unit as
the name's last word, `# EOF` at the end.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from edge.core.printable import printable
from edge.health.fields import FIELDS, Field

CONTENT_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PREFIX: Final = "kerbstone_"
SUFFIX: Final = {"counter": "_total", "gauge": "", "info": "_info"}
NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)

Sample = tuple[Mapping[str, str], float]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with its samples, each with other labels."""

    name: str
    kind: Literal["counter", "gauge", "info"]
    help: str
    samples: Sequence[Sample]
    unit: str = ""


def render(families: Iterable[Family]) -> str:
    """The exposition. Raises ValueError for what the format cannot say, or says twice."""
    lines: list[str] = []
    known: set[str] = set()
    for family in families:
        name = PREFIX + family.name
        if NAME.fullmatch(name) is None or name in known:
            raise ValueError(f"{name!r} is no name of a metric, or is there twice")
        if family.unit and not name.endswith("_" + family.unit):
            raise ValueError(f"{name} does not end with its unit {family.unit}")
        if family.samples:
            known.add(name)
            lines.append(f"# TYPE {name} {family.kind}")
            if family.unit:
                lines.append(f"# UNIT {name} {family.unit}")
            lines.append(f"# HELP {name} {_escaped(family.help)}")
            lines += _samples(name + SUFFIX[family.kind], family.samples)
    return "\n".join([*lines, "# EOF\n"])


def families(body: Mapping[str, Any], about: Mapping[str, str]) -> list[Family]:
    """What a health record says; `about` is who says it (gateway, site, version)."""
    found = [Family("gateway", "info", "Who speaks.", [(about, 1.0)])]
    for field in FIELDS:
        value = body.get(field.key)
        if value is not None:
            found.append(_family(field, value))
    return found


def _family(field: Field, value: Any) -> Family:
    name = field.metric
    match field.kind:
        case "word":
            return Family(name, "info", field.help, [({"word": str(value)}, 1.0)])
        case "words":
            samples: list[Sample] = [({"word": word}, float(word in value)) for word in field.among]
            return Family(name, "gauge", field.help, samples)
        case "ratios":
            samples = [({"device": str(name)}, float(ratio)) for name, ratio in value.items()]
            return Family(name, "gauge", field.help, samples)
        case kind:
            # scaled: 12 digits, so that 86.4 MB a day are 1000 bytes a second
            number = value if field.scale == 1 else float(f"{value * field.scale:.12g}")
            return Family(name, kind, field.help, [({}, number)], field.unit)


def _samples(name: str, samples: Sequence[Sample]) -> list[str]:
    lines = [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
    if len({line.rpartition(" ")[0] for line in lines}) < len(lines):
        raise ValueError(f"{name} has two samples with the same labels")
    return lines


def _labels(labels: Mapping[str, str]) -> str:
    for label in labels:
        if LABEL.fullmatch(label) is None:
            raise ValueError(f"{label!r} is no name of a label")
    label_text = ",".join(f'{label}="{_escaped(value)}"' for label, value in sorted(labels.items()))
    return f"{{{label_text}}}" if label_text else ""


def _escaped(text: str) -> str:
    """Backslash, quote and newline; what cannot be UTF-8 is replaced, what moves a cursor escaped.

    The format has no escape for a carriage return, at which some readers end a line: it is said as
    a newline.
    """
    plain = text.encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n")
    plain = "\n".join(map(printable, plain.replace("\r", "\n").split("\n")))
    return plain.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    whole = int(value) if abs(value) < 2**53 else None
    return str(whole) if whole is not None and whole == value else repr(float(value))
