"""What a landing did to a feed's history (rule G9), and lineages too equal to be two (rule G10).

A publisher may correct a figure; one that rewrites its history in a landing, or drops days from it, has more likely
changed its unit, its table or its mind about what it publishes. The figures of such a landing are withheld as one
batch, so that a person releases or keeps them together.
"""

import hashlib

import duckdb

from include.core.clock import iso

SHARE = 0.05  # of a feed's earlier cells that change in one landing
ENOUGH, PERIODS = 10, 3  # the fewest that are called many: one corrected row of a wide table is not a history

# Current versions that changed or withdrew a figure, by the landing that did it. What a fund table does in its first
# night is completion, not correction.
_CHANGED = """
with cell as (
    select
        version.source_id, version.feed, version.series_id, version.event_date, version.event_at, version.value,
        version.obs_status, version.known_from,
        version.previous_value is not null and version.value is distinct from version.previous_value
            and coalesce(version.revision_kind, '') != 'completion' as is_changed,
        first.known_from as since
    from scratch.ledger.observation_version as version
    inner join scratch.ledger.observation_version as first
        on first.source_id = version.source_id and first.series_id = version.series_id
        and first.event_date = version.event_date and first.event_at is not distinct from version.event_at
        and first.version_no = 1
    where version.known_to is null and version.obs_status != 'held' and version.evidence_kind != 'report'
),

landing as (
    select source_id, feed, known_from, count(*) as n_changed,
        count(distinct coalesce(event_at, event_date::timestamptz)) as n_periods
    from cell where is_changed group by all
),

measured as (
    select landing.*, count(*) filter (cell.since < landing.known_from) as n_before
    from landing inner join cell on landing.source_id = cell.source_id and landing.feed = cell.feed
    group by all
),

-- days of which nothing that had been printed is left
withdrawn as (
    select source_id, feed, event_date, event_at
    from cell
    where is_changed or value is not null
    group by all
    having bool_and(obs_status = 'retracted')
)

select
    cell.source_id, cell.feed, cell.series_id, cell.event_date, cell.event_at, cell.value, cell.obs_status,
    cell.known_from, measured.n_changed, measured.n_before,
    measured.n_changed >= $enough and measured.n_periods >= $periods
        and measured.n_changed > $share * measured.n_before as is_mass
from cell
inner join measured
    on cell.source_id = measured.source_id and cell.feed = measured.feed and cell.known_from = measured.known_from
left join withdrawn
    on cell.source_id = withdrawn.source_id and cell.feed = withdrawn.feed and cell.event_date = withdrawn.event_date
    and cell.event_at is not distinct from withdrawn.event_at
where cell.is_changed and (withdrawn.event_date is not null or is_mass)
order by all
"""

_COPIES = """
select copy.lineage_b as source_id, min(known.feed) as feed, copy.subject as series_id, copy.lineage_a, copy.n_periods,
    copy.first_date, copy.last_date
from scratch.ledger.lineage_copy as copy
inner join scratch.ledger.observation_known as known
    on known.lineage_root = copy.lineage_b and known.series_id like copy.subject || '.%'
where copy.hold_id is null
group by all order by all
"""


def suspects(con: duckdb.DuckDBPyConnection) -> list[dict]:
    """Figures of mass revisions and withdrawals, and pairs of lineages to count as one, as holds (`holds.KEY`, `why`,
    `batch_id`) with their `feed`. `con` has a build's `scratch` attached."""
    cursor = con.execute(_CHANGED, {"enough": ENOUGH, "periods": PERIODS, "share": SHARE})
    names = [c[0] for c in cursor.description]
    found = [_revised(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]
    return found + [_copied(*row) for row in con.execute(_COPIES).fetchall()]


def _revised(cell: dict) -> dict:
    seen = iso(cell.pop("known_from"))
    changed, before, is_mass = cell.pop("n_changed"), cell.pop("n_before"), cell.pop("is_mass")
    rule = "G9.mass_revision" if is_mass else "G9.withdrawn"
    why = f"{changed} of {before} figures changed at {seen}" if is_mass else f"days of its history went at {seen}"
    batch = hashlib.sha256(f"{rule} {cell['source_id']} {cell['feed']} {seen}".encode()).hexdigest()[:12]
    return cell | {"rule_id": rule, "why": why, "batch_id": batch}


def _copied(source_id: str, feed: str, subject: str, original: str, n: int, first: object, last: object) -> dict:
    why = f"{subject} equals {original} to the last digit over {n} periods, {first} to {last}: counted as one"
    return {"rule_id": "G10.copy", "source_id": source_id, "feed": feed, "series_id": subject, "event_date": None,
            "event_at": None, "value": None, "obs_status": f"copy of {original}", "why": why,
            "batch_id": None}  # fmt: skip
