"""Federal Reserve: the list of its releases on monetary policy, as documents. Decisions are read from statements."""

from include.core.press import releases
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

AUTHOR = "Federal Reserve"


def parse(payload: Payload) -> Parsed:
    """A document an item. Raises `ContractError`."""
    return releases(payload, author=AUTHOR, host="federalreserve.gov")


def requests(_: Window) -> list[Request]:
    """The list as it stands now: the newest items."""
    return [Request("/feeds/press_monetary.xml")]


SOURCE = Source(
    source_id="fed_press",
    title="Federal Reserve: releases on monetary policy",
    base_url="https://www.federalreserve.gov",
    lineage_root="frb",
    evidence_kind="origin",
    rank=1,
    licence="public domain (US government)",
    credit="Board of Governors of the Federal Reserve System",
    verified="documented",
    min_interval_s=2.0,
    feeds=(
        Feed(
            name="news", kind="SNAPSHOT", clock="policy", shape="document", media="xml", parse=parse, restates="none",
            release=Release("FEDWIRE", 0, "17:00", "America/New_York"), requests=requests, every_s=6 * 3600,
        ),
    ),
)  # fmt: skip
