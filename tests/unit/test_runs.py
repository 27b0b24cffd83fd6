"""Runs: whatever the order and grouping of sightings, the same runs come out."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.landing.store import Store, attempt_of
from tests.faults.test_landing import FEED, SOURCE, content, land

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


def _derive_at(home: Path, clock: datetime) -> None:
    from include.landing import runs

    with Store(home).lock("toy", "daily"):
        runs.derive(home, SOURCE, FEED, clock)
