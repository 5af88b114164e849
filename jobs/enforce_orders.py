"""The job `enforce_orders`: orders.requests, orders.executions and orders.facts → orders.decisions.

Entry: ``-pym jobs.enforce_orders --settings FILE``.
"""

import sys

from pyflink.common import Types
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

from jobs.entry import run_job
from jobs.operators.enforce_orders import DEAD_LETTERS, FIRM, RULES, EnforceOrders
from jobs.settings import JobSettings
from jobs.sinks import MESSAGE, write_topic
from jobs.sources import read_topic
from schemas import topics

NAME = "enforce_orders"


def build(env: StreamExecutionEnvironment, tables: StreamTableEnvironment, settings: JobSettings) -> None:
    """Add the job's operators to ``env``."""
    del env
    states = read_topic(tables, settings, topic=topics.RISK_STATES, job=NAME)
    commands = read_topic(tables, settings, topic=topics.RISK_COMMANDS, job=NAME)
    requests = read_topic(tables, settings, topic=topics.ORDERS_REQUESTS, job=NAME)
    executions = read_topic(tables, settings, topic=topics.ORDERS_EXECUTIONS, job=NAME)
    facts = read_topic(tables, settings, topic=topics.ORDERS_FACTS, job=NAME)
    enforce = EnforceOrders(
        ttl_ms=settings.ttl_ms, epoch=settings.epoch, schema_registry_url=settings.schema_registry_url
    )
    decisions = (
        requests.union(executions, facts)
        .key_by(lambda _row: FIRM, key_type=Types.STRING())
        .connect(states.union(commands).broadcast(RULES))
        .process(enforce, output_type=MESSAGE)
        .uid("enforce-orders-v3")
        .name("enforce-orders")
    )
    write_topic(decisions, settings, topic=topics.ORDERS_DECISIONS, uid="enforce-orders-decisions-v1")
    letters = decisions.get_side_output(DEAD_LETTERS)
    write_topic(letters, settings, topic=topics.DEAD_LETTERS, uid="enforce-orders-letters-v1")


def main(argv: list[str] | None = None) -> None:
    """Submit the job."""
    run_job(NAME, build, sys.argv[1:] if argv is None else argv)


if __name__ == "__main__":
    main()
