"""Frankfurter: the ECB's USD/JPY cross as an open service serves it again.

Always with `providers=ecb`: without it the service blends many central banks, which is no figure of anybody's. It is a
copy of the ECB's own rates, rounded to the yen's hundredth, so it checks transcription and adds no source.
"""

from datetime import timedelta
from zoneinfo import ZoneInfo

from include.core.page import page
from include.core.parse import above_zero, day, member, not_after, read_json, refuse, unique
from include.core.shapes import Observation, Parsed
from include.core.source import Feed, Payload, Release, Request, Source, Window


def requests(window: Window) -> list[Request]:
    """One call for the window."""
    last = window.end - timedelta(days=1)
    span = (("from", window.start.isoformat()), ("to", last.isoformat()))
    return [Request("/v2/rates", (("base", "USD"), ("quotes", "JPY"), *span, ("providers", "ecb")))]


def parse(payload: Payload) -> Parsed:
    """Yen per dollar of each day. Raises `ContractError`; an error comes as an object with a `message`."""
    answer = read_json(payload.body)
    if isinstance(answer, dict) and "message" in answer:
        raise refuse(f"error: {str(answer['message'])[:80]}", "G1.api_error")
    limit = payload.seen_at.astimezone(ZoneInfo("Europe/Berlin")).date()
    cells = []
    for row in member(answer, None, list):
        if (pair := (member(row, "base", str), member(row, "quote", str))) != ("USD", "JPY"):
            raise refuse(f"a rate that was not asked for: {' '.join(pair)[:20]!r}", "G1.token")
        on = day(member(row, "date", str), "%Y-%m-%d")
        not_after(on, limit, "a rate of")
        cells.append((on, member(row, "rate", object)))
    rows = [
        Observation(series_id="FX.USDJPY.ECB", event_date=on, value=above_zero(rate, f"the rate of {on}"),
                    unit="jpy_per_usd", value_raw=str(rate), locator=f"row={on}")
        for on, rate in unique(cells).items()
        if rate is not None
    ]  # fmt: skip
    if not rows:
        raise refuse("no day has a rate", "G1.empty")
    return page("observation", rows, [on for on, _ in cells])


SOURCE = Source(
    source_id="frankfurter",
    title="Frankfurter: euro reference rates of the ECB, served again",
    base_url="https://api.frankfurter.dev",
    lineage_root="ecb",
    evidence_kind="transcription",
    rank=5,
    licence="open service; the rates are the ECB's: reuse free with attribution",
    credit="European Central Bank, by Frankfurter",
    verified="guessed",
    feeds=(
        Feed(
            name="usdjpy", kind="WINDOW", clock="rates", shape="observation", media="json", parse=parse,
            restates="window", release=Release("TARGET", 0, "17:00", "Europe/Berlin"), requests=requests,
        ),
    ),
)  # fmt: skip
