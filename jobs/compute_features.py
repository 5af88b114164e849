"""The job `compute_features`: market.frames → features.ticks. Entry: ``-pym jobs.compute_features --settings FILE``."""

import sys

from pyflink.common import Types
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

from jobs.entry import run_job
from jobs.operators.compute_features import DEAD_LETTERS, ComputeFeatures
from jobs.settings import JobSettings
from jobs.sinks import MESSAGE, write_topic
from jobs.sources import key_of, read_topic
from schemas import topics

NAME = "compute_features"


def build(env: StreamExecutionEnvironment, tables: StreamTableEnvironment, settings: JobSettings) -> None:
    """Add the job's operators to ``env``."""
    del env
    frames = read_topic(tables, settings, topic=topics.MARKET_FRAMES, job=NAME)
    ticks = (
        frames.key_by(key_of, key_type=Types.STRING())
        .process(ComputeFeatures(epoch=settings.epoch, state_version=settings.state_version), output_type=MESSAGE)
        .uid("compute-features-v1")
        .name("compute-features")
    )
    write_topic(ticks, settings, topic=topics.FEATURES_TICKS, uid="compute-features-ticks-v1")
    letters = ticks.get_side_output(DEAD_LETTERS)
    write_topic(letters, settings, topic=topics.DEAD_LETTERS, uid="compute-features-letters-v1")


def main(argv: list[str] | None = None) -> None:
    """Submit the job."""
    run_job(NAME, build, sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    main()
