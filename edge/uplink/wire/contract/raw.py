"""Batches of sweeps: every reading, for rigs. Off unless a site asks for it."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from edge.uplink.wire.contract.header import Header
from edge.uplink.wire.contract.terms import Count, Part, told

COLUMNS = [
    {"description": "All rows hold this value.", "prefixItems": [{"const": "="}, {}]},
    {
        "description": "Little-endian floats.",
        "prefixItems": [{"enum": ["f4", "f8"]}, {"description": "bytes"}],
    },
    {
        "description": "The first value, then signed differences of 1, 2, 4 or 8 bytes.",
        "prefixItems": [
            {"enum": ["i1", "i2", "i4", "i8"]},
            {"type": "integer"},
            {"description": "bytes"},
        ],
    },
    {"description": "The values.", "prefixItems": [{"const": "*"}, {"type": "array"}]},
]
Column = Annotated[
    list[Any], Meta(min_length=2, max_length=3, extra_json_schema={"anyOf": COLUMNS})
]


class Raw(Header, kw_only=True):
    """All sweeps of a while, as columns. It has no source: the tables name them."""

    stream: Annotated[Literal["raw"], told("The stream.")]
    n: Annotated[Count, told("Number of sweeps.")]
    tables: Annotated[
        bytes,
        told("zlib over a MessagePack list of Table; MessagePack's own bytes, not Base64."),
    ]
    given_up: (
        Annotated[
            Count,
            told(
                "Sweeps before these that were given up: more was read than could be committed."
                " They count in the summaries."
            ),
        ]
        | UnsetType
    ) = UNSET


class Table(Part, kw_only=True):
    """Sweeps of all sources that have the same points."""

    rows: Annotated[Count, told("Number of sweeps in it.")]
    points: Annotated[list[str], told("Keys of the points.")]
    sources: Annotated[list[str], told("Names of the devices.")]
    src: Annotated[Column, told("Which of `sources` each row is of, from 0.")]
    t: Annotated[Column, told("CLOCK_MONOTONIC of each row.", "us")]
    cols: Annotated[list[Column], told("One per point; units stand in `meta`.")]
    q: Annotated[
        list[tuple[Count, list[Count] | None, str]],
        told(
            "What is not good: row, numbers of the points (null: all), quality. A value that is bad"
            " is absent, whatever its column holds."
        ),
    ]
