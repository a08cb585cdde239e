"""Batches of sweeps: every reading, for rigs. Off unless a site asks for it."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from edge.uplink.wire.contract.header import Header
from edge.uplink.wire.contract.terms import Count, WireStruct, meaning

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

    stream: Annotated[Literal["raw"], meaning("The stream.")]
    n: Annotated[Count, meaning("Number of sweeps.")]
    tables: Annotated[
        bytes,
        meaning("zlib over a MessagePack list of Table; MessagePack's own bytes, not Base64."),
    ]
    given_up: (
        Annotated[
            Count,
            meaning(
                "Sweeps before these that were given up: more was read than could be committed."
                " They count in the summaries."
            ),
        ]
        | UnsetType
    ) = UNSET


class Table(WireStruct, kw_only=True):
    """Sweeps of all sources that have the same points."""

    rows: Annotated[Count, meaning("Number of sweeps in it.")]
    points: Annotated[list[str], meaning("Keys of the points.")]
    sources: Annotated[list[str], meaning("Names of the devices.")]
    src: Annotated[Column, meaning("Which of `sources` each row is of, from 0.")]
    t: Annotated[Column, meaning("CLOCK_MONOTONIC of each row.", "us")]
    cols: Annotated[list[Column], meaning("One per point; units stand in `meta`.")]
    q: Annotated[
        list[tuple[Count, list[Count] | None, str]],
        meaning(
            "What is not good: row, numbers of the points (null: all), quality. A value that is bad"
            " is absent, whatever its column holds."
        ),
    ]
