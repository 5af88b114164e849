"""What happened to the models of a channel, as alerts for people and as events of `models.events`; tick time, no clock."""

from dataclasses import dataclass, field, replace

from features.spec import SPEC_HASH
from models.alerting import SOURCE
from schemas.model_events import ModelEvent, ModelEventKind
from schemas.records import AlertKind, RiskAlert, Tier


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch of models that was asked for.

    Attributes:
        command_id: Of the command.
        maker: Who asked.
        checker: Who agreed; ``None`` where nobody did.
        reason: Why.
    """

    command_id: str
    maker: str
    checker: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Served:
    """A model as it is served.

    Attributes:
        folder: Name of its folder, as commands say it.
        model_id: Its own name, as scores say it.
    """

    folder: str
    model_id: str


@dataclass(slots=True)
class ModelChanges:
    """Of one channel; collects what one message of ticks led to.

    Attributes:
        epoch: Deployment epoch of the job.
        channel_id: The channel.
        alerts: For people.
        events: For the history of models.
    """

    epoch: int
    channel_id: str
    alerts: list[RiskAlert] = field(default_factory=list)
    events: list[ModelEvent] = field(default_factory=list)

    def began(self, model: Served, ts_ns: int) -> None:
        """Tell the model that the deployment starts with."""
        word = Switch("start", SOURCE, None, "the model that the deployment starts with")
        self.events.append(self._event(ModelEventKind.PROMOTED, word, model, ts_ns=ts_ns))

    def switched(self, word: Switch, model: Served, ts_ns: int, *, before: Served) -> None:
        """Tell a switch that is in force."""
        people = f"{word.maker} and {word.checker}"
        what = f"{word.command_id} by {people}: model {model.folder} in force, {before.folder} before"
        self._alert(AlertKind.COMMAND_APPLIED, word, ts_ns, what=what)
        event = self._event(ModelEventKind.PROMOTED, word, model, ts_ns=ts_ns)
        self.events.append(replace(event, previous_model_id=before.model_id))

    def refused(self, word: Switch, folder: str, ts_ns: int, *, wrong: str) -> None:
        """Tell a switch that will not be; a folder that cannot be read has no name of its own."""
        self._alert(AlertKind.COMMAND_REFUSED, word, ts_ns, what=f"{word.command_id} by {word.maker}: {wrong}")
        event = self._event(ModelEventKind.REFUSED, word, Served(folder, folder), ts_ns=ts_ns)
        self.events.append(replace(event, detail=f"{event.detail}: {wrong}"))

    def _alert(self, kind: AlertKind, word: Switch, ts_ns: int, *, what: str) -> None:
        alert_id = f"{kind}:{self.channel_id}:{word.command_id}:{self.epoch}"
        told = f"channel {self.channel_id}: {what}"
        self.alerts.append(RiskAlert(alert_id, kind, 0, ts_ns, self.epoch, Tier.NORMAL, told, SOURCE))

    def _event(self, kind: ModelEventKind, word: Switch, model: Served, *, ts_ns: int) -> ModelEvent:
        return ModelEvent(
            event_id=f"{kind}:{self.channel_id}:{word.command_id}:{self.epoch}",
            kind=kind,
            model_id=model.model_id,
            ts_ns=ts_ns,
            maker=word.maker,
            checker=word.checker,
            reason=word.reason,
            previous_model_id=None,
            spec_hash=SPEC_HASH,
            metrics=(),
            detail=f"channel {self.channel_id}, folder {model.folder}",
            source=SOURCE,
        )
