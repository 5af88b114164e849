"""Checks of what runs: Flink's interpreter, JVM options and latency settings, topics, models and features in agreement.

Invariant: as in ``deploy.doctor.machine``, a check judges what it is given.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from deploy.doctor.finding import Finding, fail, judged, ok, warn
from deploy.doctor.machine import PYTHON
from schemas.topics import KEEP_FOR_EVER_MS, TOPICS

MESSAGE_BYTES_MIN: Final = 16 * 1024 * 1024
"""A dead letter holds the largest message whole."""
OPENS: Final = ("java.base/java.lang=ALL-UNNAMED", "java.base/java.nio=ALL-UNNAMED", "java.base/java.util=ALL-UNNAMED")
"""Of the packages that Flink reaches into, those without which a Python operator does not start."""
CHECKPOINT_MS_MAX: Final = 60_000


@dataclass(frozen=True, slots=True)
class StandingTopic:
    """A topic on the broker.

    Attributes:
        partitions: How many.
        configs: Its configs, as Kafka writes them.
    """

    partitions: int
    configs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Hashes:
    """Who speaks of which features and which model.

    Attributes:
        code: Hash of ``features.spec`` here.
        model: Hash in the deployed model folder.
        ticks: Hashes in the newest messages of ``features.ticks``.
        model_id: Of the deployed folder.
        states: Models in the newest messages of ``risk.states``.
        epoch: Of the settings.
        epochs: In those messages.
    """

    code: str
    model: str
    ticks: frozenset[str]
    model_id: str
    states: frozenset[str]
    epoch: int
    epochs: frozenset[int]


def flink_python(path: str, said: str | None) -> Finding:
    """Judge the interpreter that Flink starts, by what ``<path> -c 'print(version, flink)'`` says."""
    wanted = ".".join(map(str, PYTHON))
    if not said:
        return fail(
            "flink's python",
            f"{path} does not start or has no apache-flink",
            "set python.executable to .venv/bin/python",
        )
    if not said.startswith(f"{wanted}."):
        return fail("flink's python", f"{path} is {said}, wanted {wanted}", "set python.executable to .venv/bin/python")
    return ok("flink's python", f"{path}, {said}")


def jvm_options(processes: Mapping[str, Sequence[str]]) -> Finding:
    """Judge the command lines of the Flink JVMs, by name."""
    if not processes:
        return warn(
            "jvm options", "no Flink JVM on this machine: not looked at", "run the doctor where the TaskManagers run"
        )
    faults = []
    for name, words in processes.items():
        text = " ".join(words)
        faults += [f"{name} lacks --add-opens={wanted}" for wanted in OPENS if f"--add-opens={wanted}" not in text]
        heaps = {word[:4]: word[4:] for word in words if word.startswith(("-Xms", "-Xmx"))}
        if heaps.get("-Xms") != heaps.get("-Xmx"):
            faults.append(f"{name} has -Xms{heaps.get('-Xms')} and -Xmx{heaps.get('-Xmx')}: a heap that grows pauses")
    return judged(
        "jvm options", faults, well=f"{len(processes)} JVMs", mend="set env.java.opts.all as deploy/local/flink.py does"
    )


def latency(
    setting_faults: Iterable[str], cluster: Mapping[str, str], jobs: Mapping[str, Mapping[str, Any]]
) -> Finding:
    """Judge what delays a tick.

    Args:
        setting_faults: What ``jobs.preflight`` says of the jobs' settings.
        cluster: Flink's configuration.
        jobs: Name → its checkpoint configuration as Flink's REST gives it.
    """
    faults = [*setting_faults]
    if (slots := cluster.get("taskmanager.numberOfTaskSlots")) not in {None, "1"}:
        faults.append(f"{slots} slots in a TaskManager share one interpreter: set taskmanager.numberOfTaskSlots to 1")
    if (mode := cluster.get("python.execution-mode")) not in {None, "thread"}:
        faults.append(f"python.execution-mode is {mode}: set thread")
    for name, config in jobs.items():
        if config["mode"] != "at_least_once":
            faults.append(f"{name} checkpoints {config['mode']}: barriers would be aligned; set AT_LEAST_ONCE")
        if not 0 < config["interval"] <= CHECKPOINT_MS_MAX:
            faults.append(f"{name} checkpoints each {config['interval']} ms: a restart would replay so much")
    well = f"{len(jobs)} jobs" if jobs else "settings alone; no cluster to ask"
    return judged(
        "flink latency", faults, well=well, mend="mend the jobs' settings (docs/settings.md) and submit again"
    )


def topics(found: Mapping[str, StandingTopic], parallelism: int) -> Finding:
    """Judge topics and their configs against ``schemas/topics.py``: nothing may be kept shorter than it says."""
    faults = [f"{topic.name} is missing" for topic in TOPICS if topic.name not in found]
    for topic in TOPICS:
        if (standing := found.get(topic.name)) is not None:
            faults += [f"{topic.name}: {fault}" for fault in _topic_faults(standing, topic.retention_ms)]
    if faults:
        return fail(
            "topics", "; ".join(faults), "`tidegate up` makes a local stack's; `tidegate topics apply` a deployment's"
        )
    frames = found[TOPICS[0].name].partitions
    if frames < parallelism:
        said = f"{frames} partitions of {TOPICS[0].name} for {parallelism} subtasks: some read nothing"
        return warn("topics", said, "lower `parallelism`, or drain the topics and make them anew (docs/operations.md)")
    return ok("topics", f"{len(TOPICS)} as the schemas say, {frames} partitions")


def agreement(found: Hashes) -> Finding:
    """Judge whether code, model and running jobs mean the same features, and run the model that is deployed."""
    faults = []
    if found.model != found.code:
        faults.append(f"the model was fitted to features {found.model}, the code has {found.code}")
    if found.ticks - {found.code}:
        faults.append(f"features.ticks come with features {', '.join(sorted(found.ticks))}, the code has {found.code}")
    if any(epoch > found.epoch for epoch in found.epochs):
        faults.append(
            f"states come from epoch {max(found.epochs)}, the settings say {found.epoch}: readers would drop this job's"
        )
    if faults:
        return fail(
            "model and features",
            "; ".join(faults),
            "deploy jobs and model of one release (`make model`), with a larger epoch",
        )
    if found.states - {found.model_id}:
        said = f"risk.states come from {', '.join(sorted(found.states))}, deployed is {found.model_id}"
        return warn("model and features", said, "expected after LOAD_MODEL; else submit score_risk again")
    told = "running jobs agree" if found.states else "nothing told by a running job yet"
    return ok("model and features", f"{found.model_id}, features {found.code}, {told}")


def _topic_faults(standing: StandingTopic, retention_ms: int) -> list[str]:
    configs, faults = standing.configs, []
    kept_ms = int(configs.get("retention.ms", KEEP_FOR_EVER_MS))
    if kept_ms != KEEP_FOR_EVER_MS and (retention_ms == KEEP_FOR_EVER_MS or kept_ms < retention_ms):
        faults.append(f"retention.ms is {kept_ms}, wanted {retention_ms}")
    if int(configs.get("retention.bytes", KEEP_FOR_EVER_MS)) != KEEP_FOR_EVER_MS:
        faults.append(f"retention.bytes is {configs['retention.bytes']}, wanted -1")
    if configs.get("cleanup.policy", "delete") != "delete":
        faults.append(
            f"cleanup.policy is {configs['cleanup.policy']}: a later message of a key would take the earlier away"
        )
    if configs.get("message.timestamp.type", "CreateTime") != "CreateTime":
        faults.append("message.timestamp.type is not CreateTime: records carry event time")
    if int(configs.get("max.message.bytes", MESSAGE_BYTES_MIN)) < MESSAGE_BYTES_MIN:
        faults.append(f"max.message.bytes is {configs['max.message.bytes']}, wanted {MESSAGE_BYTES_MIN}")
    return faults
