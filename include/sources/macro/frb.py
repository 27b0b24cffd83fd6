"""Federal Reserve Board, H.10: yen per US dollar, noon buying rate in New York. Daily, released on Mondays.

The package of the Data Download Program holds every currency; the yen is selected by its identifier.
"""

from zoneinfo import ZoneInfo

from include.core.page import Wide
from include.core.parse import columns, day, decode, read_csv, refuse
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

IDENTIFIER = "RXI_N.B.JA"
PACKAGE = "60f32914ab61dfab590e0e470153e3ae"  # opaque, and may rotate; the release's page names the current one


def requests(window: Window) -> list[Request]:
    """One call for the window; the program's `to` is inclusive, and a day without a rate is no harm."""
    span = (("from", window.start.strftime("%m/%d/%Y")), ("to", window.end.strftime("%m/%d/%Y")))
    shape = (("filetype", "csv"), ("label", "include"), ("layout", "seriescolumn"))
    head = (("rel", "H10"), ("series", PACKAGE), ("lastobs", ""))
    return [Request("/datadownload/Output.aspx", head + span + shape)]


def parse(payload: Payload) -> Parsed:
    """The yen's column. `ND` is a day without a rate. Raises `ContractError`."""
    lines = [line for line in read_csv(decode(payload.body, "utf-8"), closed=True) if line]
    start = next((n for n, line in enumerate(lines) if line[0].strip() == "Time Period"), None)
    if start is None:
        raise refuse("no 'Time Period' line", "G1.columns")
    header = lines[start]
    at = columns(header, {"day": "Time Period", "yen": IDENTIFIER})
    # A label line says the same of this column as the header does, or the columns have shifted.
    labels = {line[0].strip().rstrip(":"): line[at["yen"]].strip() for line in lines[:start] if len(line) > at["yen"]}
    if labels.get("Unique Identifier") != f"H10/H10/{IDENTIFIER}" or labels.get("Multiplier") != "1":
        raise refuse(f"the labels above {IDENTIFIER} name another series or another unit", "G1.columns")
    table = Wide(unit="jpy_per_usd", absent=frozenset({"ND"}), positive=True,
                 read_day=lambda cell: day(cell, "%Y-%m-%d"),
                 limit=payload.seen_at.astimezone(ZoneInfo("America/New_York")).date())  # fmt: skip
    return table.read(header, lines[start + 1 :], at["day"], {at["yen"]: "FX.USDJPY.NOON_NY"})


SOURCE = Source(
    source_id="frb",
    title="Federal Reserve Board: H.10 foreign exchange rates",
    base_url="https://www.federalreserve.gov",
    lineage_root="frb-h10",
    evidence_kind="measurement",
    rank=2,
    licence="public domain (US government)",
    credit="Board of Governors of the Federal Reserve System, H.10",
    verified="documented",
    feeds=(
        Feed(
            name="h10", kind="WINDOW", clock="rates", shape="observation", media="csv", parse=parse,
            restates="window", release=Release("FEDWIRE", 1, "16:15", "America/New_York", 0), requests=requests,
            expects=("FX.USDJPY.NOON_NY",),
        ),
    ),
)  # fmt: skip
