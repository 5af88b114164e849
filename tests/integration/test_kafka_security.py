"""TLS, SCRAM and ACLs on a real broker: who has no rights gets nothing, and each process works with exactly its own."""

import datetime as dt
import json
import os
import secrets
import shutil
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import confluent_kafka
import kafka
import kafka.errors
import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from api.identity import Role
from api.identity import issue as issue_token
from deploy.doctor import survey
from deploy.doctor.finding import Level
from deploy.doctor.settings import DoctorSettings
from deploy.kafka_rights import EVERY, RIGHTS, apply_rights
from deploy.local.flink import FlinkCluster, FlinkPorts
from deploy.local.ports import free_ports
from deploy.local.processes import ProcessBook
from deploy.local.secure_broker import ADMIN, Authority, issue, make_authority, start_secure_broker
from deploy.topics import TopicsSettings, apply_topics
from feeds.framing import frames_of
from feeds.producer import FrameProducer
from feeds.simulator.session import simulate
from gate._native import LimitTable
from history.client import StoreError, query
from schemas import codec, topics
from schemas.kafka_security import SASL_SSL, SSL, KafkaSecurity, kafka_python_options, librdkafka_options, security_of
from schemas.records import RiskState
from tests.gate import policies

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
JARS = ROOT / "jars" / "broker"
WAIT_S = 60.0
CLIENT_S = 180.0
STRANGER = "stranger"


@dataclass(frozen=True)
class World:
    """A broker with the rights of the table, and a password for everybody."""

    folder: Path
    book: ProcessBook
    authority: Authority
    port: int
    passwords: dict[str, str]

    @property
    def servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    def security(self, user: str) -> KafkaSecurity:
        return KafkaSecurity(
            security_protocol=SASL_SSL,
            sasl_username=user,
            sasl_password=self.passwords[user],
            ssl_ca=str(self.authority.path),
        )

    def options(self, user: str) -> dict[str, Any]:
        return {**librdkafka_options(self.security(user)), "bootstrap.servers": self.servers, "log_level": 0}

    def start(self, name: str, module: str, user: str, values: dict[str, Any]) -> Path:
        """Start one of our processes with its settings in a file and its password in another; return its state folder."""
        state = self.folder / name
        state.mkdir()
        secret = state / "password"
        secret.write_text(f"{self.passwords[user]}\n")
        secret.chmod(0o600)
        said = {
            "bootstrap_servers": self.servers,
            "security_protocol": SASL_SSL,
            "sasl_username": user,
            "sasl_password_file": str(secret),
            "ssl_ca": str(self.authority.path),
            **values,
        }
        path = state / "settings.toml"
        path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in said.items()))
        env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.book.start(name, [sys.executable, "-m", module, "--settings", str(path)], cwd=ROOT, env=env)
        return state


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if not shutil.which("java") or not any(JARS.glob("kafka_*.jar")):
        message = "java or the broker's jars are missing: this was NOT run against a broker (`make jars`)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    folder = tmp_path_factory.mktemp("secure")
    book = ProcessBook(folder / "book")
    ports = free_ports(2)
    authority = make_authority(folder / "certificates", dt.datetime.now(dt.UTC))
    passwords = {user: secrets.token_urlsafe(12) for user in (ADMIN, STRANGER, *(each.user for each in RIGHTS))}
    made = World(folder, book, authority, ports[0], passwords)
    try:
        start_secure_broker(
            book, folder / "broker", authority, ports=(ports[0], ports[1]), admin_password=passwords[ADMIN]
        )
        admin = AdminClient(made.options(ADMIN))
        wait("the broker answers", lambda: bool(admin.list_topics(timeout=1).brokers))
        ours = {user: word for user, word in passwords.items() if user not in {ADMIN, STRANGER}}
        done = apply_rights(made.servers, made.security(ADMIN), ours)
        assert len(done["added"]) > 50
        assert not done["removed"]
        give_a_password(admin, STRANGER, passwords[STRANGER])
        wait("the passwords hold", lambda: AdminClient(made.options("topics")).list_topics(timeout=1) is not None)
        applied = apply_topics(TopicsSettings(made.servers, keep_all=True, **security_of(made.security("topics"))))
        assert sorted(applied.created) == sorted(EVERY)
        yield made
    finally:
        book.stop_all()


def give_a_password(admin: AdminClient, user: str, password: str) -> None:
    from deploy.kafka_rights import _set_password

    _set_password(admin, user, password, mechanism="SCRAM-SHA-512")


