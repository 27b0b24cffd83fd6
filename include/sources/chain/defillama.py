"""DefiLlama: value locked in all chains, and the list of incidents.

Value locked moves with prices, so that its change is no flow. The chart is always whole, and is refilled when an
adapter is corrected. The list of incidents is not in the documentation of the free service, and is served by it.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, date

from include.core.page import page, settled
from include.core.parse import member, number, read_json, refuse, utc_day
from include.core.shapes import Event, Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source

DETAILS = (("name", "name"), ("classification", "classification"), ("technique", "technique"), ("url", "source"))
AMOUNTS = (("loss_usd", "amount"), ("returned_usd", "returnedFunds"))


def _seen_on(payload: Payload) -> date:
    return payload.seen_at.astimezone(UTC).date()


def parse_tvl(payload: Payload) -> Parsed:
    """Dollars locked on each day that is over; the zeros before anything was counted are no reading."""
    points = ((utc_day(member(i, "date", int)), i) for i in member(read_json(payload.body), None, list))
    over = settled(points, _seen_on(payload))
    rows = [
        Observation(series_id="TVL.ALL", event_date=day, value=number(item["tvl"]), unit="usd",
                    value_raw=str(item["tvl"]), locator=f"row={day} key=tvl")
        for day, item in over
        if item.get("tvl") is not None
    ]  # fmt: skip
    if wrong := next((row for row in rows if row.value < 0), None):
        raise refuse(f"{wrong.series_id} of {wrong.event_date} is {wrong.value_raw}", "G1.sign")
    first = min((row.event_date for row in rows if row.value), default=None)
    if first is None:
        raise refuse("nothing locked on any day", "G1.empty")
    return page("observation", (row for row in rows if row.event_date >= first), [day for day, _ in over])


def parse_hacks(payload: Payload) -> Parsed:
    """Incidents with what they lost, as the service dates them: a row an attribute that is told. No instant is."""
    items = [(utc_day(member(i, "date", int)), i) for i in member(read_json(payload.body), None, list)]
    listed = {(_event_id(day, item), day, str(item.get("technique"))) for day, item in items}
    shared = Counter(event_id for event_id, _, _ in listed)  # two incidents of one name on one day
    rows: list[Event] = []
    for day, item in items:
        if day > _seen_on(payload):
            raise refuse(f"an incident of {day} lies in the future", "G1.future")
        event_id = _event_id(day, item)
        if shared[event_id] > 1:
            event_id += f".{_slug(item.get('technique') or 'unnamed')}"
        rows += _incident(event_id, day, item)
    if not rows:
        raise refuse("no incidents", "G1.empty")
    return page("event", rows)


def _event_id(day: date, item: dict) -> str:
    return f"INCIDENT.{_slug(member(item, 'name', str))}.{day}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", member(text, None, str).lower()).strip("-")


def _incident(event_id: str, day: date, item: dict) -> Iterable[Event]:
    chains = item.get("chain")
    told = [(name, item.get(key), None) for name, key in DETAILS]
    told += [("chain", ", ".join(map(str, member(chains, None, list))) if chains is not None else None, None)]
    told += [(name, item.get(key), "usd") for name, key in AMOUNTS]
    for name, raw, unit in told:
        if raw is None or raw == "":
            continue
        said = {"value": number(raw), "unit": unit} if unit else {"value_text": member(raw, None, str)}
        if unit and said["value"] < 0:
            raise refuse(f"{name} of {event_id} is {raw}", "G1.sign")
        yield Event(event_id=event_id, kind="INCIDENT", attribute=name, event_date=day, value_raw=str(raw),
                    locator=f"row={event_id} key={name}", **said)  # fmt: skip


def _feed(name: str, path: str, parse: Callable, **more: object) -> Feed:
    return Feed(
        name=name, kind="WINDOW", clock="onchain", media="json", parse=parse,
        revises=True, requests=lambda _: [Request(path)],
        **({"shape": "observation", "restates": "window", "release": Release("UTC247", 1, "01:00")} | more),
    )  # fmt: skip


SOURCE = Source(
    source_id="defillama",
    title="DefiLlama: value locked in all chains, incidents",
    base_url="https://api.llama.fi",
    lineage_root="defillama",
    evidence_kind="compilation",
    rank=3,
    licence="open data with attribution, no licence text found; commercial volume is a paid plan",
    credit="DefiLlama",
    verified="recorded",
    feeds=(
        _feed("tvl_all", "/v2/historicalChainTvl", parse_tvl, expects=("TVL.ALL",)),
        _feed("hacks", "/hacks", parse_hacks, shape="event", restates="all", release=Release("UTC247", 3, "01:00")),
    ),
)  # fmt: skip
