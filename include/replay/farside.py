"""Farside's tables as pages that a person saved: one at every half hour in which the Bitcoin table changed.

The first page is the all-data page; later ones are the recent page, the last fifteen rows. The Ethereum table is one
undated copy: nobody recorded when its cells came to be. Farside is never fetched, so these go to the inbox.
"""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from itertools import chain, groupby
from operator import attrgetter
from pathlib import Path

from include.core import disk
from include.core.clock import stamp
from include.replay.record import figures, known

RECENT = 15
COLUMNS = {
    "btc": ("IBIT", "FBTC", "BITB", "ARKB", "BTCO", "EZBC", "BRRR", "HODL", "BTCW", "GBTC", "BTC", "Total"),
    "eth": ("ETHA", "FETH", "ETHW", "TETH", "ETHV", "QETH", "EZET", "ETHE", "ETH", "Total"),
}
TITLES = {"btc": "Bitcoin ETF Flow (US$m)", "eth": "Ethereum ETF Flow (US$m)"}

Row = dict[str, Decimal]
Saved = tuple[str, str, dict[date, Row], int]  # file name, asset, the whole table then, how many rows the page shows


def deliver(inbox: Path, clock: datetime) -> list[Path]:
    """Put every page that could have been saved by `clock` into `inbox/farside/`; returns the new files.

    A page that waits there, or that was taken to `done/`, is not delivered again. The undated copy grows with the
    clock, so its name carries the last session in it.
    """
    folder = inbox / "farside"
    disk.make_dir(folder)
    there = {path.name for place in (folder, folder / "done") if place.is_dir() for path in place.iterdir()}
    new = []
    for name, asset, table, shown in chain(_btc(clock), _eth(clock)):
        if name not in there:
            disk.write_new(folder / name, page(asset, table, shown), sync=False)
            new.append(folder / name)
    disk.fsync_dir(folder)
    return new


def _btc(clock: datetime) -> Iterator[Saved]:
    """The table at each instant at which it is on record. It grows in place: render it before asking for the next."""
    table: dict[date, Row] = {}
    for seen_at, changes in groupby(figures("farside__btc"), key=attrgetter("known_from")):
        if seen_at > clock:
            return
        shown = RECENT if table else 0
        for change in changes:
            table.setdefault(change.period, {})[change.series] = Decimal(change.value)
        yield f"btc__{stamp(seen_at)}.html", "btc", table, shown or len(table)


def _eth(clock: datetime) -> Iterator[Saved]:
    table = {
        day: {series: Decimal(value) for series, value in row.items()}
        for day, row in known("farside", "eth", clock).items()
    }
    yield f"eth__undated-{max(table):%Y%m%d}.html", "eth", table, len(table)


def page(asset: str, table: dict[date, Row], shown: int) -> bytes:
    """The page as it stood: fee, seed and the last `shown` sessions, then the footer over the whole table.

    Fees are not on record here, so their cells are empty.
    """
    columns = COLUMNS[asset]
    seed = {f.series: Decimal(f.value) for f in figures("farside__eth_seed")} if asset == "eth" else {}
    sessions = [(f"{day:%d %b %Y}", row) for day, row in list(table.items())[-shown:]]
    rows = [_row("Seed", [_cell(seed.get(c)) for c in columns])]
    rows += [_row(day, [_cell(row.get(c)) for c in columns]) for day, row in sessions]
    readings = [[row[c] for row in table.values() if c in row] for c in columns]
    rows.append(_row("Total", [_cell(sum(r, Decimal(0)) if r else None, places=0) for r in readings]))
    rows.append(_row("Average", [_cell(sum(r, Decimal(0)) / len(r) if r else None) for r in readings]))
    rows.append(_row("Maximum", [_cell(max(r, default=None)) for r in readings]))
    rows.append(_row("Minimum", [_cell(min(r, default=None)) for r in readings]))
    head = "".join(f"<th>{title}</th>" for title in ("Date", *columns))
    return (
        f'<!doctype html><html><head><meta charset="utf-8"></head><body><h1>{TITLES[asset]}</h1>\n'
        f'<table class="etf">\n<thead>\n<tr>{head}</tr>\n{_row("Fee", [""] * len(columns))}\n</thead><tbody>\n'
        + "\n".join(rows)
        + "\n</tbody></table></body></html>\n"
    ).encode()


def _row(label: str, cells: list[str]) -> str:
    return f"<tr><td>{label}</td>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _cell(value: Decimal | None, places: int = 1) -> str:
    """As printed: thousands commas, parentheses in red for outflows, a dash for no reading."""
    if value is None:
        return "-"
    text = f"{abs(value):,.{places}f}"
    return f'<span class="redFont">({text})</span>' if value < 0 else text
