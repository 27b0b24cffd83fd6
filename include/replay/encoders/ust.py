"""U.S. Treasury: the daily par yield curve, one CSV a calendar year, newest day first, two decimals."""

import re
from datetime import date, datetime
from decimal import Decimal

from include.replay.record import Ask, BadRequest, NoRecord, known

MEDIA = "text/csv; charset=UTF-8"
PATH = re.compile(r"/resource-center/data-chart-center/interest-rates/daily-treasury-rates\.csv/(\d{4})/all")
TENORS = ("1 Mo", "1.5 Month", "2 Mo", "3 Mo", "4 Mo", "6 Mo", "1 Yr", "2 Yr", "3 Yr", "5 Yr", "7 Yr", "10 Yr",
          "20 Yr", "30 Yr")  # fmt: skip


def answer(ask: Ask, clock: datetime) -> bytes:
    """A year's file as it stood at `clock`. Tenors of which the pack has no record are blank."""
    found = PATH.fullmatch(ask.path)
    if not found:
        raise NoRecord(f"ust {ask.path}")
    if (ask.params.get("type"), ask.params.get("_format")) != ("daily_treasury_yield_curve", "csv"):
        raise BadRequest("type is daily_treasury_yield_curve and _format is csv")
    year = int(found[1])
    table = known("ust", "par_curve", clock)
    if date(year, 12, 31) < min(table):
        raise NoRecord(f"ust par_curve of {year}")
    lines = [",".join(("Date", *(f'"{tenor}"' for tenor in TENORS)))]
    for day, row in reversed(table.items()):
        if day.year == year:
            cells = (f"{Decimal(row[t]):.2f}" if t in row else "" for t in TENORS)
            lines.append(",".join((f"{day:%m/%d/%Y}", *cells)))
    return "".join(f"{line}\n" for line in lines).encode()
