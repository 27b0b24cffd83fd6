"""What one payload says, put together: each cell once, and the days for which its silence means something."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from operator import attrgetter
from typing import TypeVar

from include.core.parse import above_zero, not_after, number, refuse, unique
from include.core.shapes import CELL_KEYS, Observation, Parsed, Row
from include.core.source import Payload

T = TypeVar("T")


def page(shape: str, rows: Iterable[Row], days: Iterable[date] = ()) -> Parsed:
    """A payload's rows with the span of its `days`: the dates of all data rows, whether they hold a reading or not.

    No days at all: the page speaks for every date. A repeated cell is one cell if it is the same to the letter,
    and refused if it is not (rule G1.conflict).
    """
    key = attrgetter(*CELL_KEYS[shape])
    cells = unique((key(row), row) for row in rows)
    span = sorted(set(days))
    return Parsed(list(cells.values()), span[0] if span else None, span[-1] if span else None)


def reading(payload: Payload, series_id: str, value: Decimal, unit: str, raw: str, event_at: datetime,
            where: str) -> Observation:  # fmt: skip
    """A number at an instant, on its UTC day; refused if that day is later than the one on which it was seen."""
    day = not_after(event_at.astimezone(UTC).date(), payload.seen_at.astimezone(UTC).date(), f"{series_id} of")
    return Observation(series_id=series_id, event_date=day, event_at=event_at, value=value, unit=unit, value_raw=raw,
                       locator=where)  # fmt: skip


def settled(points: Iterable[tuple[date, T]], seen_on: date) -> list[tuple[date, T]]:
    """The points of days that are over: every one before the newest. `seen_on` is the day on which they were seen.

    The newest may be a day in progress, and a clock alone does not tell, for a source can be behind. A day later than
    `seen_on` is refused (G1.future), and so are points none of which is settled (G1.empty).
    """
    listed = [(not_after(day, seen_on, "a point of"), point) for day, point in points]
    newest = max((day for day, _ in listed), default=seen_on)
    if not (over := [(day, point) for day, point in listed if day < newest]):
        raise refuse("no day that is over", "G1.empty")
    return over


def daily_closes(cells: Iterable[tuple[str, date, object]], today: date) -> Parsed:
    """Prices in US dollars at the end of UTC days, from (asset, day, printed figure). A day that is not over has no
    close yet: it is left out, and the page does not speak of it."""
    rows: list[Row] = []
    for asset, event_date, raw in cells:
        if not_after(event_date, today, "a price of") < today:
            value = above_zero(raw, f"the price of {asset} on {event_date}")
            rows.append(
                Observation(series_id=f"PRICE.{asset}.USD", event_date=event_date, value=value, unit="usd",
                            value_raw=str(raw), locator=f"row={event_date} asset={asset}")
            )  # fmt: skip
    if not rows:
        raise refuse("no day that is over", "G1.empty")
    return page("observation", rows, [row.event_date for row in rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Wide:
    """A table that holds a day a line and a series a column, in one unit.

    `absent` are the only texts that mean "no reading"; anything else must be an exact number, and greater than
    zero if the series are `positive`.
    """

    unit: str
    absent: frozenset[str]
    read_day: Callable[[str], date]
    limit: date  # the last day that can have a reading when the payload was seen
    positive: bool = False

    def read(self, header: list[str], lines: Iterable[list[str]], day_at: int, series: dict[int, str]) -> Parsed:
        """Observations of the columns in `series` (position to series id); `day_at` is the position of the date."""
        rows: list[Row] = []
        days = []
        for line in lines:
            if len(line) != len(header):
                raise refuse(f"a line of {len(line)} cells under a header of {len(header)}", "G1.columns")
            event_date = not_after(self.read_day(line[day_at]), self.limit, "a row of")
            days.append(event_date)
            rows += [
                self._cell(series_id, event_date, line[at].strip(), header[at].strip())
                for at, series_id in series.items()
                if line[at].strip() not in self.absent
            ]
        if not days:
            raise refuse("a header and no rows", "G1.empty")
        return page("observation", rows, days)

    def _cell(self, series_id: str, event_date: date, raw: str, column: str) -> Observation:
        value = above_zero(raw, f"{series_id} of {event_date}") if self.positive else number(raw)
        return Observation(series_id=series_id, event_date=event_date, value=value, unit=self.unit, value_raw=raw,
                           locator=f"row={event_date} col={column}")  # fmt: skip
