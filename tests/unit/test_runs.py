"""Runs: whatever the order and grouping of sightings, the same runs come out."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from include.core.shapes import Parsed
from include.core.source import Payload
from include.landing import runs
from include.landing.store import Store, attempt_of
from tests.faults.test_landing import FEED, SOURCE, content, land, parse

BODIES = [
    b"2026-01-03=1.5\n",
    b"2026-01-03=1.5\n2026-01-04=2\n",
    b"2026-01-03=1.6\n2026-01-04=2\n",
    b"2026-01-03=1.5\n",
]
DAYS = [datetime(2025, 12, 30, tzinfo=UTC) + timedelta(days=n) for n in range(4)]


@pytest.mark.parametrize("seed", range(4))
def test_order_of_landing_leaves_no_trace(seed: int, tmp_path: Path) -> None:
    """Sightings landed shuffled, twice, and one at a time give the runs of one ordered landing."""
    straight, shuffled = tmp_path / "a", tmp_path / "b"
    pairs = list(zip(BODIES, DAYS, strict=True))
    for body, day in pairs:
        land(straight, [body], day)
    mixed = pairs * 2
    random.Random(seed).shuffle(mixed)
    for body, day in mixed:
        land(shuffled, [body], day)
    _derive_at(straight, DAYS[-1])
    _derive_at(shuffled, DAYS[-1])
    assert content(straight) == content(shuffled)


def test_a_run_spans_equal_sightings_and_a_return_is_a_new_run(tmp_path: Path) -> None:
    """1.5, 1.5, 1.6, 1.5 of one cell are three runs."""
    for body, day in zip(BODIES, DAYS, strict=True):
        land(tmp_path, [body], day)
    cell = [(float(v), first, last) for _, day, v, first, last in content(tmp_path) if day.day == 3]
    assert cell == [(1.5, DAYS[0], DAYS[1]), (1.6, DAYS[2], DAYS[2]), (1.5, DAYS[3], DAYS[3])]


def test_a_closed_month_is_one_file_with_the_same_runs(tmp_path: Path) -> None:
    """Compaction changes the number of files, not what they say."""
    for body, day in zip(BODIES, DAYS, strict=True):
        land(tmp_path, [body], day)
    daily = content(tmp_path)
    _derive_at(tmp_path, datetime(2026, 3, 1, tzinfo=UTC))
    names = (tmp_path / "rows" / "observation" / "toy__daily" / "index").read_text().split()
    assert [n[:7] for n in names] == ["0__empt", "2025-12", "2026-01"]
    assert content(tmp_path) == daily


def test_a_torn_manifest_line_is_unread_and_the_next_append_is_whole(tmp_path: Path) -> None:
    """A crash in mid-line loses that line alone."""
    store = Store(tmp_path)
    land(tmp_path, [BODIES[0]], DAYS[0])
    manifest = tmp_path / "landing" / "manifest" / "toy" / "daily.jsonl"
    with manifest.open("ab") as file:
        file.write(b'0badc0de {"source":"toy","fe')
    assert len(store.attempts("toy", "daily")) == 1
    store.append(
        [attempt_of("toy", "daily", "r", DAYS[1], DAYS[1], vintage_kind="first_seen", origin="t", outcome="FAILED")]
    )
    assert [a.outcome for a in store.attempts("toy", "daily")] == ["LANDED", "FAILED"]


def test_what_waits_on_disk_gives_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A payload of more rows than are held, alone in its span and beside another: files equal to those of memory."""
    told = {}
    for held in (100, 1):
        monkeypatch.setattr(runs, "HELD_ROWS", held)
        monkeypatch.setattr(runs, "GROUP", 2)
        home = tmp_path / str(held)
        for body, day in zip([BODIES[1], b"".join(BODIES[:2]), *BODIES[2:]], DAYS, strict=True):
            land(home, [body], day)
        alone = sorted((home / "rows" / "observation" / "toy__daily").glob("2026-01-*"))
        rows = [pq.read_table(path).to_pylist() for path in alone]
        _derive_at(home, datetime(2026, 3, 1, tzinfo=UTC))
        told[held] = (rows, content(home))
        assert [p.name for p in home.rglob("*.tmp-*")] + [p.name for p in home.rglob(".tmp-*")] == []
    assert told[100] == told[1]


def test_a_cell_with_an_instant_beside_one_without(tmp_path: Path) -> None:
    """Rows of one payload in the order of cells, whatever their order on the page: none stands last."""
    rows = [
        replace(row, event_at=at)
        for row in parse(Payload(body=BODIES[1], seen_at=DAYS[3])).rows
        for at in (None, DAYS[2], DAYS[1])
    ]
    line = attempt_of("toy", "daily", "r", DAYS[3], DAYS[3], outcome="LANDED", vintage_kind="first_seen", origin="t",
                      sha256="a")  # fmt: skip
    said = runs.digest(SOURCE, FEED, line, Parsed(rows), tmp_path)
    assert said.once and said.rows["event_at"].to_pylist() == [DAYS[1], DAYS[2], None] * 2
    assert not runs.digest(SOURCE, FEED, line, Parsed(rows + rows[:1]), tmp_path).once


def _derive_at(home: Path, clock: datetime) -> None:
    with Store(home).lock("toy", "daily"):
        runs.derive(home, SOURCE, FEED, clock)
