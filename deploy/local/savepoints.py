"""Savepoints of a running job through Flink's REST interface (PyFlink's own methods are broken in 2.3)."""

import time
from pathlib import Path
from typing import Final

from deploy.local.flink import FlinkCluster, FlinkError

TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.05


def stop_with_savepoint(cluster: FlinkCluster, job_id: str, folder: Path) -> str:
    """End a job with a savepoint in ``folder`` and return where it lies, once the job has ended.

    Raises:
        FlinkError: There is no savepoint; the job goes on.
        OSError: Nobody answers.
    """
    asked = {"targetDirectory": f"file://{folder}", "drain": False, "formatType": "CANONICAL"}
    location = _awaited(cluster, job_id, cluster.ask("POST", f"/jobs/{job_id}/stop", asked)["request-id"])
    wait_ended(cluster, job_id)
    return location


def savepoint(cluster: FlinkCluster, job_id: str, folder: Path) -> str:
    """Take a savepoint of a job that goes on, in ``folder``, and return where it lies.

    Raises:
        FlinkError: There is no savepoint.
        OSError: Nobody answers.
    """
    asked = {"target-directory": f"file://{folder}", "cancel-job": False, "formatType": "CANONICAL"}
    return _awaited(cluster, job_id, cluster.ask("POST", f"/jobs/{job_id}/savepoints", asked)["request-id"])


def _awaited(cluster: FlinkCluster, job_id: str, request_id: str) -> str:
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        answer = cluster.get(f"/jobs/{job_id}/savepoints/{request_id}")
        if answer["status"]["id"] == "COMPLETED":
            break
        if time.monotonic() > deadline:
            raise FlinkError(f"job {job_id}: no savepoint within {TIMEOUT_S:.0f} s")
        time.sleep(POLL_S)
    location = answer["operation"].get("location")
    if location is None:
        cause = str(answer["operation"].get("failure-cause", {}).get("stack-trace", "no reason given"))
        raise FlinkError(f"job {job_id}: no savepoint: {cause[-2000:]}")
    return str(location)


def cancel(cluster: FlinkCluster, job_id: str) -> None:
    """End a job as it is, without a savepoint.

    Raises:
        FlinkError: It does not end.
        OSError: Nobody answers.
    """
    cluster.ask("PATCH", f"/jobs/{job_id}?mode=cancel")
    wait_ended(cluster, job_id)


def wait_ended(cluster: FlinkCluster, job_id: str) -> None:
    """Wait until a job has ended, however.

    Raises:
        FlinkError: It does not.
    """
    deadline = time.monotonic() + TIMEOUT_S
    while cluster.get(f"/jobs/{job_id}")["state"] not in {"FINISHED", "CANCELED", "FAILED"}:
        if time.monotonic() > deadline:
            raise FlinkError(f"job {job_id} does not end")
        time.sleep(POLL_S)
