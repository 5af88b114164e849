"""Security settings in the words of three client libraries, and the combinations that nobody may mean."""

from typing import Any

import pytest

from schemas.kafka_security import (
    FLINK_SHADED,
    KafkaSecurity,
    java_options,
    kafka_python_options,
    librdkafka_options,
    security_of,
)
from schemas.settings import SettingsError, describe

PASSWORD = {"security_protocol": "SASL_SSL", "sasl_username": "api", "sasl_password": "pa's\\s\"", "ssl_ca": "/ca.pem"}
CERTIFICATE = {"security_protocol": "SSL", "ssl_ca": "/ca.pem", "ssl_keystore": "/me.pem"}

# settings -> confluent-kafka, kafka-python, Java
TABLE: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({}, {}, {}, {}),
    (
        {"security_protocol": "SSL"},
        {"security.protocol": "SSL", "ssl.endpoint.identification.algorithm": "https"},
        {"security_protocol": "SSL", "ssl_check_hostname": True},
        {"security.protocol": "SSL", "ssl.endpoint.identification.algorithm": "https"},
    ),
    (
        PASSWORD,
        {
            "security.protocol": "SASL_SSL",
            "ssl.endpoint.identification.algorithm": "https",
            "ssl.ca.location": "/ca.pem",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": "api",
            "sasl.password": "pa's\\s\"",
        },
        {
            "security_protocol": "SASL_SSL",
            "ssl_check_hostname": True,
            "ssl_cafile": "/ca.pem",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": "api",
            "sasl_plain_password": "pa's\\s\"",
        },
        {
            "security.protocol": "SASL_SSL",
            "ssl.endpoint.identification.algorithm": "https",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": "/ca.pem",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required "
            'username="api" password="pa\'s\\\\s\\"";',
        },
    ),
    (
        CERTIFICATE,
        {
            "security.protocol": "SSL",
            "ssl.endpoint.identification.algorithm": "https",
            "ssl.ca.location": "/ca.pem",
            "ssl.certificate.location": "/me.pem",
            "ssl.key.location": "/me.pem",
        },
        {
            "security_protocol": "SSL",
            "ssl_check_hostname": True,
            "ssl_cafile": "/ca.pem",
            "ssl_certfile": "/me.pem",
            "ssl_keyfile": "/me.pem",
        },
        {
            "security.protocol": "SSL",
            "ssl.endpoint.identification.algorithm": "https",
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": "/ca.pem",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": "/me.pem",
        },
    ),
]


@pytest.mark.parametrize(("given", "confluent", "python", "java"), TABLE)
def test_each_library_is_told_in_its_own_words(
    given: dict[str, Any], confluent: dict[str, Any], python: dict[str, Any], java: dict[str, Any]
) -> None:
    said = KafkaSecurity(**given)
    assert librdkafka_options(said) == confluent
    assert kafka_python_options(said) == python
    assert java_options(said) == java


def test_flinks_connector_finds_the_login_module_under_its_own_prefix() -> None:
    plain = java_options(KafkaSecurity(**PASSWORD))["sasl.jaas.config"]
    assert java_options(KafkaSecurity(**PASSWORD), shaded=FLINK_SHADED)["sasl.jaas.config"] == FLINK_SHADED + plain


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"security_protocol": "SASL_PLAINTEXT"}, "security_protocol: 'SASL_PLAINTEXT' is none of"),
        ({"security_protocol": "SASL_SSL"}, "SASL_SSL without sasl_username"),
        ({"security_protocol": "SASL_SSL", "sasl_username": "api"}, "SASL_SSL without sasl_password"),
        ({**PASSWORD, "sasl_mechanism": "PLAIN"}, "sasl_mechanism: 'PLAIN' is none of"),
        ({"sasl_username": "api", "sasl_password": "x"}, "sasl_username: PLAINTEXT would never send it"),
        ({**CERTIFICATE, "sasl_password": "x"}, "sasl_password: SSL would never send it"),
        ({"ssl_ca": "/ca.pem"}, "ssl_ca: PLAINTEXT would never use it"),
    ],
)
def test_what_would_protect_less_than_it_looks_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        KafkaSecurity(**wrong)


def test_password_is_in_no_text_about_the_settings_and_travels_to_parts() -> None:
    said = KafkaSecurity(**PASSWORD)
    assert "pa's" not in describe(said) + repr(said)
    assert KafkaSecurity(**security_of(said)) == said
