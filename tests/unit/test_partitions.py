"""Days of the big feeds: each computed once for its inputs, and no answer as of an instant reads a later row."""

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from include.warehouse import build as builds
from include.warehouse.build import Build
from tests.bench.partitions import START, compute, day_rows, index

DAYS, ACCOUNTS, STATES = 4, 2, 3
READ = (
    "select event_date, account, instrument, qty, event_at, n_states, known_from from ledger.position_day order by all"
)


def due(made: Build) -> list[int]:
    """Numbers of the days that a build computed."""
    rows = pq.read_table(made.path / "inputs" / "partition.parquet").to_pylist()
    return [(r["event_date"] - START.date()).days for r in rows if r["is_due"] and not r["name"].startswith("0__")]


def parsed_as(home: Path, other: Path) -> None:
    """What dbt parsed for `home` serves `other` as well: the project is the same."""
    (home / "build" / "cache").mkdir(parents=True, exist_ok=True)
    shutil.copytree(home / "build" / "cache", other / "build" / "cache", ignore=shutil.ignore_patterns("*.json"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days of two accounts with three states a day."""
    made = tmp_path_factory.mktemp("home")
    for day in range(DAYS):
        day_rows(made, day, accounts=ACCOUNTS, states=STATES)
    index(made)
    return made


def test_a_day_is_computed_once_and_again_only_when_its_rows_change(home: Path, tmp_path: Path) -> None:
    """The changed day alone is due; what comes out is what a build that computes every day would give."""
    first, *_ = compute(home, DAYS, "run-first")
    assert due(first) == [0, 1, 2, 3]
    rows = builds.query(first.scratch, READ)
    assert len(rows) == DAYS * ACCOUNTS * 10
    assert {(r[4] - START) % timedelta(days=1) for r in rows} == {timedelta(minutes=5 * (STATES - 1))}
    assert {r[5] for r in rows} == {STATES}

    again, *_ = compute(home, DAYS, "run-again")
    assert due(again) == []
    assert builds.query(again.scratch, READ) == rows

    changed = day_rows(home, 2, accounts=ACCOUNTS, states=STATES, salt=1)
    next(p for p in changed.parent.glob(f"{changed.name[:10]}__*") if p != changed).unlink()
    index(home)
    third, *_ = compute(home, DAYS, "run-third")
    assert due(third) == [2]
    assert len(list((home / "partitions" / "position_day").iterdir())) == DAYS

    stranger = tmp_path / "stranger"
    parsed_as(home, stranger)
    for day in range(DAYS):
        day_rows(stranger, day, accounts=ACCOUNTS, states=STATES, salt=day == 2)
    index(stranger)
    whole, *_ = compute(stranger, DAYS, "run-whole")
    assert due(whole) == [0, 1, 2, 3]
    after = builds.query(third.scratch, READ)
    assert after == builds.query(whole.scratch, READ) != rows
    assert not {"CAPMIG_BUILD_DIR", "CAPMIG_THREADS"} & os.environ.keys()  # no build configures what comes after it


def test_an_answer_as_of_an_instant_reads_no_later_state_and_leaves_nothing_behind(home: Path) -> None:
    """In the middle of the third day: its second state is the last one known, the fourth day is not there."""
    kept = {path.name for path in (home / "partitions" / "position_day").iterdir()}
    at = START + timedelta(days=2, minutes=7)
    made, *_ = compute(home, DAYS, "as-of", as_of=at)
    assert due(made) == [2, 3]
    rows = builds.query(made.scratch, READ)
    assert max(r[6] for r in rows) <= at
    assert {r[4] for r in rows if r[0] == at.date()} == {START + timedelta(days=2, minutes=5)}
    assert {(r[0] - START.date()).days for r in rows} == {0, 1, 2}
    assert {path.name for path in (home / "partitions" / "position_day").iterdir()} == kept


def test_a_feed_without_rows_is_an_empty_table(home: Path, tmp_path: Path) -> None:
    """No day at all: the model has its columns and nothing in it."""
    parsed_as(home, tmp_path)
    made, *_ = compute(tmp_path, 1, "run-empty")
    assert due(made) == [] and builds.query(made.scratch, READ) == []
