"""Settings: file, environment, and refusal of what nobody meant."""

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.settings import (
    SECRET,
    SettingsError,
    between,
    check_bounds,
    describe,
    load_settings,
    load_with_sources,
    one_of,
)


@dataclass(frozen=True, slots=True)
class Settings:
    bootstrap_servers: str
    ttl_ms: int = field(default=3000, metadata=between(1, 60_000))
    live: bool = False
    share: float = field(default=0.5, metadata=between(0))
    mode: str = field(default="fast", metadata=one_of("fast", "safe"))
    folder: Path = Path("state")
    password: str = field(default="", metadata=SECRET)

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.live and self.mode == "fast":
            raise SettingsError("mode: fast is not for live")


def load(tmp_path: Path, text: str, **environ: str) -> Settings:
    path = tmp_path / "s.toml"
    path.write_text(text)
    return load_settings(Settings, path, prefix="TIDEGATE_X", environ=environ)


def test_environment_overrides_the_file(tmp_path: Path) -> None:
    text = 'bootstrap_servers = "h:1"\nttl_ms = 500\nmode = "safe"\n'
    settings = load(tmp_path, text, TIDEGATE_X_TTL_MS="700", TIDEGATE_X_LIVE="true", TIDEGATE_X_FOLDER="a/b")
    assert settings == Settings("h:1", ttl_ms=700, live=True, mode="safe", folder=Path("a/b"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('bootstrap_servers = "h:1"\nttl = 5\n', "s.toml:2: unknown key 'ttl'"),
        ('bootstrap_servers = "h:1"\n\ntll_ms = 5\n', "s.toml:3: unknown key 'tll_ms'; did you mean 'ttl_ms'"),
        ('bootstrap_servers = "h:1"\n[limits]\nmax = 5\n', "s.toml:2: unknown key 'limits'"),
        ("ttl_ms = 5\n", "missing bootstrap_servers .or set TIDEGATE_X_BOOTSTRAP_SERVERS"),
        ('bootstrap_servers = "h:1"\nttl_ms = "soon"\n', "s.toml:2: ttl_ms: 'soon' is not an int"),
        ('bootstrap_servers = "h:1"\nttl_ms = "5"\n', "ttl_ms: '5' is not an int"),
        ('bootstrap_servers = "h:1"\nttl_ms = 5.5\n', "ttl_ms: 5.5 is not an int"),
        ('bootstrap_servers = "h:1"\nttl_ms = true\n', "ttl_ms: True is not an int"),
        ('bootstrap_servers = "h:1"\nlive = "maybe"\n', "live: 'maybe' is not a bool"),
        ("bootstrap_servers = 7\n", "s.toml:1: bootstrap_servers: 7 is not a str"),
        (
            '# ttl_ms\nbootstrap_servers = "h:1"\nttl_ms = 0\n',
            "s.toml:3: ttl_ms: 0 is out of bounds, wanted 1 to 60000",
        ),
        ('bootstrap_servers = "h:1"\nshare = -1\n', "s.toml:2: share: -1.0 is out of bounds, wanted at least 0"),
        (
            'bootstrap_servers = "h:1"\nmode = "saef"\n',
            "s.toml:2: mode: 'saef' is none of fast, safe; did you mean 'safe'",
        ),
        ('bootstrap_servers = "h:1"\nmode = "fast"\nlive = true\n', "s.toml:2: mode: fast is not for live"),
        ('bootstrap_servers = """\nttl_ms = 1\n"""\nttl_ms = 0\n', "s.toml:4: ttl_ms: 0 is out of bounds"),
        (
            'bootstrap_servers = "h:1"\npassword = "x"\n',
            "s.toml:2: password: a secret does not stand among the settings",
        ),
        ('bootstrap_servers = "h:1"\npassword_file = "/nowhere"\n', "s.toml:2: password_file: .*No such file"),
        ("bootstrap_servers = \n", "s.toml"),
    ],
)
def test_mistake_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("TIDEGATE_X_TLL_MS", "5", "TIDEGATE_X_TLL_MS: unknown key 'tll_ms'; did you mean 'ttl_ms'"),
        ("TIDEGATE_X_TTL_MS", "soon", "TIDEGATE_X_TTL_MS: 'soon' is not an int"),
        ("TIDEGATE_X_TTL_MS", "0", "TIDEGATE_X_TTL_MS: ttl_ms: 0 is out of bounds"),
        ("TIDEGATE_X_PASSWORD_FILE", "/nowhere", "TIDEGATE_X_PASSWORD_FILE: .*No such file"),
    ],
)
def test_mistake_in_a_variable_is_refused_with_its_name(tmp_path: Path, variable: str, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(tmp_path, 'bootstrap_servers = "h:1"\n', **{variable: text})


def test_secret_comes_from_a_variable_or_from_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    named = f'bootstrap_servers = "h:1"\npassword_file = "{tmp_path / "secret"}"\n'
    assert load(tmp_path, named).password == "hunter2"
    assert load(tmp_path, named, TIDEGATE_X_PASSWORD="other").password == "other"
    plain = 'bootstrap_servers = "h:1"\n'
    assert load(tmp_path, plain, TIDEGATE_X_PASSWORD_FILE=str(tmp_path / "secret")).password == "hunter2"
    with pytest.raises(SettingsError, match="one of the two"):
        load(tmp_path, plain, TIDEGATE_X_PASSWORD="a", TIDEGATE_X_PASSWORD_FILE=str(tmp_path / "secret"))
    (tmp_path / "secret").write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        load(tmp_path, named)


def test_every_value_is_told_with_where_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('# where it is\nbootstrap_servers = "h:1"\n')
    _, sources = load_with_sources(Settings, path, prefix="TIDEGATE_X", environ={"TIDEGATE_X_TTL_MS": "7"})
    assert (sources["bootstrap_servers"], sources["ttl_ms"]) == (f"{path}:2", "TIDEGATE_X_TTL_MS")
    assert sources["live"] == "default"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=60), st.integers(1, 60_000))
def test_what_toml_can_write_comes_back_as_it_was(name: str, ttl_ms: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = load(Path(folder), f"bootstrap_servers = {json.dumps(name, ensure_ascii=False)}\nttl_ms = {ttl_ms}\n")
    assert (found.bootstrap_servers, found.ttl_ms) == (name, ttl_ms)


def test_secret_is_masked_in_the_log_line() -> None:
    assert "hunter2" not in describe(Settings("h:1", password="hunter2"))
    assert "ttl_ms=3000" in describe(Settings("h:1"))