def wait(what: str, ready: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if ready():
                return
        except (KafkaException, OSError, StoreError, ValueError, KeyError):
            pass
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def write(options: dict[str, Any], topic: str, value: bytes) -> KafkaError | None:
    """Return what the broker says to one message."""
    said: list[KafkaError | None] = []
    producer = confluent_kafka.Producer({**options, "message.timeout.ms": 10_000})
    producer.produce(topic, value, key="1", on_delivery=lambda error, _message: said.append(error))
    producer.flush(15)
    return said[0] if said else KafkaError(KafkaError._TIMED_OUT)


def read(world: World, user: str, topic: str) -> bytes | None:
    """Return the first message of a topic, ``None`` where there is none yet; no group is asked for."""
    consumer: Any = kafka.KafkaConsumer(
        bootstrap_servers=world.servers, auto_offset_reset="earliest", **kafka_python_options(world.security(user))
    )
    place = kafka.TopicPartition(topic, 0)
    try:
        consumer.assign([place])
        consumer.position(place, timeout_ms=10_000)
        found = consumer.poll(5_000, max_records=1)
        return bytes(found[place][0].value) if found else None
    finally:
        consumer.close()


def test_rights_are_set_once_and_what_is_more_is_taken_away(world: World) -> None:
    admin = world.security(ADMIN)
    assert apply_rights(world.servers, admin) == {"added": [], "removed": [], "passwords": []}
    extra = AclBinding(
        ResourceType.TOPIC,
        topics.RISK_COMMANDS,
        ResourcePatternType.LITERAL,
        "User:producer",
        "*",
        AclOperation.WRITE,
        AclPermissionType.ALLOW,
    )
    client = AdminClient(world.options(ADMIN))
    for done in client.create_acls([extra]).values():
        done.result(20)
    wait("the extra right is seen", lambda: apply_rights(world.servers, admin)["removed"] != [])
    wait("it is gone", lambda: apply_rights(world.servers, admin)["removed"] == [])


@pytest.mark.parametrize("topic", [topics.RISK_STATES, topics.RISK_COMMANDS, topics.RISK_ALERTS, topics.RISK_SCORES])
def test_client_without_rights_can_neither_read_nor_write_risk_topics(world: World, topic: str) -> None:
    written = write(world.options(STRANGER), topic, b"x")
    assert written is not None
    assert written.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    with pytest.raises(kafka.errors.KafkaError, match="AuthorizationFailed"):
        read(world, STRANGER, topic)


def test_client_without_password_certificate_or_tls_is_no_client(world: World) -> None:
    wrong = KafkaSecurity(
        security_protocol=SASL_SSL, sasl_username=ADMIN, sasl_password="guess", ssl_ca=str(world.authority.path)
    )
    strange = make_authority(world.folder / "strange", world.authority.now)
    impostor = replace(world.security(ADMIN), ssl_ca=str(strange.path))  # a broker that our authority did not sign
    plain = KafkaSecurity()
    by_certificate = KafkaSecurity(
        security_protocol=SSL, ssl_ca=str(world.authority.path), ssl_keystore=str(issue(world.authority, "nobody"))
    )
    for security in (wrong, impostor, plain, by_certificate):
        options = {**librdkafka_options(security), "bootstrap.servers": world.servers, "log_level": 0}
        with pytest.raises(KafkaException):
            AdminClient(options).list_topics(timeout=2)


def test_kafka_python_is_let_in_with_its_own_words(world: World) -> None:
    consumer: Any = kafka.KafkaConsumer(bootstrap_servers=world.servers, **kafka_python_options(world.security("api")))
    try:
        seen = consumer.topics()
    finally:
        consumer.close()
    assert seen == {*next(each for each in RIGHTS if each.user == "api").reads}


def test_producer_writes_frames_and_nothing_else(world: World) -> None:
    security = world.security("producer")
    session = simulate("calm", 7, duration_s=3)
    plan = session.scenario
    frames = list(frames_of([session.block], plan.channel_id, start_ns=plan.start_ns, end_ns=plan.end_ns))
    assert FrameProducer(world.servers, security).replay(frames, speed=None).frames == len(frames) > 10
    assert read(world, "compute-features", topics.MARKET_FRAMES) is not None
    with pytest.raises(kafka.errors.KafkaError, match="AuthorizationFailed"):
        read(world, "producer", topics.MARKET_FRAMES)
    for topic in set(EVERY) - {topics.MARKET_FRAMES}:
        error = write(world.options("producer"), topic, b"x")
        assert error is not None, topic
        assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED, topic


def test_history_sidecar_and_api_work_with_exactly_their_rights(world: World) -> None:
    table_path = world.folder / "limits"
    sidecar = world.start(
        "sidecar", "gate.sidecar", "sidecar",
        {"table_path": str(table_path), "state_dir": str(world.folder / "sidecar"), "capacity": 64},
    )  # fmt: skip
    state = world.folder / "api"
    port = free_ports(1)[0]
    api = world.start(
        "api", "api.server", "api",
        {"state_dir": str(state), "status_dir": str(state), "port": port, "tokens_path": str(state / "tokens.toml")},
    )  # fmt: skip
    token = issue_token(api / "tokens.toml", "max", [Role.VIEWER, Role.MAKER])
    store = world.folder / "history"
    history = world.start(
        "history", "history.writer", "history",
        {"data_dir": str(store / "data"), "status_dir": str(store), "socket_path": str(store / "h.sock")},
    )  # fmt: skip
    wait("the sidecar has caught up", lambda: bool(json.loads((sidecar / "gate.json").read_text())["caught_up"]))
    wait("the API has caught up", lambda: bool(ask(port, "/v1/health", token)["ready"]))

    state_of_one = replace(policies.STATE, instrument_id=1, epoch=2)
    tell(world, "score-risk", topics.RISK_STATES, [state_of_one])
    tell(world, "score-risk", topics.RISK_STATES, [b"no state at all"])
    kill_by_api(port, token)

    wait("the sidecar has the state and the command", lambda: LimitTable.attach(table_path).row_count > 0)
    wait("history has the state", lambda: rows(store, "risk_states") == 1)
    wait("history has the command of the API", lambda: rows(store, "commands") == 1)
    wait("history has the dead letters of sidecar and history", lambda: rows(store, "dead_letters") >= 2)
    for name in ("sidecar", "api", "history"):
        assert "AUTHORIZATION" not in (world.folder / "book" / "logs" / f"{name}.log").read_text()
        world.book.stop(name)
    assert json.loads((history / "history.json").read_text())["lag_messages"] == 0


def test_doctor_looks_at_topics_and_models_with_its_own_rights(world: World) -> None:
    tell(world, "score-risk", topics.RISK_STATES, [replace(policies.STATE, model_id="another")])
    settings = DoctorSettings(bootstrap_servers=world.servers, **security_of(world.security("doctor")))
    assert survey._topics(settings).level is Level.OK
    found = survey._agreement(settings)
    assert found.level is Level.WARN
    assert "risk.states come from another" in found.says


def test_compute_features_in_flink_works_with_exactly_its_rights(world: World) -> None:
    rest, rpc, blob = free_ports(3)
    cluster = FlinkCluster(
        world.book,
        world.folder / "flink",
        jars=ROOT / "jars" / "flink",
        ports=FlinkPorts(rpc=rpc, rest=rest, blob=blob),
    )
    said = {
        "bootstrap_servers": world.servers,
        "epoch": 1,
        "model_dir": str(ROOT / "models/default"),
        "checkpoint_interval_ms": 1_000,
        "security_protocol": SASL_SSL,
        "sasl_username": "compute-features",
        "ssl_ca": str(world.authority.path),
    }
    secret = world.folder / "flink.password"
    secret.write_text(world.passwords["compute-features"])
    path = world.folder / "jobs.toml"
    path.write_text(
        "".join(f"{key} = {json.dumps(value)}\n" for key, value in said.items()) + f'sasl_password_file = "{secret}"\n'
    )
    try:
        cluster.start(1)
        wait("the cluster is there", lambda: cluster.ready(1))
        client = cluster.submit("jobs.compute_features", ["--settings", str(path)])
        try:
            output, _ = client.communicate(timeout=CLIENT_S)
        finally:
            client.kill()  # one that does not end is not left behind
        assert client.returncode == 0, output[-3000:]
        assert world.passwords["compute-features"] not in output
        wait("a tick is computed", lambda: read(world, "score-risk", topics.FEATURES_TICKS) is not None)
        admin = AdminClient(world.options(ADMIN))
        wait("the job has committed its place", lambda: committed(admin, "tidegate.compute_features") > 0)
    finally:
        for name in ("taskmanager-1", "jobmanager"):
            world.book.stop(name)


def tell(world: World, user: str, topic: str, values: list[RiskState | bytes]) -> None:
    for value in values:
        assert (
            write(world.options(user), topic, value if isinstance(value, bytes) else codec.encode(topic, value)) is None
        )


def rows(store: Path, table: str) -> int:
    return int(query(f"SELECT count() FROM {table}", status_dir=store).rows[0][0])


def ask(port: int, path: str, token: str, body: Any = None) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Idempotency-Key": "one"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def kill_by_api(port: int, token: str) -> None:
    """Send the command that one person may send: it tightens."""
    said = ask(
        port, "/v1/commands", token, {"kind": "KILL", "scope": "account:ROGUE", "reason": "rights", "emergency": True}
    )
    assert said["status"] == "SENT"


def committed(admin: AdminClient, group: str) -> int:
    asked = [confluent_kafka.ConsumerGroupTopicPartitions(group)]
    (answer,) = admin.list_consumer_group_offsets(asked).values()
    return max((part.offset for part in answer.result(10).topic_partitions), default=0)
