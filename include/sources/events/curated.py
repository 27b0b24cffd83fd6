"""Rows that a person states, each with the page that says so: decisions, votes, funds, rules, incidents, names, assets.

The files in `curated_rows/` ship with the product; `layouts.toml` says what a line of each holds. A line is one event
(or one day of assets); its columns become attributes. It carries either `published_at`, the publisher's own stamp, or
`claimed_known_at`, by when it was public.
"""

import re
import tomllib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from include.core.page import page
from include.core.parse import above_zero, columns, day, decode, instant, not_after, number, read_csv, refuse
from include.core.shapes import EVIDENCE_KINDS, Event, Observation, Parsed
from include.core.source import Feed, Payload, Release, Source

KNOWN = ("published_at", "claimed_known_at")
STATED = (*KNOWN, "lineage_root", "evidence_kind", "url", "note")
_LAYOUTS = tomllib.loads(Path(__file__).with_name("curated_rows").joinpath("layouts.toml").read_text("utf-8"))
EVENTS: dict[str, dict] = _LAYOUTS["feeds"]
TOKENS: dict[str, list[str]] = _LAYOUTS["tokens"] | {"evidence_kind": list(EVIDENCE_KINDS)}
# Units of numbers, by the end of their names.
_UNITS = {"_pct": "percent", "confidence": None, "_usd": "usd", "_native": "coin", "_contracts": "contract"}
_ASSETS = re.compile(r"[A-Z]{2,5}\.[A-Z]{2,6}", re.ASCII)

Line = dict[str, str]


def parse_events(
    kind: str, attributes: list[str], moment: str = "", added: tuple[str, ...] = ()
) -> Callable[[Payload], Parsed]:
    """The parser of one feed: a row per filled attribute of each event that was public when the file was seen."""
    timed = (moment, "slack_s") if moment else ()

    def parse(payload: Payload) -> Parsed:
        required = [name for name in attributes if name not in added]  # a file that landed before stays readable
        _, lines = _lines(payload, ("event_id", "event_date", *timed, *required, *STATED))
        public = (line for line in lines if _is_public(line, payload))
        return page("event", (row for line in public for row in _event(kind, moment, attributes, line)))

    return parse


def parse_aum(payload: Payload) -> Parsed:
    """Assets of funds at the day's close, US dollars, a day a line and a fund a column. Raises `ContractError`."""
    header, lines = _lines(payload, ("event_date", "BTC.IBIT", "ETH.ETHA", *STATED))
    funds = [title for title in header if _ASSETS.fullmatch(title)]
    rows = (
        Observation(series_id=f"AUM.{fund}", value=above_zero(line[fund], fund), unit="usd", value_raw=line[fund],
                    locator=f"row={line['event_date']} col={fund}", **_stated(line))
        for line in lines if _is_public(line, payload) for fund in funds if line[fund]
    )  # fmt: skip
    return page("observation", rows)


def _lines(payload: Payload, required: tuple[str, ...]) -> tuple[list[str], list[Line]]:
    header, *body = [line for line in read_csv(decode(payload.body, "utf-8"), closed=True) if line] or [[]]
    columns(header, {name: name for name in required})
    titles = [title.strip() for title in header]
    if not body or len(set(titles)) != len(titles):
        raise refuse("no rows, or a column twice", "G1.columns" if body else "G1.empty")
    if wrong := next((line for line in body if len(line) != len(header)), None):
        raise refuse(f"line {wrong[0][:40]!r} has {len(wrong)} cells under {len(header)} columns", "G1.columns")
    return titles, [dict(zip(titles, map(str.strip, line), strict=True)) for line in body]


def _is_public(line: Line, payload: Payload) -> bool:
    """A run whose clock stands in the past reads the same shipped file, and must not learn from it what came later."""
    return _known_at(line) <= payload.seen_at


def _known_at(line: Line) -> datetime:
    stamps = [line[name] for name in KNOWN if line[name]]
    if len(stamps) != 1:
        raise refuse("a line has either published_at or claimed_known_at", "G1.known_at")
    return instant(stamps[0])


def _stated(line: Line) -> dict:
    """What the rows of a line share."""
    for name, tokens in TOKENS.items():
        if line.get(name, "") not in tokens and name in line:
            raise refuse(f"{line[name][:40]!r} is no {name}", "G1.token")
    if not line["url"].startswith("https://") or not line["lineage_root"]:
        raise refuse("a line cites no page or no lineage", "G1.citation")
    # The day can be ahead of UTC's by half a day; a line that was public before its day is a look-ahead.
    event_date = not_after(
        day(line["event_date"], "%Y-%m-%d"), (_known_at(line) + timedelta(hours=14)).date(), "a row of"
    )
    known = {name: instant(line[name]) if line[name] else None for name in KNOWN}
    return known | {name: line[name] for name in ("lineage_root", "evidence_kind")} | {"event_date": event_date}


def _event(kind: str, moment: str, attributes: list[str], line: Line) -> Iterator[Event]:
    shared = _stated(line) | {"event_id": line["event_id"], "kind": kind}
    if not line["event_id"]:
        raise refuse("a line without event_id", "G1.columns")
    if moment and line[moment]:
        slack = number(line["slack_s"])
        if slack != int(slack) or not 0 <= slack <= 86_400:
            raise refuse(f"slack_s is {line['slack_s'][:40]!r}", "G1.range")
        shared |= {"event_at": instant(line[moment]), "slack_s": int(slack)}
    for name in ((moment,) if moment else ()) + (*attributes, "url", "note"):
        if line.get(name):
            yield Event(attribute=name, value_raw=line[name], locator=f"row={line['event_id']} col={name}",
                        **_content(name, line[name]), **shared)  # fmt: skip


def _content(name: str, raw: str) -> dict:
    """Numbers are told by their names; the rest is text, days and all."""
    if name.startswith("votes_"):
        return {"value": number(raw), "unit": "vote"}
    for suffix, unit in _UNITS.items():
        if name.endswith(suffix):
            if (value := number(raw)) < 0 and unit == "usd":
                raise refuse(f"{name} is {raw}", "G1.sign")
            return {"value": value, "unit": unit}
    if name.endswith(("_on", "_date")):
        day(raw, "%Y-%m-%d")
    return {"value_text": raw}


def _feed(name: str, parse: Callable[[Payload], Parsed], shape: str = "event") -> Feed:
    return Feed(
        name=name, kind="INBOX", clock="curated", shape=shape, media="csv", parse=parse, restates="all",
        release=Release("UTC247", 1, "12:00"), shipped=f"curated_rows/{name}.csv",
        requires="edit the shipped file, or put a whole newer copy of it into the inbox",
        empty_ok="at an early clock no row of the file is public yet",
    )  # fmt: skip


SOURCE = Source(
    source_id="curated",
    title="Curated rows: decisions, votes, instants, funds, names, rules, incidents, fund assets",
    base_url="",
    lineage_root="curated",
    evidence_kind="transcription",
    rank=5,
    licence="facts on the public record, each with the page that states it",
    credit="the publishers named in the rows",
    verified="recorded",
    feeds=(
        *(_feed(name, parse_events(**layout)) for name, layout in EVENTS.items()),
        _feed("fund_aum", parse_aum, "observation"),
    ),
)
