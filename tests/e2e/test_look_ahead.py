"""A planted look-ahead is refused twice, by the graph and by rule G7; and the unit in which a source speaks is its own."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from include import pipeline
from include.core.clock import iso, parse_instant
from include.core.errors import GateRefused
from include.replay import PACK_CLOCK
from include.settings import Settings
from include.warehouse import build as builds
from include.warehouse import journal, publish
from tests.dbt import test_manifest as graph
from tests.e2e.test_time_machine import base, built

# A mart that reads today's page where it should ask what was known at the cut-off.
MART = "fct_observation"
HONEST = "from {{ ref('observation_version') }}"
LEAK = """
from (
    select *, 1 as version_no, null::varchar as revision_kind, first_seen as known_from, null::timestamptz as known_to
    from {{ source('landing', 'observation') }}
    union all by name select * from {{ ref('observation_version') }} where false
) as leak"""
BEFORE = parse_instant("2026-01-23T03:07:00Z")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the dbt project that a test may spoil; builds use it."""
    copy = tmp_path / "dbt_project"
    shutil.copytree(builds.PROJECT, copy, ignore=shutil.ignore_patterns("target", "logs"))
    (tmp_path / "include").symlink_to(builds.PROJECT.parent / "include")
    monkeypatch.setattr(builds, "PROJECT", copy)
    yield copy


def plant(project: Path, honest: str, leak: str) -> None:
    """Let one mart read what is not known yet."""
    (path,) = project.rglob(f"{MART}.sql")
    text = path.read_text(encoding="utf-8")
    assert honest in text
    path.write_text(text.replace(honest, leak), encoding="utf-8")


def parsed(project: Path) -> subprocess.CompletedProcess:
    """What `dbt parse` says of a project."""
    target = project.parent / "target"
    return subprocess.run(
        [Path(sys.executable).with_name("dbt"), "parse", "--no-partial-parse", "--target-path", target],
        cwd=project, capture_output=True, text=True, timeout=200,
        env=os.environ | {"CAPMIG_BUILD_DIR": str(target), "DO_NOT_TRACK": "1"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("leak", "rule"),
    [
        (LEAK, graph.test_each_shape_has_one_staging_model_and_one_reader),
        ("from {{ ref('fct_etf_flow_daily') }}", graph.test_versions_are_read_where_no_look_ahead_is_possible),
    ],
)
def test_the_graph_refuses_a_model_that_reads_around_the_cut_off(leak: str, rule: Callable, project: Path) -> None:
    """Landed rows, or versions that are not cut to the known ones: the rules that the shipped project keeps say no."""
    plant(project, HONEST, leak)
    done = parsed(project)
    assert done.returncode == 0, done.stdout[-2000:]
    with pytest.raises(AssertionError, match=MART):
        rule(json.loads((project.parent / "target" / "manifest.json").read_text(encoding="utf-8")))


def test_dbt_itself_refuses_a_mart_that_reads_staging(project: Path) -> None:
    """Staging is private to the ledger's group."""
    plant(project, HONEST, "from {{ ref('stg_observation') }}")
    done = parsed(project)
    assert done.returncode != 0
    assert "private to the 'ledger' group" in done.stdout


@pytest.mark.timeout(600)
def test_the_gate_refuses_what_was_known_later(pack_home: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A run whose clock stands before the newest pages: honest, it publishes what was known; with the leak, nothing."""
    home = tmp_path / "home"
    base(pack_home, home)
    (home / "clock").write_text(iso(BEFORE))
    settings = Settings(warehouse_home=home, clock=BEFORE)
    done = pipeline.refresh(settings, "run-honest")
    newest = "select max(known_from) from marts.fct_observation"
    assert builds.query(publish.served_file(home), newest)[0][0] <= BEFORE
    plant(request.getfixturevalue("project"), HONEST, LEAK)
    made = builds.prepare(home, list(pipeline.registry().values()), run_id="run-leak", clock=BEFORE, as_of=None,
                          tables=pipeline._tables(home))  # fmt: skip
    builds.run_dbt(
        made, ["build", "--exclude-resource-type", "unit_test", "--exclude-resource-type", "test"], threads=2
    )
    assert builds.query(made.warehouse, newest)[0][0] > BEFORE
    state = {"run_id": made.run_id, "seq": done["seq"] + 1, "input_hash": made.input_hash, "clock": iso(BEFORE)}
    (made.path / "state.json").write_text(json.dumps(state))
    with pytest.raises(GateRefused, match="after_the_cutoff"):
        pipeline.check_step(settings, made.run_id)
    refused = {row["rule_id"] for row in journal.rows(home, "gate_result") if row["outcome"] == "refuse"}
    assert refused == {"G7.known_from", "G7.event_date"}
    assert publish.current(home).seq == done["seq"]
    # dbt's own test of the same rule stops the ordinary way long before the gate; which test of the table ends first is
    # a matter of two threads
    rule = f"{MART}_keeps_its_rules"
    with pytest.raises(builds.BuildError, match=f"{rule}: .*known_from is no later than the cut-off, "):
        builds.run_dbt(made, ["test", "--select", rule], threads=2)
    with pytest.raises(builds.BuildError, match=f"{MART}_.* nothing was published"):
        pipeline.build_step(settings, "run-stopped")


@pytest.mark.timeout(600)
def test_a_source_that_changes_its_unit_changes_no_figure(
    pack_home: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Invariant iv: figures in thousands, basis points and a tenth of a yen, with units that say so: equal marts."""
    home = tmp_path / "home"
    settings = base(pack_home, home)
    tables = pipeline._tables(home)
    before = publish.marts_hash(built(home, "run-before", PACK_CLOCK, tables))
    scales = {"usd": ("usd_thousand", "1000"), "percent": ("bp", "0.01"), "jpy_per_usd": ("deci_yen_per_usd", "0.1")}
    with (request.getfixturevalue("project") / "seeds" / "unit.csv").open("a", encoding="utf-8", newline="") as out:
        for base_unit, (unit, scale) in scales.items():
            if unit != "bp":
                csv.writer(out, lineterminator="\n").writerow([unit, "test", base_unit, scale, "a test's own"])
    n = 0
    for shape in ("observation", "event"):
        for path in (home / "rows" / shape).rglob("*.parquet"):
            n += _rescale(path, scales)
    assert n > 20_000
    after = publish.marts_hash(built(home, "run-after", settings.clock, tables))
    assert {name for name in before if before[name] != after[name]} == {"dim_unit"}


def _rescale(path: Path, scales: dict[str, tuple[str, str]]) -> int:
    """Divide a row file's values by the scale of the unit in which they are then told. Returns how many changed."""
    cases = " ".join(
        f"when '{unit}' then (value::decimal(28, 12) * {1 / Decimal(scale):f})::decimal(38, 18)"
        for unit, (_, scale) in scales.items()
    )
    named = " ".join(f"when '{unit}' then '{other}'" for unit, (other, _) in scales.items())
    spare = path.with_suffix(".new")
    with duckdb.connect() as con:
        con.execute(f"set TimeZone = 'UTC'; create table said as from read_parquet('{path}')")
        ((n,),) = con.execute("select count(*) from said where value is not null and unit = any($1)",
                              [list(scales)]).fetchall()  # fmt: skip
        exact = "select count(*) from said where value != value::decimal(28, 12)::decimal(38, 18)"
        assert con.execute(exact).fetchall() == [(0,)]
        con.execute(f"copy (select * replace (case unit {cases} else value end as value, "
                    f"case unit {named} else unit end as unit) from said) to '{spare}' (format parquet)")  # fmt: skip
    spare.replace(path)
    return n
