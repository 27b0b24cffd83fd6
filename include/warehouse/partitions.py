"""Days of the big feeds, each computed once for each set of inputs and kept as Parquet.

`partitions/<model>/<day>__<hash>.parquet` is a day of a model of `models/partitions`; the hash is over its SQL and the
row files that may hold rows of that day. A build finds in its own folder, by hard link, what is there, and computes
what is not (materialization `day_partitions`), so the cost of a changed day does not grow with history. A day of which
something was seen after the cut-off has a hash of its own with the cut-off in it, and is not kept: no answer as of an
instant reads what was computed from later rows.
"""

import hashlib
import json
import os
from collections import defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq

from include.core import disk
from include.core.clock import iso

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
MODEL, SHAPE = "position_day", "position"
SQL = ("models/partitions/position_day.sql", "models/staging/stg_position.sql", "models/ledger/cutoff.sql")
NOBODY = "none/0.parquet"  # the typed file without rows: it gives the model's columns where no day is


def plan(home: Path, build_dir: Path, cutoff: datetime) -> list[dict]:
    """Rows of `partition` for a build whose inputs are frozen; the days that are there are linked into its folder."""
    folder, kept = build_dir / "partitions" / MODEL, home / "partitions" / MODEL
    disk.make_dir(folder)
    disk.make_dir(kept)
    inputs = build_dir / "inputs" / "rows" / SHAPE
    spans = _spans(home / "build" / "cache" / "position_spans.json", inputs)
    there = {path.name for path in kept.iterdir()}
    sql = [(PROJECT / name).read_text(encoding="utf-8") for name in SQL]
    rows = [_row(date(1970, 1, 1), "0__empty", [inputs / NOBODY], is_due=True, is_kept=False)]
    for day, files in sorted(_days(spans).items()):
        later = any(spans[name][2] > iso(cutoff) for name in files)
        name = f"{day}__{_hash(sql, files, cutoff if later else None)}"
        is_there = not later and f"{name}.parquet" in there
        if is_there:
            os.link(kept / f"{name}.parquet", folder / f"{name}.parquet")
        rows.append(_row(day, name, [inputs / file for file in files], is_due=not is_there, is_kept=not later))
    return rows


def _row(day: date, name: str, files: list[Path], **said: bool) -> dict:
    quoted = ("'" + str(file).replace("'", "''") + "'" for file in files)
    return {
        "model": MODEL,
        "event_date": day,
        "name": name,
        "files": ", ".join(quoted) if said["is_due"] else "",
        **said,
    }


def _spans(cache: Path, inputs: Path) -> dict[str, list[str]]:
    """First day, last day and last sighting of each row file. A file never changes under its name, so each is read
    once: what was read is kept in `cache`."""
    known = json.loads(cache.read_text(encoding="utf-8")) if cache.exists() else {}
    names = [f"{folder.name}/{path.name}" for folder in sorted(inputs.iterdir()) for path in sorted(folder.iterdir())]
    spans = {name: known.get(name) or _span(inputs / name) for name in names if name != NOBODY}
    if spans.keys() != known.keys():
        disk.make_dir(cache.parent)
        disk.write_over(cache, json.dumps(spans).encode())
    return {name: span for name, span in spans.items() if span}


def _span(path: Path) -> list[str]:
    footer = pq.read_metadata(path)
    at = {footer.schema.column(n).name: n for n in range(footer.num_columns)}
    groups = [footer.row_group(n) for n in range(footer.num_row_groups)]
    days, seen = (
        [g.column(at[name]).statistics for g in groups if g.num_rows] for name in ("event_date", "first_seen")
    )
    if not days:
        return []
    return [str(min(s.min for s in days)), str(max(s.max for s in days)), iso(max(s.max for s in seen))]


def _days(spans: dict[str, list[str]]) -> dict[date, list[str]]:
    out: dict[date, list[str]] = defaultdict(list)
    for name, (first, last, _) in sorted(spans.items()):
        start = date.fromisoformat(first)
        for n in range((date.fromisoformat(last) - start).days + 1):
            out[start + timedelta(days=n)].append(name)
    return out


def _hash(sql: list[str], files: list[str], cutoff: datetime | None) -> str:
    return hashlib.sha256(json.dumps([sql, files, cutoff and iso(cutoff)]).encode()).hexdigest()[:16]


def keep(home: Path, build_dir: Path) -> None:
    """Give the days that a finished build computed a name in `partitions/`, and drop the ones that they replace."""
    folder, kept = build_dir / "partitions" / MODEL, home / "partitions" / MODEL
    for row in pq.read_table(build_dir / "inputs" / "partition.parquet").to_pylist():
        if not (row["is_due"] and row["is_kept"]):
            continue
        path, target = folder / f"{row['name']}.parquet", kept / f"{row['name']}.parquet"
        disk.seal(path)
        if not target.exists():
            os.link(path, target)
        for old in kept.glob(f"{row['event_date']}__*.parquet"):
            if old != target:
                old.unlink(missing_ok=True)
    disk.fsync_dir(kept)
