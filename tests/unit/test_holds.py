"""Holds: named by what a figure says, added once, released by a person, readable after a crash."""

import multiprocessing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from include.core.errors import ConfigError
from include.warehouse import holds
from include.warehouse.build import TABLES, write_table

AT = datetime(2026, 1, 23, 3, 7, tzinfo=UTC)


def figure(value: str = "-22400000", **changes: object) -> dict:
    """A figure to hold."""
    return {"rule_id": "G5.magnitude", "source_id": "farside", "series_id": "ETF_FLOW.BTC.IBIT",
            "event_date": date(2026, 1, 22), "event_at": None, "value": Decimal(value), "obs_status": "final",
            "why": "far beyond its past"} | changes  # fmt: skip


def test_a_name_says_what_is_held_and_nothing_else() -> None:
    """The same figure has one name however its zeros are written; any other value, day, status or rule has another."""
    name = holds.hold_id(figure())
    assert len(name) == 12
    assert int(name, 16) >= 0
    assert holds.hold_id(figure("-22400000.000000000000000000", why="other words", version_no=7)) == name
    others = [figure("-22400000.000000000000000001"), figure(event_date=date(2026, 1, 23)), figure(event_at=AT),
              figure(obs_status="partial"), figure(rule_id="G5.sign"), figure(series_id="ETF_FLOW.BTC.FBTC"),
              figure(source_id="sosovalue"), figure("0")]  # fmt: skip
    assert len({name, *map(holds.hold_id, others)}) == len(others) + 1


def test_a_figure_is_held_once_also_after_its_release(tmp_path: Path) -> None:
    """Adding again changes nothing, neither while it is held nor when a person has let it through."""
    assert [h["hold_id"] for h in holds.add(tmp_path, [figure(), figure()], AT)] == [holds.hold_id(figure())]
    assert holds.add(tmp_path, [figure()], AT + timedelta(hours=1)) == []
    assert holds.active(tmp_path) == {holds.hold_id(figure())}
    holds.release(tmp_path, holds.hold_id(figure()), at=AT + timedelta(hours=2), why="confirmed by the issuer")
    assert holds.add(tmp_path, [figure()], AT + timedelta(hours=3)) == []
    assert holds.active(tmp_path) == set()
    (row,) = holds.rows(tmp_path)
    assert (row["held_at"], row["released_at"]) == (AT, AT + timedelta(hours=2))
    assert row["released_why"] == "confirmed by the issuer"
    holds.release(tmp_path, row["hold_id"], at=AT + timedelta(days=9), why="again")
    assert holds.rows(tmp_path) == [row]


def test_rows_are_what_a_build_reads(tmp_path: Path) -> None:
    """18 decimals, instants and days come back as they went in, through the build's own Parquet."""
    exact = figure("0.000012345678901234", series_id="FUNDING.HYPERLIQUID.BTC", event_at=AT)
    holds.add(tmp_path, [figure(), exact], AT)
    write_table(tmp_path / "hold.parquet", "hold", holds.rows(tmp_path))
    table = pq.read_table(tmp_path / "hold.parquet")
    assert table.schema.equals(TABLES["hold"])
    read = table.to_pylist()
    assert [{n: r[n] for n in (*holds.KEY, "why")} for r in read] == [figure(), exact]
    assert [holds.hold_id(r) for r in read] == [r["hold_id"] for r in read]


def test_a_release_needs_a_hold_and_a_reason(tmp_path: Path) -> None:
    """Both refusals say what to do; neither writes anything."""
    holds.add(tmp_path, [figure()], AT)
    before = (tmp_path / "holds.jsonl").read_bytes()
    with pytest.raises(ConfigError, match=r"use one of " + holds.hold_id(figure())):
        holds.release(tmp_path, "0badc0de0bad", at=AT, why="because")
    with pytest.raises(ConfigError, match="needs a reason"):
        holds.release(tmp_path, holds.hold_id(figure()), at=AT, why="  ")
    assert (tmp_path / "holds.jsonl").read_bytes() == before


def test_nothing_is_held_where_nothing_was(tmp_path: Path) -> None:
    """A new warehouse has no holds, and a release there says so."""
    assert holds.rows(tmp_path / "new") == []
    with pytest.raises(ConfigError, match="nothing is held"):
        holds.release(tmp_path / "new", "0badc0de0bad", at=AT, why="because")


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_torn_line_is_unread_and_harms_nothing_after_it(cut: int, tmp_path: Path) -> None:
    """A crash in mid-line loses that line alone; the next add starts a line of its own."""
    holds.add(tmp_path, [figure()], AT)
    holds.add(tmp_path, [figure("1")], AT)
    path = tmp_path / "holds.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    assert [r["value"] for r in holds.rows(tmp_path)] == [Decimal(-22400000), Decimal(1)][: 2 if cut == 1 else 1]
    holds.add(tmp_path, [figure("1"), figure("2")], AT)
    assert [r["value"] for r in holds.rows(tmp_path)] == [Decimal(-22400000), Decimal(1), Decimal(2)]


def test_two_processes_hold_a_figure_once(tmp_path: Path) -> None:
    """The file's lock makes one of them the first."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        added = pool.starmap(holds.add, [(tmp_path, [figure(str(n % 5))], AT) for n in range(20)])
    assert sum(map(len, added)) == 5
    assert len((tmp_path / "holds.jsonl").read_text().splitlines()) == 5
