"""What the warehouses of these tests share."""

from pathlib import Path

import pytest

from tests.e2e import declared


@pytest.fixture(scope="session", autouse=True)
def _the_project_is_parsed_once(pack_home: Path) -> None:
    """A warehouse of a test's own starts with what the pack's has cached: seconds of each first build."""
    declared.CACHE = pack_home / "build" / "cache"
