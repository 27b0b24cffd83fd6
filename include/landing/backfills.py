"""Recorded backfills: `include/backfills/<name>.toml` says what to fetch again, `journal/backfill.jsonl` what was.

A backfill is done month by month, so that one that was cut short goes on with the months that are missing.
"""

import json
import re
import tomllib
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from filelock import FileLock

from include.core import disk
from include.core.clock import iso
from include.core.errors import ConfigError

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")
_KEYS = {"source": str, "feed": str, "start": date, "end": date, "why": str}


@dataclass(frozen=True, slots=True)
class Month:
    """One window `[start, end)` of a recorded backfill, a calendar month or the part of one; dates as ISO text."""

    name: str
    source: str
    feed: str
    start: str
    end: str


@dataclass(frozen=True, slots=True)
class Backfill:
    """A recorded backfill: a feed, `[start, end)`, the reason, and how many of its months are done."""

    name: str
    source: str
    feed: str
    start: date
    end: date
    why: str
    months: tuple[Month, ...]
    undone: tuple[Month, ...]


def recorded(folder: Path, home: Path) -> list[Backfill]:
    """Every recorded backfill by name. `ConfigError` names the first file that is not one."""
    done = _done(home)
    return [_read(path, done) for path in sorted(folder.glob("*.toml"))]


def note(home: Path, month: Month, *, run_id: str, at: datetime) -> None:
    """Record that a month has landed."""
    folder = home / "journal"
    disk.make_dir(folder)
    line = json.dumps(asdict(month) | {"run_id": run_id, "recorded_at": iso(at)}, sort_keys=True)
    with FileLock(folder / "backfill.lock", timeout=60):
        disk.append_lines(folder / "backfill.jsonl", [line])


def _done(home: Path) -> set[Month]:
    path, found = home / "journal" / "backfill.jsonl", set()
    for line in path.read_bytes().split(b"\n") if path.exists() else ():
        try:
            said = json.loads(line)
        except ValueError:  # torn by a crash
            continue
        found.add(Month(*(str(said.get(name)) for name in Month.__slots__)))
    return found


def _read(path: Path, done: set[Month]) -> Backfill:
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        raise _wrong(path, "it is not TOML") from None
    if not NAME.fullmatch(path.stem):
        raise _wrong(path, "its name is not lower-case letters, digits and hyphens")
    if said.keys() != _KEYS.keys() or any(type(said[key]) is not kind for key, kind in _KEYS.items()):
        raise _wrong(path, f"it must say {', '.join(_KEYS)} and nothing else, dates as 2026-01-31 without quotes")
    if said["start"] >= said["end"] or not said["why"].strip():
        raise _wrong(path, "its window is empty" if said["why"].strip() else "it gives no reason")
    edges = [said["start"]]
    while (following := (edges[-1].replace(day=1) + timedelta(days=32)).replace(day=1)) < said["end"]:
        edges.append(following)
    spans = zip(edges, [*edges[1:], said["end"]], strict=True)
    months = tuple(Month(path.stem, said["source"], said["feed"], a.isoformat(), b.isoformat()) for a, b in spans)
    return Backfill(path.stem, **said, months=months, undone=tuple(m for m in months if m not in done))


def _wrong(path: Path, why: str) -> ConfigError:
    return ConfigError(f"the recorded backfill {path.name[:80]!r}: {why}", source="backfill", rule="L.backfill_file",
                       action="see include/backfills/README.md")  # fmt: skip
