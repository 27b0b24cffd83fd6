"""Which figures must not be believed: unit, magnitude and reconciliation guards over the ledger's current versions.

An extreme is news and is never held for being one: the history of the fund tables has flows of eleven times a fund's
trailing maximum, and of more than its assets. What is held is a figure that its own page or another lineage
contradicts, or that only a wrong unit explains.
"""

import math
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import combinations, groupby
from statistics import median

import duckdb

RECONCILES = Decimal(2_000_000)  # usd between a printed total and its funds: rounding of a dozen cells, and some
WINDOW, ENOUGH = 250, 20  # sessions of history looked at, and non-zero readings before it says anything
FAR, VERY_FAR = 10, 20  # times the trailing maximum: on a page that speaks with one voice, and for a cell alone
AUM_SHARE = Decimal("0.25")
LINEAGE_FLOOR = Decimal(1_000_000)  # usd below which a ratio of two rounded prints says nothing
PERCENT_FLOOR = Decimal("0.2")  # percentage points; near zero a ratio says nothing

# Current figures of the families whose measure is a flow in one session, with what is needed to judge them.
_FLOWS = """
select version.event_date, split_part(version.series_id, '.', 2) as asset, version.source_id, version.feed,
    version.series_id, split_part(version.series_id, '.', 3) as ticker, version.event_at, version.value,
    version.obs_status, fund.aum_prev_usd, fund.ticker is not null as is_listed,
    coalesce(session.n_funds_listed, 0) as n_listed, opened.session_date is null as is_closed,
    coalesce(withheld.since > version.known_from, false) as is_stale
from scratch.ledger.observation_version as version
inner join scratch.ledger.series_family as family
    on family.family = split_part(version.series_id, '.', 1) and family.measure = 'flow'
left join scratch.ledger.etf_fund_aum as fund
    on fund.asset = split_part(version.series_id, '.', 2) and fund.ticker = split_part(version.series_id, '.', 3)
    and fund.session_date = version.event_date
left join (
    select asset, session_date, any_value(n_funds_listed) as n_funds_listed
    from scratch.ledger.etf_fund_aum group by all
) as session on session.asset = split_part(version.series_id, '.', 2) and session.session_date = version.event_date
left join scratch.landing.market_session as opened
    on opened.calendar = family.calendar and opened.session_date = version.event_date
left join (
    select source_id, split_part(series_id, '.', 2) as asset, event_date, max(known_from) as since
    from scratch.ledger.observation_version where obs_status = 'held' and known_to is null group by all
) as withheld
    on withheld.source_id = version.source_id and withheld.asset = split_part(version.series_id, '.', 2)
    and withheld.event_date = version.event_date
where version.known_to is null and version.value is not null and version.evidence_kind != 'report'
    and version.obs_status not in ('held', 'retracted')
order by version.event_date, asset, version.source_id, ticker
"""
# Levels of every series that has a reading far from the one before it, or one of the wrong sign. A stock may grow a
# hundredfold in a day (a fund that starts with another's assets), so its sign alone is judged.
_LEVELS = """
with reading as (
    select version.series_id, version.event_date, version.event_at, version.source_id, version.feed, version.value,
        version.obs_status, family.measure, family.unit, family.sign,
        lag(version.value) over (
            partition by version.series_id order by version.event_date, version.event_at, version.source_id
        ) as previous
    from scratch.ledger.observation_version as version
    inner join scratch.ledger.series_family as family
        on family.family = split_part(version.series_id, '.', 1)
        and (family.measure = 'price' or family.unit = 'percent' or family.sign = 'positive')
    where version.known_to is null and version.value is not null and version.evidence_kind != 'report'
        and version.obs_status not in ('held', 'retracted')
)

select series_id, event_date, event_at, source_id, feed, value, obs_status, measure, unit, sign
from reading
where series_id in (
    select series_id from reading
    where (sign = 'positive' and value <= 0)
        or (
            measure != 'stock' and sign(value) * sign(previous) > 0
            and abs(log10(abs(value::double / previous::double))) > 1.6
        )
)
order by series_id, event_date, event_at, source_id
"""


@dataclass(frozen=True, slots=True)
class Flow:
    """One cell of a fund table: a fund's flow in a session, or the printed total (ticker TOTAL). USD."""

    event_date: date
    asset: str
    source_id: str
    feed: str
    series_id: str
    ticker: str
    event_at: datetime | None
    value: Decimal
    obs_status: str
    aum: Decimal | None
    is_listed: bool
    n_listed: int
    is_closed: bool
    is_stale: bool  # a newer version of this session is withheld, so that its cells do not belong together


