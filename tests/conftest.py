"""What a test may need of its surroundings. Missing: a loud skip on a desk, a failure where ``CI=true``.

With several workers (``make test``) those with engines run one after another on one worker, and a file's tests stay together;
engines go before the rest in everything, for their tests measure time.
"""

import contextlib
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

ENGINES = "engines"
ENGINES_FOLDER = "tests/integration/"
NICE = 10


@pytest.fixture(scope="session")
def marketdata() -> Path:
    """Folder of the real recordings."""
    folder = Path(os.environ.get("TIDEGATE_MARKETDATA", Path(__file__).parents[2] / "shared" / "marketdata"))
    if not folder.exists():
        message = f"real recordings are not at {folder}: set TIDEGATE_MARKETDATA"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return folder


class TogetherByFile(LoadScopeScheduling):  # type: ignore[misc]
    """A file's tests on one worker, all files with engines on the same one. (Groups by mark do nothing under this pytest.)"""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return ENGINES if file.startswith(ENGINES_FOLDER) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> TogetherByFile:
    """Use it."""
    return TogetherByFile(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put engines first: their worker has the most to do."""
    items.sort(key=lambda item: not _has_engines(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let engines have the processor before what only computes."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Back to 0 is the right of root; a worker without it keeps to its kind.
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, 0 if _has_engines(item) else NICE)
    return (yield)


def _has_engines(item: pytest.Item) -> bool:
    return item.nodeid.startswith(ENGINES_FOLDER)
