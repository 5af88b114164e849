"""A local broker with TLS, SASL/SCRAM and ACLs: what a deployment must have, small enough for a test and a desk.

Invariant: clients come in over TLS with a password or a certificate of our authority and are denied what no ACL allows; the
controller's listener, which SCRAM cannot guard before there is a cluster, takes certificates alone. Keys last a day and lie in a
folder that its owner alone may read. Rejected: a store of Java's own kind (three client libraries share PEM files).
"""

import datetime as dt
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.local.broker import plain_properties, start_configured
from deploy.local.flink import repository
from deploy.local.processes import ProcessBook, Started
from schemas.kafka_security import LOGIN

ADMIN: Final = "admin"
BROKER: Final = "broker"
LIFETIME: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority of a day.

    Attributes:
        folder: Where its files lie.
        key: Its private key, in memory alone.
        certificate: Its certificate.
        now: When it was made, UTC.
    """

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    now: dt.datetime

    @property
    def path(self) -> Path:
        """Return the file that clients trust."""
        return self.folder / "ca.pem"


def make_authority(folder: Path, now: dt.datetime) -> Authority:
    """Make an authority whose certificates hold from an hour before ``now`` for a day."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tidegate local authority")])
    certificate = (
        _dated(now)
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    made = Authority(folder, key, certificate, now)
    made.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return made


def issue(authority: Authority, name: str) -> Path:
    """Return a PEM file with a key and a certificate of ``name``, good for both ends of a connection on this machine."""
    key = ec.generate_private_key(ec.SECP256R1())
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        _dated(authority.now)
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .sign(authority.key, hashes.SHA256())
    )
    path = authority.folder / f"{name}.pem"
    kinds = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(key.private_bytes(*kinds) + certificate.public_bytes(serialization.Encoding.PEM))
    return path


def start_secure_broker(
    book: ProcessBook, folder: Path, authority: Authority, *, ports: tuple[int, int], admin_password: str
) -> Started:
    """Start a broker that takes TLS and passwords alone, with one user, :data:`ADMIN`, who may do anything.

    Args:
        book: Where it is written down.
        folder: Of its data.
        authority: Signs its certificate.
        ports: Of clients, and of the controller.
        admin_password: Of the one user there is at the start.

    Raises:
        subprocess.CalledProcessError: The storage could not be formatted; the output is attached.
    """
    lines = plain_properties(folder, *ports) | broker_properties(authority, ports=ports) | login_of(admin_password)
    scram = f"SCRAM-SHA-512=[name={ADMIN},password={admin_password}]"
    return start_configured(
        book, folder, lines, jars=repository() / "jars" / "broker", format_options=["--add-scram", scram]
    )


def broker_properties(authority: Authority, *, ports: tuple[int, int]) -> dict[str, str]:
    """Return what makes a broker's configuration safe, in place of its plain listeners."""
    store = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(issue(authority, BROKER)),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.path),
    }
    listeners = f"SASL_SSL://127.0.0.1:{ports[0]},CONTROLLER://127.0.0.1:{ports[1]}"
    return {
        **store,
        "listeners": listeners,
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "SASL_SSL:SASL_SSL,CONTROLLER:SSL",
        "inter.broker.listener.name": "SASL_SSL",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "listener.name.controller.ssl.client.auth": "required",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": f"User:{ADMIN};User:CN={BROKER}",
    }


def login_of(password: str) -> dict[str, str]:
    """Return how the broker itself logs in where it talks to brokers."""
    words = f'{LOGIN} required username="{ADMIN}" password="{password}";'
    return {"listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": words}


def _dated(now: dt.datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
    )
