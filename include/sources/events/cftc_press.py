"""CFTC: the list of its general press releases, as documents: title, address and stamp, and none of their text."""

from include.core.press import releases
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

AUTHOR = "U.S. Commodity Futures Trading Commission"


def parse(payload: Payload) -> Parsed:
    """A document a release. Raises `ContractError`."""
    return releases(payload, author=AUTHOR, host="cftc.gov")


def requests(_: Window) -> list[Request]:
    """The list as it stands now: the newest releases."""
    return [Request("/RSS/RSSGP/rssgp.xml")]


SOURCE = Source(
    source_id="cftc_press",
    title="CFTC: general press releases",
    base_url="https://www.cftc.gov",
    lineage_root="cftc",
    evidence_kind="origin",
    rank=1,
    licence="public domain (US government)",
    credit=AUTHOR,
    verified="recorded",
    feeds=(
        Feed(
            name="press_releases", kind="SNAPSHOT", clock="regulation", shape="document", media="xml", parse=parse,
            restates="none", release=Release("FEDWIRE", 0, "18:00", "America/New_York"), requests=requests,
        ),
    ),
)  # fmt: skip
