"""Starting Triton: an environment that is missing, or has none in it, is named with its mend before anything is started."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.cli import main
from deploy.local import triton
from deploy.local.triton import TritonError, TritonPorts, command_of

PORTS = TritonPorts(1, 2, 3)


def test_missing_environment_says_make_serving_env(tmp_path: Path) -> None:
    with pytest.raises(TritonError, match="make serving-env"):
        command_of(tmp_path, PORTS, tmp_path / "nowhere")


def test_environment_without_triton_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')  # -S: no installed packages
    python.chmod(0o755)
    with pytest.raises(TritonError, match="has no Triton"):
        command_of(tmp_path, PORTS, tmp_path)


def test_command_to_serve_says_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "nowhere"
    monkeypatch.setattr(triton.command_of, "__defaults__", (missing,))
    result = CliRunner().invoke(main, ["model", "serve", str(tmp_path)])
    assert result.exit_code == 1
    assert "make serving-env" in result.output
