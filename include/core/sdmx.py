"""SDMX as CSV: one reading a line, in the form in which statistical offices and central banks publish it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from include.core.parse import columns, day, decode, not_after, read_csv, refuse

MISSING = frozenset({"", "NaN"})


@dataclass(frozen=True, slots=True)
class Reading:
    """One line: its attributes by column, the day, and the printed figure; None where the day has none."""

    of: dict[str, str]
    day: date
    raw: str | None


def readings(body: bytes, attributes: tuple[str, ...], limit: date) -> Iterator[Reading]:
    """The lines of a daily table. A blank or NaN means "no reading" on a line whose status does not say "normal".

    Raises `ContractError`: a missing column, a line of another width, a day after `limit`, a status that contradicts
    its figure, and a table without lines.
    """
    lines = [line for line in read_csv(decode(body, "utf-8"), closed=True) if line]
    named = (*attributes, "FREQ", "TIME_PERIOD", "OBS_VALUE", "OBS_STATUS")
    at = columns(lines[0] if lines else [], {name: name for name in named})
    if len(lines) == 1:
        raise refuse("a header and no rows", "G1.empty")
    for line in lines[1:]:
        if len(line) != len(lines[0]):
            raise refuse(f"a line of {len(line)} cells under a header of {len(lines[0])}", "G1.columns")
        cell = {name: line[n].strip() for name, n in at.items()}
        if cell["FREQ"] != "D":
            raise refuse(f"a line of frequency {cell['FREQ'][:20]!r} among daily ones", "G1.token")
        raw, status = cell["OBS_VALUE"], cell["OBS_STATUS"]
        if (raw in MISSING) != (status in ("M", "H")):  # missing, holiday
            raise refuse(f"{raw[:40]!r} with status {status[:20]!r}", "G1.status")
        period = not_after(day(cell["TIME_PERIOD"], "%Y-%m-%d"), limit, "a row of")
        yield Reading({name: cell[name] for name in attributes}, period, None if raw in MISSING else raw)
