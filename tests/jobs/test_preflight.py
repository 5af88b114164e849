"""The start-up check: each fault on one line, with its mend."""

from pathlib import Path

import pytest

from jobs.preflight import PreflightError, check_surroundings, python_faults, settings_faults
from jobs.settings import JobSettings

ROOT = Path(__file__).parents[2]


def settings(**changes: object) -> JobSettings:
    values: dict[str, object] = {
        "bootstrap_servers": "h:1",
        "epoch": 1,
        "model_dir": ROOT / "models/default",
        **changes,
    }
    return JobSettings(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"buffer_timeout_ms": 100}, "buffer_timeout_ms is 100"),
        ({"auto_watermark_ms": 200}, "auto_watermark_ms is 200"),
        ({"checkpoint_interval_ms": 10}, "checkpoint_interval_ms is 10"),
        ({"epoch": 0}, "epoch is 0"),
        ({"state_version": 3}, "state_version is 3"),
        ({"ttl_ms": 1500}, "states would expire between heartbeats"),
        ({"model_dir": Path("/nowhere")}, "make model"),
        ({"score_back_end": "both"}, "local or remote"),
        ({"score_back_end": "remote", "score_url": "triton"}, "score url 'triton'"),
        ({"score_deadline_ms": 0.0}, "score deadline"),
    ],
)
def test_bad_setting_is_one_line_with_its_mend(changes: dict[str, object], fault: str) -> None:
    (found,) = settings_faults(settings(**changes))
    assert fault in found
    assert "\n" not in found


def test_good_settings_have_no_fault() -> None:
    assert settings_faults(settings()) == []


def test_wrong_interpreter_and_wrong_package_are_named() -> None:
    assert "wanted 3.11" in python_faults((3, 12), "2.3.0")[0]
    assert "apache-flink is 1.20.0" in python_faults((3, 11), "1.20.0")[0]
    assert "another project" in python_faults((3, 11), None)[0]


def test_missing_connector_jar_says_make_jars() -> None:
    with pytest.raises(PreflightError, match="make jars"):
        check_surroundings(settings(), class_exists=lambda _name: False)
