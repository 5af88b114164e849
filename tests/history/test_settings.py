"""Settings of the writer: refusals and masks."""

from pathlib import Path
from typing import Any

import pytest

from deploy.process_settings import keys_of
from history.settings import PREFIX, HistorySettings
from history.writer import _consumer_options
from schemas.settings import SettingsError, describe, load_settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"interface": "duckdb"},
        {"batch_rows": 0},
        {"batch_age_ms": -1},
        {"batch_bytes": 0},
        {"readers": 0},
        {"replicated": True},
    ],
)
def test_value_that_no_run_can_use_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        HistorySettings(bootstrap_servers="b", **wrong)


def test_password_is_masked_in_the_log() -> None:
    assert "hunter2" not in describe(HistorySettings(bootstrap_servers="b", password="hunter2"))


def test_every_field_is_documented_and_can_come_from_the_environment(tmp_path: Path) -> None:
    assert not [key.name for key in keys_of(HistorySettings) if not key.what]
    loaded = load_settings(
        HistorySettings, None, prefix=PREFIX, environ={"TIDEGATE_HISTORY_BOOTSTRAP_SERVERS": "b", f"{PREFIX}_PORT": "9"}
    )
    assert (loaded.bootstrap_servers, loaded.port) == ("b", 9)


def test_writers_to_a_server_share_a_group_and_a_folder_has_one_member() -> None:
    embedded = _consumer_options(HistorySettings(bootstrap_servers="b"))
    server = _consumer_options(HistorySettings(bootstrap_servers="b", interface="http"))
    assert embedded["group.instance.id"] == embedded["group.id"] == server["group.id"]
    assert "group.instance.id" not in server
    assert embedded["enable.auto.commit"] is False
