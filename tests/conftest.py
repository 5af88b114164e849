"""What a test may need of its surroundings. Missing: a loud skip on a desk, a failure where ``CI=true``."""

import os
from pathlib import Path

import pytest


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
