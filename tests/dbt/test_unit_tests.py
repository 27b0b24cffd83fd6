"""dbt's own unit tests, one a formula, run against the schemas of a built warehouse."""

import shutil
from pathlib import Path

from include.warehouse.build import Build, run_dbt


def test_every_formula_has_a_unit_test_that_passes(pack_home: Path, tmp_path: Path) -> None:
    """All unit tests of the project pass, and there are as many as there should be."""
    newest = max((pack_home / "build").glob("run-*"), key=lambda p: p.stat().st_mtime)
    copy = tmp_path / "run-unit"
    shutil.copytree(newest, copy)
    nodes = run_dbt(Build("run-unit", copy, None, None, ""), ["test", "--select", "test_type:unit"], threads=2)
    told = [str(n.status) for n in nodes if n.node.resource_type == "unit_test"]
    assert len(told) >= 8
    assert set(told) == {"pass"}
