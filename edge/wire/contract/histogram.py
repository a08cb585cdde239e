"""Histograms of a window: speeds, lengths, times between vehicles, stays in a bay."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from edge.core import Quantity
from edge.wire.contract.terms import MAX_INT, Amount, Count, Positive, WireStruct, meaning

Sum = Annotated[int, Meta(ge=0, le=MAX_INT)]


class Histogram(WireStruct, kw_only=True):
    """Fixed bins, so histograms add up exactly. All but counts and sums is calculated from them."""

    unit: Annotated[str, meaning("Unit of all that is not a count or in steps.")]
    width: Annotated[Amount, meaning("Width of a bin, in `unit`.")]
    bins: Annotated[Count, meaning("Number of bins; one additional bin holds all larger values.")]
    first: Annotated[Count, meaning("The bin of the first entry in `counts`.")]
    counts: Annotated[
        list[Count], meaning("Values per bin, from the first filled bin to the last.")
    ]
    n: Annotated[Count, meaning("Number of values.")]
    step: Annotated[Amount, meaning("One step of `sum`, in `unit`.")]
    sum: Annotated[Sum, meaning("Sum of all values, in steps.")]
    mean: Annotated[Amount | None, meaning("Mean.")]


class Speeds(Histogram, kw_only=True):
    """Speeds of vehicles over a pair of loops: distance by time, standing included."""

    unit: Annotated[Literal["km/h"], meaning("Unit of all that is not a count or in steps.")]
    mean: Annotated[
        Amount | None,
        meaning(
            "Time-mean speed: the arithmetic mean over the vehicles that passed. NTCIP 1209:"
            " sampleSpeedData; DATEX II: TrafficSpeed.averageVehicleSpeed, computationalMethod"
            " arithmetic.",
            Quantity.SPEED,
        ),
    ]
    isum: Annotated[Sum, meaning("Sum of paces, for the harmonic mean.", "ns/m")]
    harmonic: Annotated[
        Amount | None,
        meaning(
            "Space-mean speed: the harmonic mean over the vehicles that passed, for use in flow"
            " relations. DATEX II: averageVehicleSpeed, computationalMethod harmonic.",
            Quantity.SPEED,
        ),
    ]
    p15: Annotated[Amount | None, meaning("15th percentile.", Quantity.SPEED)]
    p50: Annotated[Amount | None, meaning("Median.", Quantity.SPEED)]
    p85: Annotated[Amount | None, meaning("85th percentile.", Quantity.SPEED)]
    estimated: (
        Annotated[
            Positive,
            meaning(
                "Vehicles among these that only the lead loop has seen (they changed lanes, or the"
                " trail loop missed them). Their speed is estimated from their on-time, and they"
                " are `uncertain:estimated` in `quality`."
            ),
        ]
        | UnsetType
    ) = UNSET


class Distribution(Histogram, kw_only=True):
    """Values of which only the arithmetic mean is asked."""

    p15: Annotated[Amount | None, meaning("15th percentile.")]
    p50: Annotated[Amount | None, meaning("Median.")]
    p85: Annotated[Amount | None, meaning("85th percentile.")]


class Lengths(Distribution, kw_only=True):
    """Lengths of vehicles over a pair of loops."""

    unit: Annotated[Literal["m"], meaning("Unit of all that is not a count or in steps.")]
    mean: Annotated[Amount | None, meaning("Mean.", Quantity.LENGTH)]
    p15: Annotated[Amount | None, meaning("15th percentile.", Quantity.LENGTH)]
    p50: Annotated[Amount | None, meaning("Median.", Quantity.LENGTH)]
    p85: Annotated[Amount | None, meaning("85th percentile.", Quantity.LENGTH)]


class Times(Distribution, kw_only=True):
    """Headways or gaps between vehicles, or stays."""

    unit: Annotated[Literal["s"], meaning("Unit of all that is not a count or in steps.")]
    mean: Annotated[Amount | None, meaning("Mean.", Quantity.DURATION)]
    p15: Annotated[Amount | None, meaning("15th percentile.", Quantity.DURATION)]
    p50: Annotated[Amount | None, meaning("Median.", Quantity.DURATION)]
    p85: Annotated[Amount | None, meaning("85th percentile.", Quantity.DURATION)]
