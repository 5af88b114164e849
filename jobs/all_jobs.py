"""The three jobs from one client: the local stack starts faster with one JVM and one interpreter than with three."""

import sys

from jobs import compute_features, enforce_orders, score_risk


def main(argv: list[str] | None = None) -> None:
    """Submit the three jobs, one after the other."""
    arguments = sys.argv[1:] if argv is None else argv
    for job in (compute_features, score_risk, enforce_orders):
        job.main(arguments)


if __name__ == "__main__":
    main()
