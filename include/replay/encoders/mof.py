"""Ministry of Finance, Japan: the month's JGB curve (Japanese, era dates) and its history (English), in cp932.

The history is refreshed monthly, so it ends where the current file begins; on the first business days of a month the
current file still holds the month before.
"""

from datetime import date, datetime
from decimal import Decimal

from include.replay.record import Ask, NoRecord, known

MEDIA = "text/csv"
CURRENT = "/jgbs/reference/interest_rate/jgbcm.csv"
HISTORY = "/english/policy/jgbs/reference/interest_rate/historical/jgbcme_all.csv"
TENORS = ("1Y", "2Y", "3Y", "4Y", "5Y", "6Y", "7Y", "8Y", "9Y", "10Y", "15Y", "20Y", "25Y", "30Y", "40Y")
NOTE = "If you cannot download the latest csv data, please clear the browser's cache and download again."
COMMAS = "," * len(TENORS)


def answer(ask: Ask, clock: datetime) -> bytes:
    """The whole file, as it stood at `clock`."""
    if ask.path not in (CURRENT, HISTORY):
        raise NoRecord(f"mof {ask.path}")
    table = known("mof", "jgbcm", clock)
    month = max(table).replace(day=1)
    if ask.path == CURRENT:
        lines = _current(month, {day: row for day, row in table.items() if day >= month})
    else:
        lines = _history({day: row for day, row in table.items() if day < month})
    return "".join(f"{line}\r\n" for line in lines).encode("cp932")


def _current(month: date, table: dict[date, dict[str, str]]) -> list[str]:
    era = month.year - 2018
    lines = [f"国債金利情報 (令和{era}年{month.month}月){COMMAS}(単位 : %)"]
    lines.append(",".join(("基準日", *(tenor.replace("Y", "年") for tenor in TENORS))))
    for day, row in table.items():
        # This file prints three decimals where the history drops closing zeros.
        cells = (row[t] if row[t] == "-" else f"{Decimal(row[t]):.3f}" for t in TENORS)
        lines.append(",".join((f"R{day.year - 2018}.{day.month}.{day.day}", *cells)))
    return lines


def _history(table: dict[date, dict[str, str]]) -> list[str]:
    lines = [f"Interest Rate{COMMAS}(Unit : %)", ",".join(("Date", *TENORS))]
    for day, row in table.items():
        lines.append(",".join((f"{day.year}/{day.month}/{day.day}", *(row[tenor] for tenor in TENORS))))
    return [*lines, COMMAS, f'"  ※{NOTE}"{COMMAS}']
