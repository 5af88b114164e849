"""The job `score_risk`: features.ticks → risk.states, risk.alerts, risk.scores, models.events.

Entry: ``-pym jobs.score_risk --settings FILE``.
"""

import sys

from pyflink.common import Types
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

from jobs.entry import run_job
from jobs.operators.score_risk import (
    ALERTS,
    MARKET,
    MARKET_ALERTS,
    MODEL_EVENTS,
    RELEASES,
    SCALE_ALERTS,
    SCALE_LETTERS,
    SCORES,
    SWITCHES,
    TRACK_LETTERS,
    RaiseTogether,
    ScaleTicks,
    TrackRisk,
)
from jobs.scoring import NAME as VAE_SCORE
from jobs.scoring import register_vae_score
from jobs.settings import JobSettings
from jobs.sinks import MESSAGE, write_topic
from jobs.sources import key_of, read_topic
from schemas import topics

NAME = "score_risk"


def build(env: StreamExecutionEnvironment, tables: StreamTableEnvironment, settings: JobSettings) -> None:
    """Add the job's operators to ``env``."""
    del env
    register_vae_score(tables, settings)
    commands = read_topic(tables, settings, topic=topics.RISK_COMMANDS, job=NAME)
    viewed = (
        read_topic(tables, settings, topic=topics.FEATURES_TICKS, job=NAME)
        .key_by(key_of, key_type=Types.STRING())
        .connect(commands.broadcast(SWITCHES))
        .process(ScaleTicks(settings), output_type=MESSAGE)
        .uid("scale-ticks-v2")
        .name("scale-ticks")
    )
    tables.create_temporary_view("viewed_ticks", tables.from_data_stream(viewed))
    query = f"SELECT f0, f1, {VAE_SCORE}(f1) AS scores FROM viewed_ticks"  # noqa: S608 - our own name
    tracked = (
        tables.to_data_stream(tables.sql_query(query))
        .key_by(key_of, key_type=Types.STRING())
        .connect(commands.broadcast(RELEASES))
        .process(TrackRisk(settings), output_type=MESSAGE)
        .uid("track-risk-v2")
        .name("track-risk")
    )
    states = (
        tracked.key_by(lambda _: MARKET, key_type=Types.STRING())
        .process(RaiseTogether(settings), output_type=MESSAGE)
        .uid("raise-together-v1")
        .name("raise-together")
    )
    write_topic(states, settings, topic=topics.RISK_STATES, uid="score-risk-states-v1")
    model_alerts, market_alerts = viewed.get_side_output(SCALE_ALERTS), states.get_side_output(MARKET_ALERTS)
    write_topic(tracked.get_side_output(ALERTS), settings, topic=topics.RISK_ALERTS, uid="score-risk-alerts-v1")
    write_topic(model_alerts, settings, topic=topics.RISK_ALERTS, uid="score-risk-model-alerts-v1")
    write_topic(market_alerts, settings, topic=topics.RISK_ALERTS, uid="score-risk-market-alerts-v1")
    write_topic(tracked.get_side_output(SCORES), settings, topic=topics.RISK_SCORES, uid="score-risk-scores-v1")
    write_topic(
        viewed.get_side_output(MODEL_EVENTS), settings, topic=topics.MODELS_EVENTS, uid="score-risk-model-events-v1"
    )
    for number, letters in enumerate((viewed.get_side_output(SCALE_LETTERS), tracked.get_side_output(TRACK_LETTERS))):
        write_topic(letters, settings, topic=topics.DEAD_LETTERS, uid=f"score-risk-letters-{number}-v1")


def main(argv: list[str] | None = None) -> None:
    """Submit the job."""
    run_job(NAME, build, sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    main()
