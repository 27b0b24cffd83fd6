"""Row 38 for landing as a whole: what a payload weighs does not decide what its landing takes."""

import sys
from pathlib import Path

import pytest

from tests.bench.__main__ import measure, served


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_row_38_memory_of_a_landing(tmp_path: Path) -> None:
    """A million positions in one payload and in pages; an ordinary feed's whole 16 MiB. Peaks of processes, in MB."""
    with served() as base:
        for name, most in {"one": 400, "pages": 350, "most": 500}.items():
            command = [sys.executable, "-m", "tests.bench.workloads", f"ours_{name}", base, str(tmp_path / name)]
            _, _, peak = measure(command)
            assert peak < most, name
