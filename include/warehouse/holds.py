"""Figures that the gate withheld: `holds.jsonl`, append-only, read by the next build as the table `hold`.

A hold names a version by what it says (series, period, source, value, status), never by its number, which an older
import would change. It acts until a person releases it; a released figure is not held again.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
from filelock import FileLock

from include.core import disk
from include.core.clock import iso, parse_instant
from include.core.errors import ConfigError
from include.core.parse import CONTEXT
from include.warehouse.build import TABLES

KEY = ("rule_id", "source_id", "series_id", "event_date", "event_at", "value", "obs_status")
SHOWN = 20  # ids that an error names
_FIELDS = TABLES["hold"]


def hold_id(figure: dict) -> str:
    """The name of a hold: 12 hex digits over `KEY`, the same however the value's zeros are written."""
    said = json.dumps([_text(figure[name]) for name in KEY])
    return hashlib.sha256(said.encode()).hexdigest()[:12]


def add(home: Path, figures: Iterable[dict], at: datetime) -> list[dict]:
    """Hold figures (dicts with `KEY`, `why` and perhaps `batch_id`) from `at` on. Returns the holds that are new.

    What is held already, or was held and released, is left as it stands.
    """
    disk.make_dir(home)
    with FileLock(home / "holds.lock", timeout=60):
        known = {row["hold_id"] for row in rows(home)}
        new = {}
        for figure in figures:
            name = hold_id(figure)
            if name not in known:
                said = {n: figure[n] for n in (*KEY, "why")}
                new[name] = {"hold_id": name, **said, "batch_id": figure.get("batch_id"), "held_at": at}
        if new:
            disk.append_lines(home / "holds.jsonl", [_line(row) for row in new.values()])
    return list(new.values())


def release(home: Path, hold_id: str, *, at: datetime, why: str) -> None:
    """Let a held figure through from `at` on, or every figure of a batch; `hold_id` may name several, with commas.

    Releasing it twice changes nothing.

    `ConfigError` if there is no such hold or batch, or no reason is given.
    """
    if not why.strip():
        raise ConfigError("a release needs a reason", source="gate", rule="config.why",
                          action="say why the figure is right: --why '...'")  # fmt: skip
    disk.make_dir(home)
    with FileLock(home / "holds.lock", timeout=60):
        held = rows(home)
        asked = {name.strip() for name in hold_id.split(",")}
        named = [row for row in held if asked & {row["hold_id"], row["batch_id"]}]
        if unknown := sorted(asked - {row[n] for row in named for n in ("hold_id", "batch_id")}):
            active = sorted({row["batch_id"] or row["hold_id"] for row in held if row["released_at"] is None})
            there = f"use one of {', '.join(active[:SHOWN])}" if active else "nothing is held"
            raise ConfigError(
                f"there is no hold {unknown[0][:40]!r}", source="gate", rule="config.unknown_hold", action=there
            )
        lines = [_line({"hold_id": row["hold_id"], "released_at": at, "released_why": why.strip()})
                 for row in named if row["released_at"] is None]  # fmt: skip
        if lines:
            disk.append_lines(home / "holds.jsonl", lines)


def rows(home: Path) -> list[dict]:
    """Every hold as a row of the table `hold`, in the order in which they were made. A torn line is left out."""
    path = home / "holds.jsonl"
    out: dict[str, dict] = {}
    for line in path.read_bytes().split(b"\n") if path.exists() else ():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if "rule_id" in said:
            out.setdefault(said["hold_id"], dict.fromkeys(_FIELDS.names) | said)
        elif said["hold_id"] in out:
            out[said["hold_id"]] |= said
    return [{field.name: _typed(row[field.name], field.type) for field in _FIELDS} for row in out.values()]


def active(home: Path) -> set[str]:
    """The ids of holds that nobody has released."""
    return {row["hold_id"] for row in rows(home) if row["released_at"] is None}


def _line(row: dict) -> str:
    return json.dumps({name: _text(value) for name, value in row.items()}, sort_keys=True)


def _text(value: object) -> str | None:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Decimal):
        return format(value.normalize(CONTEXT), "f") if value else "0"
    return None if value is None else str(value)


def _typed(text: str | None, kind: pa.DataType) -> object:
    if text is None:
        return None
    if pa.types.is_timestamp(kind):
        return parse_instant(text)
    if pa.types.is_date(kind):
        return date.fromisoformat(text)
    return Decimal(text) if pa.types.is_decimal(kind) else text
