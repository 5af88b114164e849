"""Every process with a settings file, and what is written from its definition: an example file, the page, what holds.

Invariant: the dataclass is the only definition. Its docstring says what a key means, its metadata what it may hold, and both
files and page are made from them, so a document cannot say what the loader does not do.
"""

import dataclasses
import importlib
import inspect
import json
import re
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from schemas.settings import FILE_SUFFIX, is_required, load_with_sources, masked

PAGE: Final = "docs/settings.md"
WIDTH: Final = 118


@dataclass(frozen=True, slots=True)
class Process:
    """A process and where its settings are defined.

    Attributes:
        name: As `tidegate settings` knows it; upper case in the names of variables.
        definition: ``module:Class`` of the dataclass.
        file: Name of its file in the settings folder of a local stack.
        what: What it does.
        started: How a deployment starts it.
    """

    name: str
    definition: str
    file: str
    what: str
    started: str

    @property
    def prefix(self) -> str:
        """Return what variables of the process begin with."""
        return f"TIDEGATE_{self.name.upper()}"

    @property
    def settings(self) -> type[Any]:
        """Return the dataclass; imported when asked, because some take a while."""
        module, _, name = self.definition.partition(":")
        found: type[Any] = getattr(importlib.import_module(module), name)
        return found


PROCESSES: Final = {
    process.name: process
    for process in (
        Process(
            "job", "jobs.settings:JobSettings", "jobs.toml", "The three Flink jobs.",
            "flink run … -pym jobs.<JOB> --settings FILE",
        ),
        Process(
            "sidecar", "gate.sidecar:SidecarSettings", "gate.toml", "Keeps the limit table of a host.",
            "python -m gate.sidecar --settings FILE",
        ),
        Process(
            "history", "history.settings:HistorySettings", "history.toml", "Stores every topic but the frames.",
            "python -m history.writer --settings FILE",
        ),
        Process(
            "api", "api.settings:ApiSettings", "api.toml", "REST, events, commands of two people and the console.",
            "tidegate api --settings FILE",
        ),
        Process(
            "quality", "quality.settings:QualitySettings", "quality.toml", "Judges the newest rows of every table.",
            "tidegate quality --settings FILE",
        ),
        Process(
            "producer", "feeds.settings:ProducerSettings", "producer.toml", "Sends frames: replays, simulations, feeds.",
            "tidegate replay …, tidegate simulate …",
        ),
        Process(
            "topics", "deploy.topics:TopicsSettings", "topics.toml", "Makes topics and keeps their configs.",
            "tidegate topics apply --settings FILE",
        ),
        Process(
            "rights", "deploy.rights_settings:RightsSettings", "rights.toml", "Sets who may do what on Kafka.",
            "tidegate kafka-rights apply --settings FILE",
        ),
        Process(
            "doctor", "deploy.doctor.settings:DoctorSettings", "doctor.toml", "Looks at versions, jars, topics and what runs.",
            "tidegate doctor --settings FILE",
        ),
        Process(
            "plan", "deploy.planning.settings:PlanSettings", "plan.toml", "Calculates what a deployment needs, and its price.",
            "tidegate plan … --settings FILE",
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a settings file, as documents show it.

    Attributes:
        name: As in the file.
        kind: Type.
        default: As TOML writes it; empty where the key must be given.
        allowed: Bounds or words; empty where there are none.
        is_secret: Given by a variable, or by the file that ``<name>_file`` names.
        what: Meaning.
    """

    name: str
    kind: str
    default: str
    allowed: str
    is_secret: bool
    what: str


def keys_of(settings: type[Any]) -> list[Key]:
    """Return the keys of a settings dataclass, its own before those it inherits."""
    hints, texts = typing.get_type_hints(settings), _texts(settings)
    inherited = {
        f.name for base in settings.__mro__[1:] if dataclasses.is_dataclass(base) for f in dataclasses.fields(base)
    }
    found = sorted(dataclasses.fields(settings), key=lambda field: field.name in inherited)
    return [
        Key(
            field.name,
            hints[field.name].__name__,
            "" if is_required(field) else _toml(field.default),
            _allowed(field.metadata),
            bool(field.metadata.get("secret")),
            texts.get(field.name, ""),
        )
        for field in found
    ]


def example(process: Process) -> str:
    """Return a settings file with every key, its meaning above it; what has a default is commented out."""
    lines = [
        f"# Settings of {process.name}: {process.what}",
        f"# Started by: {process.started}",
        f"# {process.prefix}_<KEY> in the environment wins over this file. Unknown keys are refused.",
    ]
    for key in keys_of(process.settings):
        lines += ["", *_comment(f"{key.what} Allowed: {key.allowed}." if key.allowed else key.what)]
        if key.is_secret:
            lines += _comment(f"Secret: set {process.prefix}_{key.name.upper()}, or name a file that holds it.")
            lines.append(f'# {key.name}{FILE_SUFFIX} = ""')
        elif key.default:
            lines.append(f"# {key.name} = {key.default}")
        else:
            lines.append(f"{key.name} = {_placeholder(key.kind)}")
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the page of all settings, in Markdown."""
    parts = [_INTRODUCTION]
    for process in PROCESSES.values():
        parts.append(
            f"\n## {process.name}\n\n{process.what} Started by `{process.started}`; variables `{process.prefix}_<KEY>`.\n"
        )
        parts.append("| key | type | default | allowed | what |\n|---|---|---|---|---|")
        parts.extend(
            f"| `{key.name}` | {key.kind} | {_shown(key)} | {key.allowed.replace('|', chr(92) + '|')} | {key.what} |"
            for key in keys_of(process.settings)
        )
    return "\n".join(parts) + "\n"


def shown(
    process: Process, path: Path | None, *, environ: typing.Mapping[str, str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield what holds for a process: ``key``, ``value`` (secrets masked) and ``source`` of each.

    Raises:
        SettingsError: The settings cannot be used.
    """
    settings, sources = load_with_sources(process.settings, path, prefix=process.prefix, environ=environ)
    fields = {field.name: field for field in dataclasses.fields(settings)}
    for key in keys_of(process.settings):
        value = masked(fields[key.name], getattr(settings, key.name))
        yield {"key": key.name, "value": str(value) if isinstance(value, Path) else value, "source": sources[key.name]}


def _texts(settings: type[Any]) -> dict[str, str]:
    """Return what the docstrings of a class and its bases say of each attribute."""
    texts: dict[str, str] = {}
    for cls in reversed(settings.__mro__):
        name = ""
        for line in inspect.cleandoc(cls.__dict__.get("__doc__") or "").partition("Attributes:\n")[2].splitlines():
            if match := re.match(r"    (\w+): (.*)", line):
                name = match[1]
                texts[name] = match[2]
            elif line.startswith("        "):
                texts[name] += f" {line.strip()}"
            elif line:
                break
    return {name: text.replace("``", "`") for name, text in texts.items()}


def _allowed(metadata: typing.Mapping[str, Any]) -> str:
    if words := metadata.get("words"):
        return " | ".join(words)
    low, high = metadata.get("low"), metadata.get("high")
    if low is None:
        return ""
    return f"at least {low}" if high is None else f"{low} to {high}"


def _toml(value: Any) -> str:
    return json.dumps(str(value) if isinstance(value, Path) else value)


def _placeholder(kind: str) -> str:
    return {"str": '""', "Path": '""', "bool": "false"}.get(kind, "1")


def _shown(key: Key) -> str:
    if key.is_secret:
        return f"secret: variable or `{key.name}{FILE_SUFFIX}`"
    return f"`{key.default}`" if key.default else "must be given"


def _comment(text: str) -> list[str]:
    lines, line = [], "#"
    for word in text.split():
        if len(line) + 1 + len(word) > WIDTH:
            lines.append(line)
            line = "#"
        line += f" {word}"
    return [*lines, line]


_INTRODUCTION: Final = """\
# Settings

Each process reads one TOML file at its start, and nothing after: `tidegate settings example PROCESS` writes it, `tidegate settings
show PROCESS` says what holds and where each value comes from. This page is written by `tidegate settings page` from the same
definitions.

- A variable `TIDEGATE_<PROCESS>_<KEY>` wins over the file. An unknown key or variable, a wrong type or a value out of bounds stops
  the process at its start, with file, line and the nearest known name.
- A secret never stands in the file: set its variable, or `<key>_file` (as a variable `TIDEGATE_<PROCESS>_<KEY>_FILE`) to a file
  that holds it. Logs and `settings show` print `***`.
- Limits are no settings: envelopes, accounts, tier tables and the model in force change by commands of people on `risk.commands`
  ([api.md](api.md)), and no file that is edited changes one.
- Kafka: `security_protocol`, `sasl_*` and `ssl_*` are the same for every process; what each client library calls them is in
  `schemas/kafka_security.py`, what each process may read and write in [operations.md](operations.md#kafka-rights)."""
