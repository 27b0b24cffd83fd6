"""SEC: the list of its press releases, as documents: title, address and stamp, and none of their text.

The host refuses whoever does not say who asks, so the source is asked only with a contact of yours in `SEC_USER_AGENT`
("Company name@example.org"): it goes where other sources get a key, into the header.
"""

from include.core.press import releases
from include.core.shapes import Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window

AUTHOR = "U.S. Securities and Exchange Commission"


def parse(payload: Payload) -> Parsed:
    """A document a release. Raises `ContractError`."""
    return releases(payload, author=AUTHOR, host="sec.gov")


def requests(_: Window) -> list[Request]:
    """The list as it stands now: the newest releases."""
    return [Request("/news/pressreleases.rss")]


SOURCE = Source(
    source_id="sec",
    title="SEC: press releases",
    base_url="https://www.sec.gov",
    lineage_root="sec",
    evidence_kind="origin",
    rank=1,
    licence="public domain (US government)",
    credit=AUTHOR,
    verified="recorded",
    key_env="SEC_USER_AGENT",
    key_header="User-Agent",
    key_required=True,
    feeds=(
        Feed(
            name="press_releases", kind="SNAPSHOT", clock="regulation", shape="document", media="xml", parse=parse,
            restates="none", release=Release("FEDWIRE", 0, "18:00", "America/New_York"), requests=requests,
        ),
    ),
)  # fmt: skip
