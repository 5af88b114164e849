"""The Flink environment of a job: thread mode, file-system checkpoints, low latency. Same for all three jobs."""

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

from jobs.settings import MAX_PARALLELISM, JobSettings


def environment(
    settings: JobSettings, *, savepoint: str | None = None
) -> tuple[StreamExecutionEnvironment, StreamTableEnvironment]:
    """Return the DataStream environment and the table environment on top of it; the job starts from ``savepoint``.

    Checkpoint and state folders come from the cluster's own configuration (``execution.checkpointing.dir``).
    """
    config = Configuration()
    config.set_string("python.execution-mode", "thread")
    config.set_string("pipeline.max-parallelism", str(MAX_PARALLELISM))
    config.set_string("execution.buffer-timeout.interval", f"{settings.buffer_timeout_ms} ms")
    config.set_string("pipeline.auto-watermark-interval", f"{settings.auto_watermark_ms} ms")
    config.set_string("execution.checkpointing.interval", f"{settings.checkpoint_interval_ms} ms")
    config.set_string("execution.checkpointing.mode", "AT_LEAST_ONCE")
    config.set_string("execution.checkpointing.timeout", "60 s")
    config.set_string("execution.checkpointing.tolerable-failed-checkpoints", "10")
    config.set_string("restart-strategy.type", "fixed-delay")
    config.set_string("restart-strategy.fixed-delay.attempts", str(2**31 - 1))
    config.set_string("restart-strategy.fixed-delay.delay", f"{settings.restart_delay_ms} ms")
    # Ticks must be equal after a restore; objects are bytes and are never changed by an operator.
    config.set_string("pipeline.object-reuse", "true")
    if savepoint is not None:
        config.set_string("execution.state-recovery.path", savepoint)
    env = StreamExecutionEnvironment.get_execution_environment(config)
    env.set_parallelism(settings.parallelism)
    return env, StreamTableEnvironment.create(env)