@dataclass(frozen=True, slots=True)
class Level:
    """One reading of a rate, a price or a stock, in `unit`, of a family with this `measure` and `sign`."""

    series_id: str
    event_date: date
    event_at: datetime | None
    source_id: str
    feed: str
    value: Decimal
    obs_status: str
    measure: str
    unit: str
    sign: str


Finding = tuple[Flow | Level, str, str]


def suspects(con: duckdb.DuckDBPyConnection) -> list[dict]:
    """Every current figure that should be withheld, once, as a hold (`holds.KEY`, `why`) with its `feed`.

    `con` has a build's `scratch` attached.
    """
    flows = [Flow(*row) for row in con.execute(_FLOWS).fetchall()]
    levels = [Level(*row) for row in con.execute(_LEVELS).fetchall()]
    once: dict[tuple, dict] = {}
    for cell, rule_id, why in (*judge_flows(flows), *judge_levels(levels)):
        figure = {n: getattr(cell, n) for n in ("source_id", "feed", "series_id", "event_date", "event_at", "value")}
        key = (cell.source_id, cell.series_id, cell.event_date, cell.event_at)
        once.setdefault(key, figure | {"obs_status": cell.obs_status, "rule_id": rule_id, "why": why})
    return list(once.values())


# Fund flows: a session at a time, in order, so that what is found suspect never becomes the measure of what follows.


class History:
    """Absolute non-zero flows of each series over the last sessions, all sources together."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[Decimal]] = defaultdict(lambda: deque(maxlen=WINDOW))

    def times_maximum(self, cell: Flow) -> float:
        """How many times the trailing maximum a flow is; 0 while there is too little history."""
        past = [v for v in self._seen[cell.series_id] if v]
        return float(abs(cell.value) / max(past)) if len(past) >= ENOUGH else 0.0

    def distance(self, series_id: str, value: Decimal) -> float | None:
        """Orders of magnitude between a flow and the series' median; None while there is too little history."""
        past = [v for v in self._seen[series_id] if v]
        return abs(math.log10(abs(value) / median(past))) if value and len(past) >= ENOUGH else None

    def add(self, cells: Iterable[Flow]) -> None:
        """Take in one session: the largest of each series' readings."""
        largest: dict[str, Decimal] = {}
        for cell in cells:
            largest[cell.series_id] = max(largest.get(cell.series_id, Decimal(0)), abs(cell.value))
        for series_id, value in largest.items():
            self._seen[series_id].append(value)


def judge_flows(cells: Iterable[Flow]) -> Iterator[Finding]:
    """Findings over fund tables, ordered by session, asset and source."""
    history = History()
    for _, same_day in groupby(cells, key=lambda c: (c.event_date, c.asset)):
        session = list(same_day)
        pages = [list(page) for _, page in groupby(session, key=lambda c: c.source_id)]
        found = [f for page in pages for f in _judge_page(page, session, history)]
        found += _judge_lineages(_without(session, found), history)
        yield from found
        history.add(_without(session, found))


def _without(cells: list[Flow], found: list[Finding]) -> list[Flow]:
    return [c for c in cells if all(c is not bad for bad, _, _ in found)]


def _judge_page(page: list[Flow], session: list[Flow], history: History) -> Iterator[Finding]:
    """One source's row of the table: closed days, the printed total against the funds, then the scale."""
    if page[0].is_closed:
        yield from ((c, "G8.closed_day", "a flow on a day without a session") for c in page if c.value)
        return
    total = next((c for c in page if c.ticker == "TOTAL"), None)
    funds = [c for c in page if c.ticker != "TOTAL"]
    complete = 0 < page[0].n_listed == sum(c.is_listed for c in funds)
    if total is None or not complete or any(c.is_stale for c in page):
        yield from _judge_alone(page, history)
    elif abs(total.value - sum(c.value for c in funds)) > RECONCILES:
        yield from _odd_cells(total, funds, session, history)
    elif _wrong_unit(total, funds, history):
        yield from ((c, "G5.magnitude", "the whole row stands in another unit") for c in page)


def _judge_alone(page: list[Flow], history: History) -> Iterator[Finding]:
    """Cells that no total confirms: held when far beyond the fund's own past and beyond what its assets allow."""
    for cell in page:
        times = history.times_maximum(cell)
        if times >= VERY_FAR and (cell.aum is None or abs(cell.value) > cell.aum * AUM_SHARE):
            yield cell, "G5.magnitude", f"{times:.0f} times the largest flow of {WINDOW} sessions"


def _wrong_unit(total: Flow, funds: list[Flow], history: History) -> bool:
    """Whether a row that adds up is out of scale as a whole: one fund's record day is not enough."""
    moved = [c for c in funds if c.value]
    far = [c for c in moved if history.times_maximum(c) >= FAR]
    return history.times_maximum(total) >= FAR or (len(far) >= 2 and 2 * len(far) >= len(moved))


