"""Settings: file, environment, and refusal of what nobody meant."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from schemas.settings import SettingsError, describe, load_settings


@dataclass(frozen=True, slots=True)
class Settings:
    bootstrap_servers: str
    ttl_ms: int = 3000
    live: bool = False
    folder: Path = Path("state")
    password: str = field(default="", metadata={"secret": True})


def test_environment_overrides_the_file(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('bootstrap_servers = "h:1"\nttl_ms = 500\n')
    environ = {"TIDEGATE_X_TTL_MS": "700", "TIDEGATE_X_LIVE": "true"}
    settings = load_settings(Settings, path, prefix="TIDEGATE_X", environ=environ)
    assert settings == Settings("h:1", ttl_ms=700, live=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('bootstrap_servers = "h:1"\nttl = 5\n', "unknown key 'ttl'"),
        ("ttl_ms = 5\n", "missing bootstrap_servers"),
        ('bootstrap_servers = "h:1"\nttl_ms = "soon"\n', "ttl_ms: 'soon' is not a int"),
        ('bootstrap_servers = "h:1"\nlive = "maybe"\n', "live: 'maybe' is not a bool"),
        ("bootstrap_servers = \n", "s.toml"),
    ],
)
def test_mistake_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=message):
        load_settings(Settings, path, prefix="TIDEGATE_X", environ={})


def test_secret_is_masked_in_the_log_line() -> None:
    assert "hunter2" not in describe(Settings("h:1", password="hunter2"))
    assert "ttl_ms=3000" in describe(Settings("h:1"))
