"""The check before a job is built: what would fail later and far away fails here, on one line, with the mend."""

import importlib.util
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from jobs.machines.sealing import VERSIONS
from jobs.settings import MAX_PARALLELISM, JobSettings
from models.folder import read_folder
from models.model_files import ModelError
from models.serving.connection import address_of
from models.serving.interface import REMOTE, ServingError

FLINK: Final = "2.3.0"
PYTHON: Final = (3, 11)
BUFFER_TIMEOUT_MS_MAX: Final = 5
AUTO_WATERMARK_MS_MAX: Final = 20
KAFKA_TABLE_FACTORY: Final = "org.apache.flink.streaming.connectors.kafka.table.KafkaDynamicTableFactory"


class PreflightError(RuntimeError):
    """The surroundings would not work; each line says what is wrong and what to do."""


def check_surroundings(settings: JobSettings, *, class_exists: Callable[[str], bool] | None = None) -> None:
    """Check interpreter, package, jars, latency settings and model.

    Args:
        settings: Settings of the job.
        class_exists: Tells whether the cluster's JVM knows a class; asks the gateway when ``None``.

    Raises:
        PreflightError: With every fault, a line each.
    """
    faults = [*python_faults(sys.version_info[:2], _flink_version()), *settings_faults(settings)]
    if not (class_exists or _jvm_knows)(KAFKA_TABLE_FACTORY):
        faults.append(
            "the Kafka connector is not on Flink's class path: run `make jars` and link jars/flink/*.jar into Flink's lib folder"
        )
    if faults:
        raise PreflightError("\n".join(faults))


def python_faults(python: tuple[int, ...], flink: str | None) -> list[str]:
    """Return what is wrong with the interpreter and the pyflink package."""
    faults = []
    if python != PYTHON:
        wanted = ".".join(map(str, PYTHON))
        faults.append(f"Python is {'.'.join(map(str, python))}, wanted {wanted}: submit with -pyclientexec and -pyexec")
    if flink is None:
        faults.append(
            "apache-flink is not installed here (the package named pyflink is another project): run `make setup`"
        )
    elif flink != FLINK:
        faults.append(f"apache-flink is {flink}, wanted {FLINK}: run `make setup`")
    return faults


def settings_faults(settings: JobSettings) -> list[str]:
    """Return what is wrong with the settings."""
    faults = []
    if not 0 <= settings.buffer_timeout_ms <= BUFFER_TIMEOUT_MS_MAX:
        faults.append(
            f"buffer_timeout_ms is {settings.buffer_timeout_ms}: ticks would wait; set 0 to {BUFFER_TIMEOUT_MS_MAX}"
        )
    if not 1 <= settings.auto_watermark_ms <= AUTO_WATERMARK_MS_MAX:
        faults.append(f"auto_watermark_ms is {settings.auto_watermark_ms}: set 1 to {AUTO_WATERMARK_MS_MAX}")
    if settings.checkpoint_interval_ms < 1_000:
        faults.append(f"checkpoint_interval_ms is {settings.checkpoint_interval_ms}: set at least 1000")
    if not 1 <= settings.parallelism <= MAX_PARALLELISM:
        faults.append(f"parallelism is {settings.parallelism}: set 1 to {MAX_PARALLELISM}")
    if settings.state_version not in VERSIONS:
        faults.append(f"state_version is {settings.state_version}: set one of {VERSIONS}")
    if settings.epoch < 1:
        faults.append(f"epoch is {settings.epoch}: it counts deployments from 1")
    if settings.ttl_ms < 2 * settings.state_heartbeat_ms:
        faults.append(
            f"ttl_ms is {settings.ttl_ms}: states would expire between heartbeats; set twice state_heartbeat_ms"
        )
    return [*faults, *_model_faults(settings)]


def _model_faults(settings: JobSettings) -> list[str]:
    faults = []
    try:
        read_folder(settings.model_dir)
    except ModelError as error:
        faults.append(f"{error}: set model_dir, or run `make model`")
    try:
        if settings.serving.back_end == REMOTE:
            address_of(settings.score_url)
    except ServingError as error:
        faults.append(f"{error}: mend score_back_end, score_provider, score_url or score_deadline_ms")
    return faults


def _flink_version() -> str | None:
    try:
        return version("apache-flink") if importlib.util.find_spec("pyflink") else None
    except PackageNotFoundError:
        return None


def _jvm_knows(name: str) -> bool:
    from py4j.protocol import Py4JJavaError  # noqa: PLC0415 - the gateway starts a JVM
    from pyflink.java_gateway import get_gateway  # noqa: PLC0415

    try:
        get_gateway().jvm.java.lang.Class.forName(name)
    except Py4JJavaError:
        return False
    return True
