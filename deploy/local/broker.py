"""A whole Kafka broker (KRaft, one node) from the jars that Maven brought."""

import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.processes import FAST_START, ProcessBook, Started

HEAP = "512m"


def start_broker(book: ProcessBook, folder: Path, *, jars: Path, port: int, controller_port: int) -> Started:
    """Start the broker with its data in ``folder``, formatting the storage the first time.

    Raises:
        subprocess.CalledProcessError: The storage could not be formatted; the output is attached.
    """
    return start_configured(book, folder, plain_properties(folder, port, controller_port), jars=jars)


def start_configured(
    book: ProcessBook,
    folder: Path,
    properties: Mapping[str, object],
    *,
    jars: Path,
    format_options: Sequence[str] = (),
) -> Started:
    """Start a broker with ``properties``, formatting the storage the first time, with ``format_options`` beside our own.

    Raises:
        subprocess.CalledProcessError: The storage could not be formatted; the output is attached.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "server.properties"
    config.touch(mode=0o600)  # it may hold a password
    config.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    class_path = f"{jars}/*"
    if not (folder / "data" / "meta.properties").exists():
        tool = ["java", FAST_START, "-cp", class_path, "kafka.tools.StorageTool"]
        subprocess.run(
            [*tool, "format", "--standalone", "-t", cluster_id(), "-c", str(config), *format_options],
            check=True,
            capture_output=True,
            text=True,
        )
    java = ["java", f"-Xms{HEAP}", f"-Xmx{HEAP}", "-XX:+UseSerialGC", FAST_START, "-XX:MaxDirectMemorySize=256m"]
    return book.start("broker", [*java, "-cp", class_path, "kafka.Kafka", str(config)], cwd=folder)


def cluster_id() -> str:
    """Return a new cluster id as Kafka writes them: 22 characters, the first not a dash, which would read as an option."""
    while True:
        made = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        if not made.startswith("-"):
            return made


def plain_properties(folder: Path, port: int, controller_port: int) -> dict[str, object]:
    """Return the configuration of a broker that takes plain text from this machine."""
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": folder / "data",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "auto.create.topics.enable": "false",
        "num.network.threads": 2,
        "num.io.threads": 2,
        "log.cleaner.enable": "false",
        "message.max.bytes": 16 * 1024 * 1024,
        # Recorded and simulated sessions carry their own event times, years from the broker's clock.
        "log.message.timestamp.before.max.ms": 2**63 - 1,
        "log.message.timestamp.after.max.ms": 2**63 - 1,
        "log.retention.check.interval.ms": 24 * 3600 * 1000,
    }
