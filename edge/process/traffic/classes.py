"""Classes of vehicles by their length, which is all that a pair of loops tells of them.

Source of the limits: FHWA's length-based schemes (Weinblatt, Minge, Petersen, TRR 2339; pooled fund
TPF-5(192)) have motorcycle, short, medium and long, commonly with 6.5, 21.5 and 49 feet. Ours are
the limit within FHWA's motorcycle, and the one within its medium, from which on vehicles are as
long as a bus of one body. So `shortest` and `very_short` together are FHWA's motorcycle, `medium`
and `medium_long` its medium. A name says a length and no kind of vehicle: a lorry of twelve metres
is as long as a bus, and most motorcycles have more than 6.5 feet. These are neither the classes of
TLS 2012 (8+1), which need a signature, nor the thirteen of FHWA, which need axles.
"""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

Classes = tuple[tuple[str, int], ...]
"""(name, upper limit in cm), rising. The last one is open: its limit is not looked at."""

LENGTH_CLASSES: Final[Classes] = (
    ("shortest", 170),
    ("very_short", 198),  # 6.5 ft
    ("short", 655),  # 21.5 ft
    ("medium", 1000),
    ("medium_long", 1494),  # 49 ft
    ("long", 3000),
)


def count_by_class(classes: Classes, lengths: Iterable[int]) -> dict[str, int]:
    """How many of these lengths (cm) are of which class; those with none are left out.

    The names are in the order of the alphabet, so that equal counts are equal bytes.
    """
    limits = [limit for _, limit in classes[:-1]]
    counts = [0] * len(classes)
    for length in lengths:
        counts[bisect_left(limits, length)] += 1
    found = sorted(zip((name for name, _ in classes), counts, strict=True))
    return {name: count for name, count in found if count}


def classes_problem(classes: Classes) -> str | None:
    """Why these are no classes, or None."""
    names, limits = [name for name, _ in classes], [limit for _, limit in classes]
    if not classes or len(set(names)) != len(names) or not all(names):
        return "classes need names, each of them once"
    if limits[0] <= 0 or any(a >= b for a, b in pairwise(limits)):
        return "limits of classes must rise"
    return None
