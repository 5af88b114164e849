"""Settings of each process: documents that cannot drift, examples that load, values shown with their source and no secret."""

import ast
import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.cli import main
from deploy.process_settings import PAGE, PROCESSES, Process, example, keys_of, page
from schemas.settings import load_settings

ROOT = Path(__file__).parents[2]
REQUIRED = {"bootstrap_servers": '"h:1"', "epoch": "3"}


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for process in PROCESSES.values():
        for key in keys_of(process.settings):
            monkeypatch.delenv(f"{process.prefix}_{key.name.upper()}", raising=False)


def test_page_is_what_the_definitions_say() -> None:
    assert (ROOT / PAGE).read_text() == page(), "run `tidegate settings page`"


@pytest.mark.parametrize("process", PROCESSES.values(), ids=list(PROCESSES))
def test_every_key_is_explained(process: Process) -> None:
    assert not [key.name for key in keys_of(process.settings) if not key.what]


@pytest.mark.parametrize("process", PROCESSES.values(), ids=list(PROCESSES))
def test_example_loads_and_means_the_defaults_even_with_every_comment_taken_away(
    process: Process, tmp_path: Path
) -> None:
    path = tmp_path / "example.toml"
    text = example(process)
    path.write_text(text)
    from_example = load_settings(process.settings, path, prefix=process.prefix, environ={})
    uncommented = [
        line.removeprefix("# ")
        if any(line.startswith(f"# {key.name} = ") for key in keys_of(process.settings))
        else line
        for line in text.splitlines()
    ]
    path.write_text("\n".join(uncommented))
    assert load_settings(process.settings, path, prefix=process.prefix, environ={}) == from_example
    assert {f"{key.name} = " in text or key.is_secret for key in keys_of(process.settings)} == {True}


def test_every_settings_class_that_is_loaded_is_a_process_of_the_table() -> None:
    known = {process.definition.partition(":")[2] for process in PROCESSES.values()}
    loaded = {
        node.args[0].id
        for room in ("feeds", "jobs", "gate", "history", "api", "deploy", "quality")
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "load_settings"
        and isinstance(node.args[0], ast.Name)
    }
    assert loaded <= known, "add the process to deploy/process_settings.py"


def test_prefix_of_the_table_is_the_one_that_the_process_reads() -> None:
    from api.settings import PREFIX as API
    from feeds.settings import PREFIX as PRODUCER
    from history.settings import PREFIX as HISTORY
    from quality.settings import PREFIX as QUALITY

    names = ("api", "producer", "history", "quality")
    assert [PROCESSES[name].prefix for name in names] == [API, PRODUCER, HISTORY, QUALITY]
    for name, module in (("job", "jobs/entry.py"), ("sidecar", "gate/sidecar.py")):
        assert f'prefix="{PROCESSES[name].prefix}"' in (ROOT / module).read_text()


def test_show_tells_value_and_source_and_never_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "history.toml"
    path.write_text('# a comment\nbootstrap_servers = "h:1"\n')
    monkeypatch.setenv("TIDEGATE_HISTORY_PASSWORD", "hunter2")
    said = CliRunner().invoke(main, ["settings", "show", "history", "--settings", str(path)])
    assert said.exit_code == 0
    assert f'bootstrap_servers = "h:1"  # {path}:2' in said.output
    assert 'password = "***"  # TIDEGATE_HISTORY_PASSWORD' in said.output
    assert 'sasl_password = ""  # default' in said.output
    assert "hunter2" not in said.output
    as_json = CliRunner().invoke(main, ["settings", "show", "history", "--settings", str(path), "--json"])
    assert {"key": "readers", "value": 4, "source": "default"} in json.loads(as_json.output)


def test_show_of_settings_that_would_not_start_ends_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "api.toml"
    path.write_text("prot = 1\n")
    said = CliRunner().invoke(main, ["settings", "show", "api", "--settings", str(path)])
    assert said.exit_code == 1
    assert f"{path}:1: unknown key 'prot'; did you mean 'port'?" in said.output


def test_show_finds_the_file_of_a_stack(tmp_path: Path) -> None:
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "gate.toml").write_text('bootstrap_servers = "h:7"\n')
    said = CliRunner().invoke(main, ["settings", "show", "sidecar", "--state", str(tmp_path)])
    assert 'bootstrap_servers = "h:7"' in said.output


def test_example_command_prints_toml() -> None:
    said = CliRunner().invoke(main, ["settings", "example", "producer"])
    assert tomllib.loads(said.output) == {"bootstrap_servers": ""}
