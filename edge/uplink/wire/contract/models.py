"""Who judges: which model answers, how far its input is from its training, who is on trial."""

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from edge.uplink.wire.contract.terms import Amount, Count, OnOff, WireStruct, meaning


class Drift(WireStruct, kw_only=True):
    """How far what a model sees, and answers, is from what it was trained on: the worst column."""

    psi: Annotated[
        Amount | None, meaning("Population stability index over the last day; null: not known yet.")
    ]
    column: Annotated[str | None, meaning("Of which input or answer.")]
    hours: Annotated[Count, meaning("Hours of the last day that were seen.")]
    text: Annotated[str, meaning("What is to be said of it; empty when all is as in training.")]


class Apart(WireStruct, kw_only=True):
    """Live model and candidate disagreed about a flag."""

    before_s: Annotated[Amount, meaning("So long before the latest window.", "s")]
    row: Annotated[str, meaning("The approach, the series or the loop.")]
    live: Annotated[OnOff, meaning("The live model's flag.")]
    candidate: Annotated[OnOff, meaning("The candidate's.")]
    live_score: Annotated[float, meaning("What the live model said.")]
    candidate_score: Annotated[float, meaning("What the candidate said.")]


class Candidate(WireStruct, kw_only=True):
    """A model on trial: it runs beside the one that answers, and never raises a flag."""

    model: Annotated[str | None, meaning("Name and version.")]
    sha256: Annotated[str, meaning("First 12 digits of its digest; empty when it was dropped.")]
    dropped: Annotated[str, meaning("Why it runs no more; empty while it does.")]
    ms: Annotated[Amount | None, meaning("What an answer took, on the average.", "ms")]
    most_ms: Annotated[Amount | None, meaning("What the slowest one took.", "ms")]
    samples: Annotated[Count, meaning("Answers that were compared since the start.")]
    agree: Annotated[Count, meaning("Of these, those with the same flag.")] | UnsetType = UNSET
    only_live: (
        Annotated[Count, meaning("Those in which just the live model's was up.")] | UnsetType
    ) = UNSET
    only_candidate: (
        Annotated[Count, meaning("Those in which just the candidate's was up.")] | UnsetType
    ) = UNSET
    on_live: Annotated[Count, meaning("How often the live model's flag went on.")] | UnsetType = (
        UNSET
    )
    on_candidate: (
        Annotated[Count, meaning("How often the candidate's flag went on.")] | UnsetType
    ) = UNSET
    difference: (
        Annotated[Amount | None, meaning("Mean absolute difference of their scores.")] | UnsetType
    ) = UNSET
    last: Annotated[list[Apart], meaning("The latest disagreements.")]


class Model(WireStruct, kw_only=True):
    """Which model answers, and if not, why."""

    model: Annotated[str | None, meaning("Name and version; null: there is no bundle.")]
    sha256: Annotated[str, meaning("First 12 digits of the model's digest; empty without one.")]
    answers: Annotated[Literal["model", "rule"], meaning("Who answers now.")]
    why: Annotated[str, meaning("Why the rule answers; empty when the model does.")]
    instead: Annotated[
        str, meaning("Which model made room for this one, and why; empty if none has.")
    ]
    ms: Annotated[Amount | None, meaning("What the last answer took.", "ms")]
    mb: Annotated[Amount | None, meaning("What memory grew by when it was loaded.", "MB")]
    drift: Annotated[
        Drift | None, meaning("How far the world is from its training; null: not told.")
    ]
    shadow: Annotated[Candidate, meaning("The model on trial beside it.")] | UnsetType = UNSET


Models = dict[Literal["loopfault", "congestion", "anomaly"], Model | None]
