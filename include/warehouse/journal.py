"""What runs did, one JSON line a fact: `journal/{gate_result,publication,model_run}.jsonl`, append-only.

The lines are rows of the `landing` tables of the same names, which dbt turns into `ops.*`.
"""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
from filelock import FileLock

from include.core import disk
from include.core.clock import iso, parse_instant
from include.warehouse.build import TABLES

KEYS = {
    "gate_result": ("run_id", "rule_id", "check_name", "subject"),
    "publication": ("seq",),
    "model_run": ("run_id", "model"),
}
NAMES = tuple(KEYS)


def append(home: Path, name: str, rows: list[dict]) -> None:
    """Add rows of one table, durably."""
    if not rows:
        return
    folder = home / "journal"
    disk.make_dir(folder)
    with FileLock(folder / f"{name}.lock", timeout=60):
        disk.append_lines(folder / f"{name}.jsonl", [json.dumps(row, default=_text, sort_keys=True) for row in rows])


def rows(home: Path, name: str) -> list[dict]:
    """Every row of one table, typed as its schema says. A line torn by a crash is left out.

    A step that is tried again, or cleared, says its rows again: the last word on a key stands.
    """
    path = home / "journal" / f"{name}.jsonl"
    out: dict[tuple, dict] = {}
    for line in path.read_bytes().split(b"\n") if path.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        out[tuple(row.get(key) for key in KEYS[name])] = {
            field.name: _typed(row.get(field.name), field.type) for field in TABLES[name]
        }
    return list(out.values())


def _text(value: object) -> str:
    return iso(value) if isinstance(value, datetime) else str(value)


def _typed(value: object, kind: pa.DataType) -> object:
    if value is None:
        return None
    if pa.types.is_timestamp(kind):
        return parse_instant(str(value))
    return Decimal(str(value)) if pa.types.is_decimal(kind) else value
