"""One way to read a process' settings: a TOML file, then the environment, into a frozen dataclass.

Invariant: an unknown key or a value of the wrong type stops the process at start with the file and key named, so
a typo can never leave a limit or an address at its default.
"""

import dataclasses
import os
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class SettingsError(ValueError):
    """A settings file or variable that cannot be used; the message names it."""


def load_settings(cls: type[T], path: Path | None, *, prefix: str, environ: Mapping[str, str] | None = None) -> T:
    """Return ``cls`` filled from the TOML file at ``path``, each key overridden by ``<PREFIX>_<KEY>``.

    Args:
        cls: Frozen dataclass with fields of type str, int, float, bool or Path.
        path: TOML file; ``None`` for environment and defaults alone.
        prefix: For example ``TIDEGATE_SIDECAR``.
        environ: Environment; the process' own when ``None``.

    Raises:
        SettingsError: Unreadable file, unknown key, wrong type, or a required key that is missing.
    """
    hints = typing.get_type_hints(cls)
    known = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for name, value in _read(path).items():
        if name not in known:
            raise SettingsError(f"{path}: unknown key {name!r}; known: {', '.join(sorted(known))}")
        values[name] = _convert(value, hints[name], f"{path}: {name}")
    for name in known:
        variable = f"{prefix}_{name}".upper()
        if (text := (os.environ if environ is None else environ).get(variable)) is not None:
            values[name] = _convert(text, hints[name], variable)
    required = {
        name
        for name, f in known.items()
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    if missing := required - values.keys():
        raise SettingsError(f"{path}: missing {', '.join(sorted(missing))}")
    return cls(**values)


def describe(settings: Any) -> str:
    """Return the settings on one line for the log, fields with ``metadata={"secret": True}`` masked."""
    parts = [
        f"{f.name}={'***' if f.metadata.get('secret') and getattr(settings, f.name) else getattr(settings, f.name)}"
        for f in dataclasses.fields(settings)
    ]
    return " ".join(parts)


def _read(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error


def _convert(value: Any, wanted: Any, where: str) -> Any:
    try:
        if wanted is bool:
            return value if isinstance(value, bool) else _WORDS[str(value).lower()]
        if wanted in (int, float) and not isinstance(value, bool):
            return wanted(value)
        if wanted in (str, Path):
            return wanted(value)
    except (KeyError, ValueError, TypeError) as error:
        raise SettingsError(f"{where}: {value!r} is not a {wanted.__name__}") from error
    raise SettingsError(f"{where}: {value!r} is not a {getattr(wanted, '__name__', wanted)}")
