"""Bank of Japan: the list of what is new on its site, as documents. Decisions are read from its statements."""

from include.core.press import releases
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

AUTHOR = "Bank of Japan"


def parse(payload: Payload) -> Parsed:
    """A document an item. Raises `ContractError`."""
    return releases(payload, author=AUTHOR, host="boj.or.jp")


def requests(_: Window) -> list[Request]:
    """The list as it stands now: the newest items."""
    return [Request("/en/rss/whatsnew.xml")]


SOURCE = Source(
    source_id="boj_press",
    title="Bank of Japan: what is new on its site",
    base_url="https://www.boj.or.jp",
    lineage_root="boj",
    evidence_kind="origin",
    rank=1,
    licence="Bank of Japan website: reproduction with the source named",
    credit=AUTHOR,
    verified="documented",
    min_interval_s=2.0,
    feeds=(
        Feed(
            name="news", kind="SNAPSHOT", clock="policy", shape="document", media="xml", parse=parse, restates="none",
            release=Release("JP_BANK", 0, "17:00", "Asia/Tokyo"), requests=requests, every_s=6 * 3600,
        ),
    ),
)  # fmt: skip
