"""Operators' uids are those of ``jobs/uids.toml``: what a running deployment's savepoints hold state under."""

import importlib
import tomllib
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from jobs.settings import JobSettings

ROOT = Path(__file__).parents[2]
JOBS = ("compute_features", "score_risk", "enforce_orders")


class Stream:
    """A stream that notes the uids of everything made from it."""

    def __init__(self, uids: list[str]) -> None:
        self._uids = uids

    def __getattr__(self, name: str) -> Any:
        def step(*args: Any, **_: Any) -> "Stream":
            if name == "uid":
                self._uids.append(args[0])
            return self

        return step


def uids_of(job: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the uids that a job's ``build`` gives, in order, sinks among them."""
    module = importlib.import_module(f"jobs.{job}")
    uids: list[str] = []
    stream = Stream(uids)
    tables = MagicMock()
    tables.to_data_stream.return_value = stream
    monkeypatch.setattr(module, "read_topic", lambda *_, **__: stream)
    monkeypatch.setattr(module, "write_topic", lambda *_, uid, **__: uids.append(uid))
    if hasattr(module, "register_vae_score"):
        monkeypatch.setattr(module, "register_vae_score", lambda *_: None)
    module.build(MagicMock(), tables, JobSettings("h:1", epoch=1, model_dir=ROOT / "models/default"))
    return uids


@pytest.mark.parametrize("job", JOBS)
def test_uids_are_the_committed_ones(job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = tomllib.loads((ROOT / "jobs" / "uids.toml").read_text())
    assert set(frozen) == set(JOBS)
    assert sorted(uids_of(job, monkeypatch)) == frozen[job]["uids"], (
        "state would be lost: see the head of jobs/uids.toml"
    )


@pytest.mark.parametrize("job", JOBS)
def test_no_uid_is_given_twice(job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = uids_of(job, monkeypatch)
    assert len(found) == len(set(found))
