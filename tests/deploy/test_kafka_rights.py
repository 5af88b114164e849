"""The table of rights against the code that uses them: nobody has less than it needs, and nobody has more."""

import ast
import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from api.live.view import READ_TOPICS as API_READS
from deploy.cli import main
from deploy.kafka_rights import EVERY, RIGHTS, Rights, RightsError, apply_rights, commands, rules_of, strimzi_users
from deploy.rights_settings import passwords_in
from gate.sidecar import READ_TOPICS as SIDECAR_READS
from gate.sidecar import SidecarSettings
from history.rows import TABLE_OF
from history.settings import HistorySettings
from jobs.settings import JobSettings
from schemas import topics
from schemas.kafka_security import KafkaSecurity
from schemas.settings import SettingsError

ROOT = Path(__file__).parents[2]
BY_USER = {rights.user: rights for rights in RIGHTS}


def topics_in(path: str, function: str = "") -> set[str]:
    """Return the topics that a file names, or names in calls of ``function``."""
    tree = ast.parse((ROOT / path).read_text())
    calls = [
        n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == function
    ]
    return {
        getattr(topics, node.attr)
        for root in (calls if function else [tree])
        for node in ast.walk(root)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "topics"
    }


@pytest.mark.parametrize("job", ["compute_features", "score_risk", "enforce_orders"])
def test_job_reads_and_writes_exactly_what_it_may(job: str) -> None:
    rights = BY_USER[job.replace("_", "-")]
    path = f"jobs/{job}.py"
    assert set(rights.reads) == topics_in(path, "read_topic")
    written = topics_in(path, "write_topic")
    assert set(rights.writes) == written
    assert rights.groups == (f"{JobSettings('b', 1).group_prefix}.{job}",)


def test_processes_read_and_write_exactly_what_they_may() -> None:
    assert set(BY_USER["sidecar"].reads) == set(SIDECAR_READS)
    assert set(BY_USER["sidecar"].writes) == topics_in("gate/table_keeper.py", "") & {
        topics.RISK_ALERTS,
        topics.DEAD_LETTERS,
    }
    assert BY_USER["sidecar"].groups == (SidecarSettings("b").group,)
    assert set(BY_USER["history"].reads) == set(TABLE_OF)
    assert BY_USER["history"].groups == (HistorySettings("b").group_id,)
    assert set(BY_USER["api"].reads) == set(API_READS)
    assert set(BY_USER["api"].writes) == topics_in("api/server.py")
    assert BY_USER["api"].names[0] in (ROOT / "api/live/feed.py").read_text()
    trading = topics_in("gate/trail/shipper.py") | topics_in("gate/trail/outbox.py")
    assert set(BY_USER["trading"].writes) == trading
    assert set(BY_USER["order-management"].writes) == topics_in("deploy/desk.py")
    assert set(BY_USER["producer"].writes) == topics_in("feeds/producer.py")


def test_only_the_api_writes_commands_and_nobody_may_delete() -> None:
    assert [each.user for each in RIGHTS if topics.RISK_COMMANDS in each.writes] == ["api"]
    words = {word for each in RIGHTS for _, _, word in rules_of(each)}
    assert words == {"read", "write", "create", "describe", "describe_configs", "alter_configs"}


def test_no_rule_is_for_all_topics_or_a_prefix_and_every_topic_has_a_writer() -> None:
    names = {name for each in RIGHTS for kind, name, _ in rules_of(each) if kind == "topic"}
    assert names == set(EVERY)
    written = {name for each in RIGHTS for name in each.writes}
    assert set(EVERY) == written


def test_password_for_nobody_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(RightsError, match="nobody in the table is called sidecart; known: api"):
        apply_rights("127.0.0.1:1", KafkaSecurity(), {"sidecart": "x"})


def test_passwords_come_from_a_folder_with_a_file_for_each_user(tmp_path: Path) -> None:
    (tmp_path / "api").write_text("hunter2\n")
    (tmp_path / "..data").write_text("of a mounted secret")
    assert passwords_in(str(tmp_path)) == {"api": "hunter2"}
    assert passwords_in("") == {}
    (tmp_path / "history").write_text("")
    with pytest.raises(SettingsError, match="history is empty"):
        passwords_in(str(tmp_path))


def test_commands_of_kafkas_tool_say_the_same_as_the_table() -> None:
    lines = list(commands())
    assert len(lines) == sum(len(rules_of(each)) for each in RIGHTS)
    start = "kafka-acls.sh --bootstrap-server $BOOTSTRAP --command-config admin.properties --add --allow-principal"
    assert f"{start} User:api --operation Write --topic risk.commands" in lines
    assert f"{start} User:history --operation Read --group tidegate-history" in lines
    assert f"{start} User:doctor --operation Describe --cluster" in lines
    assert f"{start} User:topics --operation AlterConfigs --topic risk.commands" in lines


def test_strimzi_users_say_the_same_as_the_table() -> None:
    said = CliRunner().invoke(main, ["kafka-rights", "strimzi"])
    assert said.exit_code == 0
    users = {user["metadata"]["name"]: user for user in yaml.safe_load_all(said.output)}
    assert users == {user["metadata"]["name"]: user for user in strimzi_users()}
    kept = (ROOT / "k8s/components/strimzi-users/users.yaml").read_text()
    assert list(yaml.safe_load_all(kept)) == strimzi_users(), "write it anew: `tidegate kafka-rights strimzi`"
    for rights in RIGHTS:
        acls = users[rights.user]["spec"]["authorization"]["acls"]
        said_rules = {(a["resource"]["type"], a["resource"].get("name"), op) for a in acls for op in a["operations"]}
        assert len(said_rules) == len(set(rules_of(rights)))
        assert all(a["resource"].get("patternType", "literal") == "literal" for a in acls)


def test_show_prints_a_row_for_each_rule() -> None:
    said = CliRunner().invoke(main, ["kafka-rights", "show", "--json"])
    assert {"user": "api", "kind": "topic", "name": "risk.commands", "operation": "write"} in json.loads(said.output)
    assert len(CliRunner().invoke(main, ["kafka-rights", "show"]).output.splitlines()) == len(json.loads(said.output))


def test_rules_of_a_user_who_reads_and_writes() -> None:
    rights = Rights("x", reads=("a",), writes=("b",), groups=("g",), names=("n",))
    assert rules_of(rights) == [
        ("topic", "a", "read"),
        ("topic", "b", "write"),
        ("group", "g", "read"),
        ("group", "n", "describe"),
    ]
