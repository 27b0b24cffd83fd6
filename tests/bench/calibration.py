"""What a grade is worth: `python -m tests.bench.calibration HOME`, on a warehouse made from the bundled pack.

At eight instants, four evenings while funds report and four mornings after, the warehouse is built as of then. Each
figure of the last ten sessions stands with the grade it had, and is compared with what its source said seven days later:
revised means that it moved by more than the series' tolerance, or was gone.

A figure that was fetched once, with a declared lag for an age, cannot have been seen to change. It counts, and the
column `dated` says how many of the figures did not rest on that.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from include import pipeline
from include.replay import PACK_CLOCK
from include.settings import Settings

_EVENING, _MORNING = timedelta(hours=3, minutes=7), timedelta(hours=15)
_DAYS = [datetime(2025, 12, day, tzinfo=UTC) for day in (5, 18)] + [
    datetime(2026, 1, day, tzinfo=UTC) for day in (9, 23)
]
INSTANTS = [day + hour for day in _DAYS for hour in (_EVENING, _MORNING)]

# a flow is the sum of its source's funds, or its printed total where there is no split; every other figure is one cell
_REVISED = """
with recent as (
    select session_date from past.marts.dim_market_session
    where calendar = 'NYSE' and close_at <= $at order by session_date desc limit 10
),
figure as (
    select 'ETF_FLOW.' || asset || '.TOTAL' as series_id, session_date as event_date, null::timestamptz as event_at,
        source_id, net_flow_usd as value, grade, n_funds_reported > 0 as is_split
    from past.marts.fct_etf_flow_agg_daily where net_flow_usd is not null
    union all
    select series_id, event_date, event_at, published_source_id, published_value, grade, false
    from past.marts.fct_corroboration
    where is_published and published_value is not null and series_id not like 'ETF_FLOW.%'
),
cell as (
    select figure.*, version.value as part, version.known_from, version.known_to, version.vintage_kind
    from figure
    inner join today.marts.fct_observation as version
        on version.source_id = figure.source_id and version.event_date = figure.event_date
        and version.event_at is not distinct from figure.event_at and version.obs_status != 'held'
        and case
            when figure.is_split then version.series_id like 'ETF_FLOW.' || split_part(figure.series_id, '.', 2) || '.%'
                and version.series_id != figure.series_id
            else version.series_id = figure.series_id
        end
    where figure.event_date >= (select min(session_date) from recent)
),
later as (
    select series_id, event_date, event_at, grade, value,
        sum(part) filter (known_from <= $at + interval 7 day
            and (known_to is null or $at + interval 7 day < known_to)) as later_value,
        bool_and(vintage_kind not in ('pseudo', 'backfill_unknown')) as is_dated
    from cell
    group by all
)
select later.grade, count(*), count(*) filter (later.is_dated),
    count(*) filter (later.later_value is null or abs(later.later_value - later.value) >
        greatest(coalesce(series.tolerance_abs, 0), coalesce(series.tolerance_rel, 0) * abs(later.value)))
from later
inner join today.marts.dim_series as series on later.series_id = series.series_id
group by later.grade
"""


@dataclass(slots=True)
class Grade:
    """Figures that carried one grade: how many, how many with vintages of their own, how many were revised."""

    figures: int = 0
    dated: int = 0
    revised: int = 0

    @property
    def share(self) -> float:
        """Revised beyond tolerance within seven days; the grade has figures."""
        return self.revised / self.figures


def calibrate(home: Path, instants: Iterable[datetime] = INSTANTS) -> dict[str, Grade]:
    """Counts by grade over all instants, best grade first. Builds as of each instant in `home`."""
    settings = Settings(warehouse_home=home, clock=PACK_CLOCK)
    grades: dict[str, Grade] = {}
    for at in instants:
        past = pipeline.build_as_of(settings, at)
        with duckdb.connect() as con:
            con.execute(f"set TimeZone = 'UTC'; attach '{past}' as past (read_only); "
                        f"attach '{home}/serve/warehouse.duckdb' as today (read_only)")  # fmt: skip
            for grade, *counts in con.execute(_REVISED, {"at": at}).fetchall():
                row = grades.setdefault(grade, Grade())
                row.figures, row.dated, row.revised = (
                    a + b for a, b in zip((row.figures, row.dated, row.revised), counts, strict=True)
                )
    return dict(sorted(grades.items()))


def show(home: Path) -> None:
    """Print the table."""
    print("figures revised beyond tolerance within seven days, by the grade they had", flush=True)
    print(f"  {'grade':<8}{'figures':>8}{'dated':>8}{'revised':>9}{'share':>9}")
    for grade, row in calibrate(home).items():
        print(f"  {grade:<8}{row.figures:8}{row.dated:8}{row.revised:9}{row.share:9.2%}", flush=True)


if __name__ == "__main__":
    show(Path(sys.argv[1]))
