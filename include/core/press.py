"""Press releases: a list of news (RSS 2.0) as items or as documents, and the text of a page."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from urllib.parse import urlsplit, urlunsplit

from lxml import etree, html

from include.core.page import page
from include.core.parse import decode, refuse
from include.core.shapes import Document, Parsed
from include.core.source import Payload

_STAMP = re.compile(r"[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d (?:GMT|[+-]\d{4})", re.ASCII)
_AHEAD = timedelta(minutes=10)  # a publisher's clock may be ahead of ours by so much


@dataclass(frozen=True, slots=True)
class Item:
    """One entry: its title and link as written, and when it was published (UTC)."""

    title: str
    link: str
    published_at: datetime
    stamp: str


def read_feed(body: bytes, seen_at: datetime | None = None) -> list[Item]:
    """Every item of the channel. `ContractError`: a document type, no channel, an item without title, link or stamp."""
    text = decode(body, "utf-8")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise refuse("a document type in a list of news", "G1.doctype")
    try:
        root = etree.fromstring(text.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        raise refuse("not XML", "G1.syntax") from None
    channel = root.find("channel") if root.tag == "rss" else None
    if channel is None:
        raise refuse("no channel of news", "G1.columns")
    items = [_item(node, seen_at) for node in channel.iterfind("item")]
    if not items:
        raise refuse("a channel without items", "G1.empty")
    return items


def _item(node: etree._Element, seen_at: datetime | None) -> Item:
    title, link, stamp = (" ".join((node.findtext(name) or "").split()) for name in ("title", "link", "pubDate"))
    if not title or not link or not _STAMP.fullmatch(stamp):
        raise refuse(f"an item without title, link or stamp: {(title or link)[:40]!r}", "G1.columns")
    try:
        published_at = parsedate_to_datetime(stamp).astimezone(UTC)
    except (ValueError, OverflowError):
        raise refuse(f"not a stamp: {stamp!r}", "G1.date") from None
    if seen_at and published_at > seen_at + _AHEAD:
        raise refuse(f"an item of {stamp} lies in the future", "G1.future")
    return Item(title, link, published_at, stamp)


def address(link: str) -> str:
    """A page's address as it names a document: https, without what leads to a place in it. Other links are refused."""
    try:
        parts = urlsplit(link)
        is_page = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
    except ValueError:
        is_page = False
    if not is_page or not link.isprintable() or " " in link:
        raise refuse(f"not the address of a page: {link[:60]!r}", "G1.url")
    return urlunsplit(("https", parts.netloc, parts.path, parts.query, ""))


def listed(link: str, **said: object) -> Document:
    """A document of which a list is all that was landed: named by its address. `said` is what the list tells of it."""
    url = address(link)
    return Document(doc_sha256=sha256(url.encode()).hexdigest(), url=url, locator=f"url={url}", **said)


def releases(payload: Payload, *, author: str, host: str) -> Parsed:
    """The items of an authority's list of news that stand on its own host, as its documents. Raises `ContractError`.

    The stamp says since when the page is there, not since when it reads as it does: a title that is changed later comes
    with the old stamp, so the stamp is a claim and dates the first version alone.
    """
    rows = [
        listed(item.link, title=item.title, author=author, lang="en", media_type="application/rss+xml",
               event_date=item.published_at.date(), event_at=item.published_at, value_raw=item.stamp,
               claimed_known_at=item.published_at)
        for item in read_feed(payload.body, payload.seen_at)
        if f".{urlsplit(address(item.link)).hostname}".endswith(f".{host}")
    ]  # fmt: skip
    return page("document", rows, [row.event_date for row in rows])


def article(body: bytes) -> str:
    """The text inside a page's element `article`: no menus, no footer. Refused if there is none, or the page is cut."""
    try:
        tree = html.fromstring(decode(body, "utf-8").encode(), parser=html.HTMLParser(encoding="utf-8"))
        found = tree.xpath("//*[@id='article']")
    except (etree.LxmlError, ValueError):
        raise refuse("not a page", "G1.syntax") from None
    if len(found) != 1 or not body.rstrip().endswith(b"</html>"):
        raise refuse("not a press release, or cut off", "G1.columns")
    return " ".join(found[0].itertext())
