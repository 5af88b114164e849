"""The sidecar's settings: what must be given, what is refused."""

from pathlib import Path

import pytest

from gate.sidecar import SidecarSettings, main
from schemas.settings import SettingsError, load_settings


def test_broker_alone_must_be_given(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.toml"
    path.write_text('bootstrap_servers = "localhost:1"\nlive = true\ntable_path = "limits"\n')
    settings = load_settings(SidecarSettings, path, prefix="TIDEGATE_SIDECAR", environ={"TIDEGATE_SIDECAR_TTL_MS": "9"})
    assert settings == SidecarSettings("localhost:1", table_path=Path("limits"), ttl_ms=9, live=True)


@pytest.mark.parametrize(
    "text", ["", 'bootstrap_servers = "a:1"\nttl = 5\n', 'bootstrap_servers = "a:1"\nttl_ms = "x"\n']
)
def test_process_does_not_start_on_settings_that_are_wrong(tmp_path: Path, text: str) -> None:
    path = tmp_path / "sidecar.toml"
    path.write_text(text)
    with pytest.raises(SettingsError):
        main(["--settings", str(path)])
