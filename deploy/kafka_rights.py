"""Who may do what on Kafka: one table, from which ACLs, users' commands and Strimzi's resources are made.

Invariant: a process has exactly the rights that its code uses; what is not in the table is denied (the authorizer denies what no
ACL allows). Nobody may delete a topic or a message. Only people's commands loosen limits, so only the API writes them. Rejected:
rights by prefix of topic names (``risk.*`` would let a scorer write commands), and rights kept where the brokers are (two places
would say who may set limits).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from schemas import topics
from schemas.kafka_security import KafkaSecurity, librdkafka_options

TIMEOUT_S: Final = 20.0
ITERATIONS: Final = 8_192
CLUSTER: Final = "kafka-cluster"
"""Kafka's name of the one cluster resource."""
EVERY: Final = tuple(topic.name for topic in topics.TOPICS)
PAGE: Final = "docs/operations.md"
BEGIN: Final = "<!-- rights: begin; written by `tidegate kafka-rights page` -->"
END: Final = "<!-- rights: end -->"
MECHANISMS: Final = {"SCRAM-SHA-512": "SCRAM_SHA_512", "SCRAM-SHA-256": "SCRAM_SHA_256"}


class RightsError(RuntimeError):
    """The broker refused; the message says what."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What one process may do.

    Attributes:
        user: Its name on Kafka.
        reads: Topics that it reads.
        writes: Topics that it writes.
        groups: Consumer groups whose offsets it commits.
        names: A group that its client names and never joins: the client looks for the group's coordinator all the same.
        makes_topics: It creates topics and sets their configs.
        looks: It may see every topic, its configs and the groups.
    """

    user: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    makes_topics: bool = False
    looks: bool = False


RIGHTS: Final = (
    Rights("producer", writes=(topics.MARKET_FRAMES,)),
    Rights(
        "compute-features",
        reads=(topics.MARKET_FRAMES,),
        writes=(topics.FEATURES_TICKS, topics.DEAD_LETTERS),
        groups=("tidegate.compute_features",),
    ),
    Rights(
        "score-risk",
        reads=(topics.FEATURES_TICKS, topics.RISK_COMMANDS),
        writes=(topics.RISK_STATES, topics.RISK_SCORES, topics.RISK_ALERTS, topics.MODELS_EVENTS, topics.DEAD_LETTERS),
        groups=("tidegate.score_risk",),
    ),
    Rights(
        "enforce-orders",
        reads=(
            topics.RISK_STATES,
            topics.RISK_COMMANDS,
            topics.ORDERS_REQUESTS,
            topics.ORDERS_EXECUTIONS,
            topics.ORDERS_FACTS,
        ),
        writes=(topics.ORDERS_DECISIONS, topics.DEAD_LETTERS),
        groups=("tidegate.enforce_orders",),
    ),
    Rights(
        "sidecar",
        reads=(topics.RISK_STATES, topics.RISK_COMMANDS),
        writes=(topics.RISK_ALERTS, topics.DEAD_LETTERS),
        groups=("tidegate-gate",),
    ),
    Rights(
        "history",
        reads=tuple(name for name in EVERY if name != topics.MARKET_FRAMES),
        writes=(topics.DEAD_LETTERS,),
        groups=("tidegate-history",),
    ),
    Rights(
        "api",
        reads=(
            topics.RISK_STATES,
            topics.FEATURES_TICKS,
            topics.RISK_ALERTS,
            topics.ORDERS_DECISIONS,
            topics.RISK_COMMANDS,
            topics.DEAD_LETTERS,
        ),
        writes=(topics.RISK_COMMANDS,),
        names=("tidegate-api",),
    ),
    Rights("trading", writes=(topics.ORDERS_DECISIONS, topics.ORDERS_FACTS, topics.RISK_ALERTS, topics.DEAD_LETTERS)),
    Rights("order-management", writes=(topics.ORDERS_REQUESTS, topics.ORDERS_EXECUTIONS)),
    Rights("quality", writes=(topics.QUALITY_RESULTS, topics.RISK_ALERTS)),
    Rights("topics", makes_topics=True),
    Rights("doctor", reads=(topics.FEATURES_TICKS, topics.RISK_STATES), names=("tidegate-doctor",), looks=True),
)

# A rule is (kind of resource, its name, operation), in the words of Kafka's own tools.
Rule = tuple[str, str, str]


def rules_of(rights: Rights) -> list[Rule]:
    """Return what ``rights`` allow. Write takes an idempotent producer with it; Read and Write take Describe."""
    rules = [("topic", name, "read") for name in rights.reads]
    rules += [("topic", name, "write") for name in rights.writes]
    rules += [("group", name, "read") for name in rights.groups]
    rules += [("group", name, "describe") for name in rights.names]
    if rights.makes_topics:
        rules += [("topic", name, word) for name in EVERY for word in ("create", "describe_configs", "alter_configs")]
    if rights.looks:
        rules += [("topic", name, word) for name in EVERY for word in ("describe", "describe_configs")]
        rules += [("cluster", CLUSTER, "describe")]
        rules += [("group", name, "describe") for each in RIGHTS for name in each.groups]
    return rules


def bindings_of(rights: Rights) -> list[AclBinding]:
    """Return the ACLs of one user, from any host."""
    return [
        AclBinding(
            ResourceType.BROKER if kind == "cluster" else ResourceType[kind.upper()],
            name,
            ResourcePatternType.LITERAL,
            f"User:{rights.user}",
            "*",
            AclOperation[word.upper()],
            AclPermissionType.ALLOW,
        )
        for kind, name, word in rules_of(rights)
    ]


