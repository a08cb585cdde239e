"""Batches of sweeps: every reading, for rigs. Off unless a site asks for it."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from edge.wire.contract.body import RecordBody
from edge.wire.contract.terms import Count, WireStruct, meaning

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


class Raw(RecordBody, kw_only=True):
    """All sweeps of a period, as columns. It has no source: the tables name the sources."""

    n: Annotated[Count, meaning("Number of sweeps.")]
    tables: Annotated[
        bytes,
        meaning("zlib over a MessagePack list of Table, as MessagePack type bin, not Base64."),
    ]
    given_up: (
        Annotated[
            Count,
            meaning(
                "Earlier sweeps that were dropped: more was read than could be committed."
                " The other records of the devices include them."
            ),
        ]
        | UnsetType
    ) = UNSET


class Table(WireStruct, kw_only=True):
    """Sweeps of all sources that have the same points."""

    rows: Annotated[Count, meaning("Number of sweeps in the table.")]
    points: Annotated[list[str], meaning("Keys of the points.")]
    sources: Annotated[list[str], meaning("Names of the devices.")]
    src: Annotated[Column, meaning("Index into `sources` for each row, from 0.")]
    t: Annotated[Column, meaning("CLOCK_MONOTONIC of each row.", "us")]
    cols: Annotated[list[Column], meaning("One per point; units are in `meta`.")]
    q: Annotated[
        list[tuple[Count, list[Count] | None, str]],
        meaning(
            "Values that are not good: row, numbers of the points (null: all), quality. For a bad"
            " value, ignore the number in its column."
        ),
    ]
