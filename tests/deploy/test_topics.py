"""What topics a deployment asks for, and settings that no broker could hold."""

from typing import Any

import pytest
from click.testing import CliRunner

from deploy.commands.topics import command
from deploy.topics import TopicsSettings, configs_of
from schemas.settings import SettingsError
from schemas.topics import RISK_COMMANDS, TOPICS


def test_commands_are_kept_for_ever_and_the_others_as_the_schema_says() -> None:
    found = {topic.name: configs_of(topic, TopicsSettings("h:1"))["retention.ms"] for topic in TOPICS}
    assert found[RISK_COMMANDS] == "-1"
    assert found == {topic.name: str(topic.retention_ms) for topic in TOPICS}


def test_keep_all_keeps_all() -> None:
    settings = TopicsSettings("h:1", keep_all=True)
    assert {configs_of(topic, settings)["retention.ms"] for topic in TOPICS} == {"-1"}


@pytest.mark.parametrize(
    "values",
    [{"partitions": 0}, {"replication_factor": 0}, {"min_insync_replicas": 0}, {"min_insync_replicas": 2}],
)
def test_settings_that_no_broker_could_hold_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(values))):
        TopicsSettings("h:1", **values)


def test_command_without_a_broker_in_its_settings_says_so_on_one_line() -> None:
    found = CliRunner().invoke(command, ["apply"], env={"TIDEGATE_TOPICS_PARTITIONS": "3"})
    assert found.exit_code == 1
    assert found.output == "Error: settings: missing bootstrap_servers (or set TIDEGATE_TOPICS_BOOTSTRAP_SERVERS)\n"


def test_broker_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.topics.TIMEOUT_S", 0.2)
    found = CliRunner().invoke(command, ["apply"], env={"TIDEGATE_TOPICS_BOOTSTRAP_SERVERS": "127.0.0.1:9"})
    assert found.exit_code == 1
    assert found.output.startswith("Error: 127.0.0.1:9: ")
