"""The Avro record of `models.events`: what happened to a model, from its training to the end of its service.

Conventions as in ``schemas.records``. The topic is kept for ever: it says which model spoke when, by whose word.
"""

from dataclasses import dataclass
from enum import StrEnum


class ModelEventKind(StrEnum):
    """What happened to a model."""

    TRAINED = "TRAINED"
    EVALUATED = "EVALUATED"
    SHADOWED = "SHADOWED"  # scores beside the serving model and decides nothing
    PROMOTED = "PROMOTED"  # serves from now on
    ROLLED_BACK = "ROLLED_BACK"  # serves again after a later model
    RETIRED = "RETIRED"
    REFUSED = "REFUSED"  # could not be loaded, or failed its checks


@dataclass(frozen=True, slots=True)
class ModelMetric:
    """One figure of an evaluation.

    Attributes:
        name: Name of the figure, for example ``recall``.
        value: Its value; NaN when it could not be computed.
    """

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class ModelEvent:
    """Something that happened to a model; ``event_id`` is the idempotency key.

    Attributes:
        event_id: Unique id.
        kind: What happened.
        model_id: Model folder name.
        ts_ns: When it took effect (event time in a replay).
        maker: Who did it: a person, or the process for what no person does.
        checker: The second person, ``None`` where none is needed.
        reason: Why.
        previous_model_id: The model that served before, for ``PROMOTED`` and ``ROLLED_BACK``; else ``None``.
        spec_hash: Hash of the feature specification that the model reads.
        metrics: Figures of an evaluation, largest concern first; empty for the others.
        detail: What was refused and why, or where the artefact lies; may be empty.
        source: Process that tells it.
    """

    event_id: str
    kind: ModelEventKind
    model_id: str
    ts_ns: int
    maker: str
    checker: str | None
    reason: str
    previous_model_id: str | None
    spec_hash: str
    metrics: tuple[ModelMetric, ...]
    detail: str
    source: str
