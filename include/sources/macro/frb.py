"""Federal Reserve Board, Data Download Program: H.10 and H.15.

H.10 is the Board's own: yen per US dollar, noon buying rate in New York, daily, released on Mondays. H.15 re-serves the
Treasury's par curve as constant maturities, percent a year, for the day before: a check of the transcription, and no
second measurement. A package holds many series; each is selected by its identifier, never by its place.
"""

from dataclasses import dataclass, replace
from functools import partial
from zoneinfo import ZoneInfo

from include.core.page import Wide
from include.core.parse import columns, day, decode, ended, read_csv, refuse
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window


@dataclass(frozen=True, slots=True)
class Package:
    """One download: its release, its opaque name (which may rotate; the release's page names the current one), its unit
    and series by identifier, and whose measurement they are if they are not the Board's own."""

    release: str
    name: str
    unit: str
    series: tuple[tuple[str, str], ...]
    re_served: tuple[tuple[str, str], ...] = ()


H10 = Package("H10", "60f32914ab61dfab590e0e470153e3ae", "jpy_per_usd", (("RXI_N.B.JA", "FX.USDJPY.NOON_NY"),))
H15 = Package(
    "H15", "bf17364827e38702b42a58cf8eaa3f78", "percent",
    (("RIFLGFCY02_N.B", "YIELD.US.2Y"), ("RIFLGFCY10_N.B", "YIELD.US.10Y"), ("RIFLGFCY30_N.B", "YIELD.US.30Y")),
    (("lineage_root", "ust"), ("evidence_kind", "transcription")),
)  # fmt: skip


def requests(package: Package, window: Window) -> list[Request]:
    """One call for the window; the program's `to` is inclusive, and a day without a rate is no harm."""
    span = (("from", window.start.strftime("%m/%d/%Y")), ("to", window.end.strftime("%m/%d/%Y")))
    shape = (("filetype", "csv"), ("label", "include"), ("layout", "seriescolumn"))
    head = (("rel", package.release), ("series", package.name), ("lastobs", ""))
    return [Request("/datadownload/Output.aspx", head + span + shape)]


def parse(package: Package, payload: Payload) -> Parsed:
    """The package's series. `ND` is a day without a rate. Raises `ContractError`."""
    text = decode(payload.body, "utf-8")
    lines = [line for line in read_csv(text) if line]
    start = next((n for n, line in enumerate(lines) if line[0].strip() == "Time Period"), None)
    if start is None:
        raise refuse("no 'Time Period' line", "G1.columns")
    header = lines[start]
    at = columns(header, {"day": "Time Period"} | {name: name for name, _ in package.series})
    for name, _ in package.series:
        # A label line says the same of a column as the header does, or the columns have shifted.
        labels = {line[0].strip().rstrip(":"): line[at[name]].strip() for line in lines[:start] if len(line) > at[name]}
        identifier = f"{package.release}/{package.release}/{name}"
        if labels.get("Unique Identifier") != identifier or labels.get("Multiplier") != "1":
            raise refuse(f"the labels above {name} name another series or another unit", "G1.columns")
    table = Wide(unit=package.unit, absent=frozenset({"ND"}), positive=package.unit != "percent",
                 read_day=lambda cell: day(cell, "%Y-%m-%d"),
                 limit=payload.seen_at.astimezone(ZoneInfo("America/New_York")).date())  # fmt: skip
    body = ended(text, lines[start + 1 :])  # the program's files end without a newline
    found = table.read(header, body, at["day"], {at[name]: series for name, series in package.series})
    rows = [replace(row, **dict(package.re_served)) for row in found.rows]
    return Parsed(rows, found.scope_from, found.scope_to)


SOURCE = Source(
    source_id="frb",
    title="Federal Reserve Board: H.10 foreign exchange rates, H.15 interest rates",
    base_url="https://www.federalreserve.gov",
    lineage_root="frb-h10",
    evidence_kind="measurement",
    rank=2,
    licence="public domain (US government)",
    credit="Board of Governors of the Federal Reserve System, H.10 and H.15",
    verified="documented",
    feeds=(
        Feed(
            name="h10", kind="WINDOW", clock="rates", shape="observation", media="csv",
            parse=partial(parse, H10), restates="window", requests=partial(requests, H10),
            release=Release("FEDWIRE", 1, "16:15", "America/New_York", 0), expects=("FX.USDJPY.NOON_NY",),
        ),
        Feed(
            name="h15", kind="WINDOW", clock="rates", shape="observation", media="csv",
            parse=partial(parse, H15), restates="window", requests=partial(requests, H15),
            release=Release("FEDWIRE", 1, "16:15", "America/New_York"), every_s=20 * 3600,
            expects=tuple(series_id for _, series_id in H15.series), calendar="SIFMA_US",
        ),
    ),
)  # fmt: skip
