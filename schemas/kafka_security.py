"""How a process proves to Kafka who it is, said once, and said again in the words of each client library.

Invariant: what a table here lacks reaches no client, and a combination that protects less than it looks is refused: names and
passwords without TLS, a user nobody authenticates. Certificates are PEM, because all three clients read it; the broker's name is
always checked. Rejected: SASL over plain TCP (SCRAM hides the password, not the orders), and each process taking its own
library's words (four dialects in five settings files).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from schemas.settings import SECRET, SettingsError, check_bounds, one_of

PLAINTEXT: Final = "PLAINTEXT"
SSL: Final = "SSL"
SASL_SSL: Final = "SASL_SSL"
MECHANISMS: Final = ("SCRAM-SHA-512", "SCRAM-SHA-256")
LOGIN: Final = "org.apache.kafka.common.security.scram.ScramLoginModule"
FLINK_SHADED: Final = "org.apache.flink.kafka.shaded."
"""The SQL connector's jar holds its Kafka client under this prefix; a login module of the plain name is not found there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSecurity:
    """Security settings that every process with a broker has.

    Attributes:
        security_protocol: ``PLAINTEXT``, ``SSL`` (TLS; a client certificate is the identity) or ``SASL_SSL`` (TLS and a password).
        sasl_mechanism: How the password is proved.
        sasl_username: User, of ``SASL_SSL``.
        sasl_password: Its password.
        ssl_ca: PEM file of the authorities that the broker's certificate must come from; empty = the system's.
        ssl_keystore: PEM file with this client's private key (PKCS #8, not encrypted) and its certificates; empty = none.
    """

    security_protocol: str = field(default=PLAINTEXT, metadata=one_of(PLAINTEXT, SSL, SASL_SSL))
    sasl_mechanism: str = field(default=MECHANISMS[0], metadata=one_of(*MECHANISMS))
    sasl_username: str = ""
    sasl_password: str = field(default="", metadata=SECRET, repr=False)
    ssl_ca: str = ""
    ssl_keystore: str = ""

    def __post_init__(self) -> None:
        """Refuse values out of bounds, and what would be taken for protection and is none."""
        check_bounds(self)
        if self.security_protocol == SASL_SSL:
            for name in ("sasl_username", "sasl_password"):
                if not getattr(self, name):
                    raise SettingsError(f"security_protocol: SASL_SSL without {name}")
        elif name := next((name for name in ("sasl_username", "sasl_password") if getattr(self, name)), ""):
            raise SettingsError(
                f"{name}: {self.security_protocol} would never send it; set security_protocol to SASL_SSL"
            )
        if self.security_protocol == PLAINTEXT:
            for name in ("ssl_ca", "ssl_keystore"):
                if getattr(self, name):
                    raise SettingsError(f"{name}: PLAINTEXT would never use it; set security_protocol")


def security_of(settings: KafkaSecurity) -> dict[str, Any]:
    """Return the security part of a process' settings, as arguments for the settings of a part of it."""
    return {each.name: getattr(settings, each.name) for each in fields(KafkaSecurity)}


# What each library calls a setting. A setting that is empty, or that the protocol has no use for, is not said at all.
LIBRDKAFKA: Final = {
    "security.protocol": "security_protocol",
    "ssl.ca.location": "ssl_ca",
    "ssl.certificate.location": "ssl_keystore",
    "ssl.key.location": "ssl_keystore",
    "sasl.mechanism": "sasl_mechanism",
    "sasl.username": "sasl_username",
    "sasl.password": "sasl_password",
}
KAFKA_PYTHON: Final = {
    "security_protocol": "security_protocol",
    "ssl_cafile": "ssl_ca",
    "ssl_certfile": "ssl_keystore",
    "ssl_keyfile": "ssl_keystore",
    "sasl_mechanism": "sasl_mechanism",
    "sasl_plain_username": "sasl_username",
    "sasl_plain_password": "sasl_password",
}
JAVA: Final = {
    "security.protocol": "security_protocol",
    "ssl.truststore.location": "ssl_ca",
    "ssl.keystore.location": "ssl_keystore",
    "sasl.mechanism": "sasl_mechanism",
}


def librdkafka_options(said: KafkaSecurity) -> dict[str, str]:
    """Return the options of confluent-kafka; none for ``PLAINTEXT``."""
    options = _translated(said, LIBRDKAFKA)
    return options | {"ssl.endpoint.identification.algorithm": "https"} if options else options


def kafka_python_options(said: KafkaSecurity) -> dict[str, str | bool]:
    """Return the arguments of kafka-python; none for ``PLAINTEXT``."""
    options: dict[str, str | bool] = dict(_translated(said, KAFKA_PYTHON))
    return options | {"ssl_check_hostname": True} if options else options


def java_options(said: KafkaSecurity, *, shaded: str = "") -> dict[str, str]:
    """Return the properties of Kafka's own client; none for ``PLAINTEXT``.

    Args:
        said: Settings.
        shaded: What stands before the names of its classes; :data:`FLINK_SHADED` in Flink's connector.
    """
    options = _translated(said, JAVA)
    if not options:
        return options
    options["ssl.endpoint.identification.algorithm"] = "https"
    options |= {
        f"ssl.{store}.type": "PEM" for store in ("truststore", "keystore") if f"ssl.{store}.location" in options
    }
    if said.security_protocol == SASL_SSL:
        user, password = _quoted(said.sasl_username), _quoted(said.sasl_password)
        options["sasl.jaas.config"] = f'{shaded}{LOGIN} required username="{user}" password="{password}";'
    return options


def _translated(said: KafkaSecurity, table: Mapping[str, str]) -> dict[str, str]:
    if said.security_protocol == PLAINTEXT:
        return {}
    told = {option: name for option, name in table.items() if said.security_protocol == SASL_SSL or "sasl" not in name}
    return {option: value for option, name in told.items() if (value := getattr(said, name))}


def _quoted(text: str) -> str:
    """Return ``text`` as it stands between quotes in a JAAS configuration."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