def _odd_cells(total: Flow, funds: list[Flow], session: list[Flow], history: History) -> Iterator[Finding]:
    """The cell that explains why total and funds differ; the whole row if no single one does."""
    found = sum((c.value for c in funds), Decimal(0))
    rule, gap = "G5.reconciliation", total.value - found
    text = f"total {total.value / 10**6:.1f} m, its funds {found / 10**6:.1f} m"
    others = [c.value for c in session if c.ticker == "TOTAL" and c.source_id != total.source_id]
    if _any_near(others, found) and not _any_near(others, total.value):
        yield total, rule, f"{text}: another lineage has the funds' sum"
        return
    if not _any_near(others, total.value) and _is_rescaled_total(total, found, history):
        yield total, rule, f"{text}: the total stands in another unit"
        return
    # what a fund would have to say for the row to add up
    misfit = {c: _misfit(c.value, c.value + gap) for c in funds if c.value}
    odd = min(misfit, key=misfit.__getitem__, default=None)
    # all signs turned is told from one sign turned by which of the two fits better
    if odd is not None and misfit[odd] <= RECONCILES and misfit[odd] < abs(total.value + found):
        yield odd, rule, f"{text}: {odd.ticker} has the wrong sign or unit"
        return
    yield from ((c, rule, f"{text}: no single cell explains it") for c in (*funds, total))


def _any_near(values: list[Decimal], value: Decimal) -> bool:
    return any(abs(v - value) <= max(RECONCILES, abs(value) / 50) for v in values)


def _is_rescaled_total(total: Flow, found: Decimal, history: History) -> bool:
    """Whether total and sum are a power of ten apart, and it is the total that is farther from its past."""
    if total.value * found <= 0 or not _powers_apart(total.value, found, 0.01):
        return False
    printed, summed = history.distance(total.series_id, total.value), history.distance(total.series_id, found)
    return printed is not None and summed is not None and printed > summed


def _misfit(value: Decimal, needed: Decimal) -> Decimal:
    """How far `needed` is from what `value` would be with its sign or its unit put right. USD."""
    righted = [-value]
    if value * needed > 0 and abs(value) > abs(needed):
        righted += [value / 10**3, value / 10**6]
    return min(abs(needed - r) for r in righted)


def _judge_lineages(session: list[Flow], history: History) -> Iterator[Finding]:
    """Two lineages of one cell a power of ten apart: the one that is farther from the series' past, or both."""
    by_series: dict[str, list[Flow]] = defaultdict(list)
    for cell in session:
        if abs(cell.value) >= LINEAGE_FLOOR and not cell.is_closed:
            by_series[cell.series_id].append(cell)
    for one, other in (pair for cells in by_series.values() for pair in combinations(cells, 2)):
        if _powers_apart(one.value, other.value, 0.01):
            away = {c: history.distance(c.series_id, c.value) for c in (one, other)}
            known = None not in away.values()
            odd = [max(away, key=lambda c: away[c] or 0.0)] if known else [one, other]
            why = f"{one.source_id} and {other.source_id} differ by a power of ten"
            yield from ((c, "G5.lineage", why) for c in odd)


def _powers_apart(value: Decimal, other: Decimal, slack: float) -> bool:
    """Whether two figures differ by 100, 1000, ... within `slack` orders of magnitude."""
    orders = math.log10(abs(value / other))
    return abs(round(orders)) >= 2 and abs(orders - round(orders)) <= slack


# Levels: against the last reading that was believed.


def judge_levels(readings: Iterable[Level]) -> Iterator[Finding]:
    """Findings over rates, prices and stocks, ordered by series and period."""
    for _, same in groupby(readings, key=lambda r: r.series_id):
        series = list(same)
        # the first reading may be the wrong one: it is held against the middle of the first few
        believed = median(r.value for r in series[:ENOUGH])
        for reading in series:
            if reading.sign == "positive" and reading.value <= 0:
                yield reading, "G5.sign", f"{reading.value.normalize():f} where only a positive figure makes sense"
            elif _is_rescaled(reading, believed):
                why = f"{reading.value.normalize():f} after {believed.normalize():f}: another unit"
                yield reading, "G5.magnitude", why
            elif reading.value:
                believed = reading.value


def _is_rescaled(reading: Level, believed: Decimal) -> bool:
    if reading.measure == "stock" or reading.value * believed <= 0:
        return False
    if reading.unit == "percent":
        # percent against basis points, also when the rate has moved meanwhile
        return abs(reading.value - believed) > PERCENT_FLOOR and _powers_apart(reading.value, believed, 0.3)
    return _powers_apart(reading.value, believed, 0.05)
