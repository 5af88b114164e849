"""The jobs from one client: the local stack starts faster with one JVM and one interpreter than with three."""

import argparse
import sys
from typing import Final

from jobs import compute_features, enforce_orders, score_risk

_JOBS: Final = {job.NAME: job for job in (compute_features, score_risk, enforce_orders)}


def main(argv: list[str] | None = None) -> None:
    """Submit the jobs, one after the other: all three, or those that ``--only`` names."""
    parser = argparse.ArgumentParser(prog="all_jobs")
    parser.add_argument("--only", action="append", choices=sorted(_JOBS))
    options, arguments = parser.parse_known_args(sys.argv[1:] if argv is None else argv)
    for name, job in _JOBS.items():
        if options.only is None or name in options.only:
            job.main(arguments)


if __name__ == "__main__":
    main()
