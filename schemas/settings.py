"""One way to read a process' settings: a TOML file, then the environment, into a frozen dataclass.

Invariant: an unknown key, a value of the wrong type or out of its bounds stops the process at start with file, line and key
named, so a typo can never leave a limit or an address at its default. A secret stands in the environment or in a file of its
own, never among the settings. Rejected: a settings library (the dataclass is the definition; documents are written from it), and
reading a file again while a process runs (a process is what its log says at its start; limits change by commands alone).
"""

import dataclasses
import difflib
import os
import re
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

T = TypeVar("T")

FILE_SUFFIX: Final = "_file"
"""``<secret>_file`` names the file that holds a secret: as a key, and as a variable."""
MASK: Final = "***"
_WORDS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_KEY: Final = re.compile(r"""^\s*(?:\[+\s*)?["']?(?P<name>[A-Za-z0-9_-]+)["']?\s*(?:[.=\]]|$)""")
_TRIPLE: Final = re.compile(r'"""|' + "'''")


class SettingsError(ValueError):
    """A settings file or variable that cannot be used; the message names it."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value, and where it was given: ``file:line``, a variable, or ``default``."""

    value: Any
    source: str


def between(low: float, high: float | None = None) -> dict[str, Any]:
    """Return field metadata: a number of at least ``low`` and, where given, at most ``high``."""
    return {"low": low, "high": high}


def one_of(*words: str) -> dict[str, Any]:
    """Return field metadata: one of ``words``."""
    return {"words": words}


SECRET: Final[dict[str, Any]] = {"secret": True}
"""Field metadata of what no log and no screen may show."""


def load_settings(cls: type[T], path: Path | None, *, prefix: str, environ: Mapping[str, str] | None = None) -> T:
    """Return ``cls`` filled from the TOML file at ``path``, each key overridden by ``<PREFIX>_<KEY>``.

    Args:
        cls: Frozen dataclass with fields of type str, int, float, bool or Path.
        path: TOML file; ``None`` for environment and defaults alone.
        prefix: For example ``TIDEGATE_SIDECAR``.
        environ: Environment; the process' own when ``None``.

    Raises:
        SettingsError: Unreadable file, unknown key, wrong type or bounds, or a required key that is missing.
    """
    return load_with_sources(cls, path, prefix=prefix, environ=environ)[0]


def load_with_sources(
    cls: type[T], path: Path | None, *, prefix: str, environ: Mapping[str, str] | None = None
) -> tuple[T, dict[str, str]]:
    """Return what :func:`load_settings` does, and for each field where its value comes from.

    Raises:
        SettingsError: As there.
    """
    given = _from_file(cls, path, prefix) | _from_environment(cls, prefix, os.environ if environ is None else environ)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    if missing := sorted({f.name for f in fields if is_required(f)} - given.keys()):
        variables = ", ".join(f"{prefix}_{name}".upper() for name in missing)
        place = path or "settings"
        raise SettingsError(f"{place}: missing {', '.join(missing)} (or set {variables})")
    try:
        settings = cls(**{name: found.value for name, found in given.items()})
    except SettingsError as error:
        raise SettingsError(_located(str(error), given)) from error
    return settings, {f.name: given[f.name].source if f.name in given else "default" for f in fields}


