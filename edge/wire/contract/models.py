"""The models in use: which answers, how far its input is from its training, which is on trial."""

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from edge.wire.contract.terms import Amount, Count, OnOff, WireStruct, meaning


class Drift(WireStruct, kw_only=True):
    """How far inputs and answers of a model are from its training data: the worst column."""

    psi: Annotated[
        Amount | None, meaning("Population stability index over the last day; null: not known yet.")
    ]
    column: Annotated[str | None, meaning("The input or answer that is farthest from it.")]
    hours: Annotated[Count, meaning("Hours of the last day that are covered.")]
    text: Annotated[str, meaning("The finding, for people; empty if there is none.")]


class DisagreementStatus(WireStruct, kw_only=True):
    """Live model and candidate disagreed about a flag."""

    before_s: Annotated[Amount, meaning("How long before the latest window.", "s")]
    row: Annotated[str, meaning("The approach, the series or the loop.")]
    live: Annotated[OnOff, meaning("Flag of the live model.")]
    candidate: Annotated[OnOff, meaning("Flag of the candidate.")]
    live_score: Annotated[float, meaning("Score of the live model.")]
    candidate_score: Annotated[float, meaning("Score of the candidate.")]


class Candidate(WireStruct, kw_only=True):
    """A model on trial: it runs beside the one that answers, and never raises a flag."""

    model: Annotated[str | None, meaning("Name and version.")]
    sha256: Annotated[str, meaning("First 12 digits of its digest; empty when it was dropped.")]
    dropped: Annotated[str, meaning("Why it was stopped; empty while it runs.")]
    ms: Annotated[Amount | None, meaning("Mean time of an answer.", "ms")]
    most_ms: Annotated[Amount | None, meaning("Time of the slowest answer.", "ms")]
    samples: Annotated[Count, meaning("Answers that were compared since the start.")]
    agree: Annotated[Count, meaning("Of these, those with the same flag.")] | UnsetType = UNSET
    only_live: (
        Annotated[Count, meaning("Those in which only the live model's flag was on.")] | UnsetType
    ) = UNSET
    only_candidate: (
        Annotated[Count, meaning("Those in which only the candidate's flag was on.")] | UnsetType
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
    last: Annotated[list[DisagreementStatus], meaning("The latest disagreements.")]


class Model(WireStruct, kw_only=True):
    """Which model answers, and if not, why."""

    model: Annotated[str | None, meaning("Name and version; null: there is no bundle.")]
    sha256: Annotated[str, meaning("First 12 digits of the model's digest; empty without one.")]
    answers: Annotated[
        Literal["model", "rule"], meaning("Whether the model or its rule answers now.")
    ]
    why: Annotated[str, meaning("Why the rule answers; empty when the model does.")]
    instead: Annotated[str, meaning("Which model this one has replaced, and why; empty if none.")]
    ms: Annotated[Amount | None, meaning("Time of the last answer.", "ms")]
    mb: Annotated[Amount | None, meaning("Memory that it took when it was loaded.", "MB")]
    drift: Annotated[
        Drift | None, meaning("How far its inputs are from its training data; null: not reported.")
    ]
    shadow: Annotated[Candidate, meaning("The model on trial beside it.")] | UnsetType = UNSET


ModelName = Literal["loopfault", "congestion", "anomaly"]
Models = dict[ModelName, Model | None]
