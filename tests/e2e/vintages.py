"""A stranger's vintages: saved pages of the Ether table, half an hour apart, with everything that such a table does.

The record has this table as one undated copy, and the pages end where the copy ends but for one wrong print. On the
way there cells fill over a night, one is corrected, one goes and comes back, a session stands under a total of 0.0
before anybody has reported, and one row is a closed day.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from include.replay import PACK_CLOCK
from include.replay.farside import COLUMNS, RECENT, page
from include.replay.record import known

FUNDS = COLUMNS["eth"][:-1]
HOLIDAY = date(2026, 1, 19)
NIGHTS = (date(2026, 1, 20), date(2026, 1, 21), date(2026, 1, 22))
CORRECTS = NIGHTS[1]  # while it fills, the first night's wrong print is corrected
HALF_HOUR = timedelta(minutes=30)

Table = dict[date, dict[str, Decimal]]


@dataclass(frozen=True, slots=True)
class Saved:
    """A page, when it was seen, and what it shows: readings by session, oldest first."""

    seen_at: datetime
    body: bytes
    shown: Table


def record() -> Table:
    """The undated copy that the pack holds."""
    return {
        day: {fund: Decimal(value) for fund, value in row.items()}
        for day, row in known("farside", "eth", PACK_CLOCK).items()
    }


def pages() -> list[Saved]:
    """The pages in the order of time."""
    final = record()
    table: Table = {day: dict(row) for day, row in final.items() if day < NIGHTS[0]}
    table[HOLIDAY] = {"Total": Decimal(0)}
    saved = []
    for night in NIGHTS:
        at = datetime(night.year, night.month, night.day, 22, 30, tzinfo=UTC)
        wrong = 0 if night == CORRECTS else 5
        for row in _rows(final[night], wrong):
            table[night] = row
            if night == CORRECTS and len(row) == 4:  # three funds and the total
                table[NIGHTS[0]] = final[NIGHTS[0]]
            shown = {day: {f: v for f, v in table[day].items() if f != "Total"} for day in sorted(table)[-RECENT:]}
            saved.append(Saved(at, page("eth", dict(sorted(table.items())), RECENT), shown))
            at += HALF_HOUR
    return saved


def _rows(final: dict[str, Decimal], wrong: int) -> Iterator[dict[str, Decimal]]:
    """One session's row as it grows. The first fund's first print is `wrong` by so many millions."""
    funds = [fund for fund in FUNDS if fund in final]
    yield {"Total": Decimal(0)}
    row: dict[str, Decimal] = {}
    for fund in funds:
        row[fund] = final[fund] + (wrong if fund == funds[0] else 0)
        yield _summed(row)
        if fund == funds[2]:
            yield _summed({f: v for f, v in row.items() if f != funds[1]})
            yield _summed(row)


def _summed(row: dict[str, Decimal]) -> dict[str, Decimal]:
    return row | {"Total": sum(row.values(), Decimal(0))}