def is_required(field: "dataclasses.Field[Any]") -> bool:
    """Return whether a field has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def check_bounds(settings: Any) -> None:
    """Check every field against the bounds and words of its metadata; a settings class calls it when it is made.

    Raises:
        SettingsError: With the field's name first.
    """
    for field in dataclasses.fields(settings):
        value, bounds = getattr(settings, field.name), field.metadata
        low, high, words = bounds.get("low"), bounds.get("high"), bounds.get("words")
        if words is not None and value not in words:
            raise SettingsError(f"{field.name}: {value!r} is none of {', '.join(words)}{_meant(str(value), words)}")
        if (low is not None and value < low) or (high is not None and value > high):
            wanted = f"at least {low}" if high is None else f"{low} to {high}"
            raise SettingsError(f"{field.name}: {value} is out of bounds, wanted {wanted}")


def masked(field: "dataclasses.Field[Any]", value: Any) -> Any:
    """Return ``value``, or the mask where ``field`` is a secret that is set."""
    return MASK if field.metadata.get("secret") and value else value


def describe(settings: Any) -> str:
    """Return the settings on one line for the log, secrets masked."""
    return " ".join(f"{f.name}={masked(f, getattr(settings, f.name))}" for f in dataclasses.fields(settings))


def _from_file(cls: type[Any], path: Path | None, prefix: str) -> dict[str, Given]:
    if path is None:
        return {}
    try:
        text = path.read_text()
        values = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    hints, lines, given = typing.get_type_hints(cls), _lines_of(text), {}
    secrets = _secrets(cls)
    for name, value in values.items():
        where = f"{path}:{lines.get(name, 1)}"
        if name in secrets:
            variable = f"{prefix}_{name}".upper()
            raise SettingsError(
                f"{where}: {name}: a secret does not stand among the settings: set {variable}, or {name}{FILE_SUFFIX}"
            )
        if (secret := name.removesuffix(FILE_SUFFIX)) != name and secret in secrets:
            given[secret] = Given(_secret_in(_typed(value, str, f"{where}: {name}"), f"{where}: {name}"), where)
        elif name in hints:
            given[name] = Given(_typed(value, hints[name], f"{where}: {name}"), where)
        else:
            raise SettingsError(f"{where}: {_unknown(name, _names(cls))}")
    return given


def _from_environment(cls: type[Any], prefix: str, environ: Mapping[str, str]) -> dict[str, Given]:
    hints, secrets, given = typing.get_type_hints(cls), _secrets(cls), {}
    start = f"{prefix}_".upper()
    for variable in sorted(name for name in environ if name.startswith(start)):
        name, text = variable.removeprefix(start).lower(), environ[variable]
        if (secret := name.removesuffix(FILE_SUFFIX)) != name and secret in secrets:
            if f"{start}{secret}".upper() in environ:
                raise SettingsError(f"{variable}: {start}{secret.upper()} is set as well: one of the two")
            given[secret] = Given(_secret_in(text, variable), variable)
        elif name in hints:
            given[name] = Given(_parsed(text, hints[name], variable), variable)
        else:
            raise SettingsError(f"{variable}: {_unknown(name, _names(cls))}")
    return given


def _secrets(cls: type[Any]) -> set[str]:
    return {f.name for f in dataclasses.fields(cls) if f.metadata.get("secret")}


def _names(cls: type[Any]) -> list[str]:
    secrets = _secrets(cls)
    plain = [f.name for f in dataclasses.fields(cls) if f.name not in secrets]
    return sorted([*plain, *(f"{name}{FILE_SUFFIX}" for name in secrets)])


def _unknown(name: str, known: list[str]) -> str:
    return f"unknown key {name!r}{_meant(name, known)}; known: {', '.join(known)}"


def _meant(word: str, known: typing.Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def _secret_in(file: str, where: str) -> str:
    try:
        text = Path(file).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{where}: {error}") from error
    if not text:
        raise SettingsError(f"{where}: {file} is empty")
    return text


def _lines_of(text: str) -> dict[str, int]:
    """Return the first line of each top-level key; text inside multi-line strings is none."""
    found: dict[str, int] = {}
    inside: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if inside is None and (match := _KEY.match(line)):
            found.setdefault(match["name"], number)
        for quote in _TRIPLE.findall(line):
            inside = quote if inside is None else None if quote == inside else inside
    return found


def _located(message: str, given: Mapping[str, Given]) -> str:
    """Put the place of the key that a check named first before its words."""
    name = re.match(r"\w+", message)
    return f"{given[name[0]].source}: {message}" if name and name[0] in given else message


def _typed(value: Any, wanted: Any, where: str) -> Any:
    """Return a value of a TOML file, which has a type of its own."""
    if wanted is Path and isinstance(value, str):
        return Path(value)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is wanted:
        return value
    raise SettingsError(f"{where}: {value!r} is not {_article(wanted)}")


def _parsed(text: str, wanted: Any, where: str) -> Any:
    """Return the value that the text of a variable stands for."""
    try:
        return _WORDS[text.lower()] if wanted is bool else wanted(text)
    except (KeyError, ValueError) as error:
        raise SettingsError(f"{where}: {text!r} is not {_article(wanted)}") from error


def _article(wanted: Any) -> str:
    name = getattr(wanted, "__name__", str(wanted))
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"