def apply_rights(
    bootstrap_servers: str, security: KafkaSecurity, passwords: Mapping[str, str] | None = None
) -> dict[str, list[str]]:
    """Make the broker's ACLs of our users those of the table: what is missing is added, what is more is taken away.

    Args:
        bootstrap_servers: Kafka.
        security: Of a user who may change ACLs.
        passwords: User → new SCRAM password; of those alone.

    Returns:
        ``added``, ``removed`` and ``passwords``: what was done, each as one line.

    Raises:
        RightsError: The broker does not answer or refuses, or a password is for nobody in the table.
    """
    users = {rights.user for rights in RIGHTS}
    if strangers := sorted(set(passwords or {}) - users):
        raise RightsError(f"nobody in the table is called {', '.join(strangers)}; known: {', '.join(sorted(users))}")
    try:
        options: dict[str, Any] = {
            **librdkafka_options(security),
            "bootstrap.servers": bootstrap_servers,
            "log_level": 2,
        }
        admin = AdminClient(options)
        for user, password in (passwords or {}).items():
            _set_password(admin, user, password, mechanism=security.sasl_mechanism)
        wanted = {binding for rights in RIGHTS for binding in bindings_of(rights)}
        found = {binding for user in sorted(users) for binding in _standing(admin, user)}
        for made in (admin.create_acls(list(wanted - found)) if wanted - found else {}).values():
            made.result(TIMEOUT_S)
        extra = [_filter_of(binding) for binding in found - wanted]
        for gone in (admin.delete_acls(extra) if extra else {}).values():
            gone.result(TIMEOUT_S)
    except KafkaException as error:
        raise RightsError(f"{bootstrap_servers}: {error}") from error
    return {
        "added": sorted(map(_said, wanted - found)),
        "removed": sorted(map(_said, found - wanted)),
        "passwords": sorted(passwords or {}),
    }


def commands(bootstrap_servers: str = "$BOOTSTRAP", admin_file: str = "admin.properties") -> Iterator[str]:
    """Yield the table as commands of Kafka's own tool, for those who keep their ACLs by hand."""
    start = f"kafka-acls.sh --bootstrap-server {bootstrap_servers} --command-config {admin_file} --add"
    for rights in RIGHTS:
        for kind, name, word in rules_of(rights):
            resource = "--cluster" if kind == "cluster" else f"--{kind} {name}"
            yield f"{start} --allow-principal User:{rights.user} --operation {_camel(word)} {resource}"


def strimzi_users(cluster: str = "kafka", namespace: str = "kafka") -> list[dict[str, Any]]:
    """Return the table as Strimzi's KafkaUser resources, whose operator makes a secret with the password of each."""
    return [
        {
            "apiVersion": "kafka.strimzi.io/v1beta2",
            "kind": "KafkaUser",
            "metadata": {
                "name": rights.user,
                "namespace": namespace,
                "labels": {"strimzi.io/cluster": cluster, "app.kubernetes.io/part-of": "tidegate"},
            },
            "spec": {
                "authentication": {"type": "scram-sha-512"},
                "authorization": {"type": "simple", "acls": list(_strimzi_acls(rights))},
            },
        }
        for rights in RIGHTS
    ]


def page_table() -> str:
    """Return the table in Markdown."""
    rows = ["| user | reads | writes | groups | beside |", "|---|---|---|---|---|"]
    for each in RIGHTS:
        beside = (
            "makes topics, sets their configs"
            if each.makes_topics
            else "sees topics, configs and groups"
            if each.looks
            else ""
        )
        groups = [*each.groups, *(f"{name} (named, never joined)" for name in each.names)]
        parts = (", ".join(words) for words in (each.reads, each.writes, groups))
        rows.append(f"| `{each.user}` | {' | '.join(parts)} | {beside} |")
    return "\n".join(rows) + "\n"


def with_table(page: str) -> str:
    """Return a page with the table between its marks.

    Raises:
        RightsError: The page has no such place.
    """
    begin, end = page.find(BEGIN), page.find(END)
    if begin < 0 or end < begin:
        raise RightsError(f"the page lacks {BEGIN} and {END}")
    return page[: begin + len(BEGIN)] + "\n" + page_table() + page[end:]


def _strimzi_acls(rights: Rights) -> Iterator[dict[str, Any]]:
    operations: dict[tuple[str, str], list[str]] = {}
    for kind, name, word in rules_of(rights):
        operations.setdefault((kind, name), []).append(_camel(word))
    for (kind, name), words in operations.items():
        resource = {"type": kind} if kind == "cluster" else {"type": kind, "name": name, "patternType": "literal"}
        yield {"resource": resource, "operations": words, "host": "*"}


def _set_password(admin: AdminClient, user: str, password: str, *, mechanism: str) -> None:
    info = ScramCredentialInfo(ScramMechanism[MECHANISMS[mechanism]], ITERATIONS)
    changed = admin.alter_user_scram_credentials([UserScramCredentialUpsertion(user, info, password.encode())])
    for done in changed.values():
        done.result(TIMEOUT_S)


def _standing(admin: AdminClient, user: str) -> list[AclBinding]:
    anything = AclBindingFilter(
        ResourceType.ANY,
        None,
        ResourcePatternType.ANY,
        f"User:{user}",
        None,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    found: list[AclBinding] = admin.describe_acls(anything).result(TIMEOUT_S)
    return found


def _filter_of(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )


def _said(binding: AclBinding) -> str:
    return f"{binding.principal} {binding.operation.name.lower()} {binding.restype.name.lower()} {binding.name}"


def _camel(word: str) -> str:
    return "".join(part.capitalize() for part in word.split("_"))
