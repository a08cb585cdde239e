"""Who judges: which model answers, how far its input is from its training, who is on trial."""

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from edge.uplink.wire.contract.terms import Amount, Count, OnOff, Part, told


class Drift(Part, kw_only=True):
    """How far what a model sees, and answers, is from what it was trained on: the worst column."""

    psi: Annotated[
        Amount | None, told("Population stability index over the last day; null: not known yet.")
    ]
    column: Annotated[str | None, told("Of which input or answer.")]
    hours: Annotated[Count, told("Hours of the last day that were seen.")]
    text: Annotated[str, told("What is to be said of it; empty when all is as in training.")]


class Apart(Part, kw_only=True):
    """Live model and candidate disagreed about a flag."""

    before_s: Annotated[Amount, told("So long before the latest window.", "s")]
    row: Annotated[str, told("The approach, the series or the loop.")]
    live: Annotated[OnOff, told("The live model's flag.")]
    candidate: Annotated[OnOff, told("The candidate's.")]
    live_score: Annotated[float, told("What the live model said.")]
    candidate_score: Annotated[float, told("What the candidate said.")]


class Candidate(Part, kw_only=True):
    """A model on trial: it runs beside the one that answers, and never raises a flag."""

    model: Annotated[str | None, told("Name and version.")]
    sha256: Annotated[str, told("First 12 digits of its digest; empty when it was dropped.")]
    dropped: Annotated[str, told("Why it runs no more; empty while it does.")]
    ms: Annotated[Amount | None, told("What an answer took, on the average.", "ms")]
    most_ms: Annotated[Amount | None, told("What the slowest one took.", "ms")]
    samples: Annotated[Count, told("Answers that were compared since the start.")]
    agree: Annotated[Count, told("Of these, those with the same flag.")] | UnsetType = UNSET
    only_live: (
        Annotated[Count, told("Those in which just the live model's was up.")] | UnsetType
    ) = UNSET
    only_candidate: (
        Annotated[Count, told("Those in which just the candidate's was up.")] | UnsetType
    ) = UNSET
    on_live: Annotated[Count, told("How often the live model's flag went on.")] | UnsetType = UNSET
    on_candidate: Annotated[Count, told("How often the candidate's flag went on.")] | UnsetType = (
        UNSET
    )
    difference: (
        Annotated[Amount | None, told("Mean absolute difference of their scores.")] | UnsetType
    ) = UNSET
    last: Annotated[list[Apart], told("The latest disagreements.")]


class Model(Part, kw_only=True):
    """Which model answers, and if not, why."""

    model: Annotated[str | None, told("Name and version; null: there is no bundle.")]
    sha256: Annotated[str, told("First 12 digits of the model's digest; empty without one.")]
    answers: Annotated[Literal["model", "rule"], told("Who answers now.")]
    why: Annotated[str, told("Why the rule answers; empty when the model does.")]
    instead: Annotated[str, told("Which model made room for this one, and why; empty if none has.")]
    ms: Annotated[Amount | None, told("What the last answer took.", "ms")]
    mb: Annotated[Amount | None, told("What memory grew by when it was loaded.", "MB")]
    drift: Annotated[Drift | None, told("How far the world is from its training; null: not told.")]
    shadow: Annotated[Candidate, told("The model on trial beside it.")] | UnsetType = UNSET


Models = dict[Literal["loopfault", "congestion", "anomaly"], Model | None]
