"""What every DAG has in common, and the family of landing DAGs: one a clock, one mapped task a feed."""

from dataclasses import dataclass
from datetime import timedelta
from typing import get_args

from airflow.sdk import DAG, AsyncCallback, DeadlineAlert, DeadlineReference, MultipleCronTriggerTimetable

from include.core.source import Clock, Feed, Source
from include.orchestration import tasks
from include.orchestration.assets import landed
from include.orchestration.notify import Failed, Missed, Passed
from include.settings import ROOT, disabled
from include.sources import domain_of, feeds

OWNER = "data-platform"
DOMAINS = ("macro", "etf", "chain", "events")
LANDED_WITHIN = timedelta(hours=1)  # three tries of a quarter of an hour, and the waits between
TIERS = ("tier:1", "tier:2", "tier:3")

# Retries are for what may pass by itself. A step that another try cannot help raises AirflowFailException.
DEFAULT_ARGS = {
    "owner": OWNER,
    "retries": 2,
    "retry_delay": timedelta(seconds=60),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(minutes=15),
    "on_failure_callback": [Failed()],
    "on_success_callback": [Passed()],
    "on_skipped_callback": [Passed()],
}
# After these tasks the warehouse also looks for what is late, held or mended.
LOOK = {"on_success_callback": [Passed(look=True)]}


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a clock strikes: cron times in a zone, and how much it matters (tier 1 most)."""

    crons: tuple[str, ...]
    zone: str
    tier: int


SCHEDULES: dict[str, Schedule] = {
    # Every five minutes while the Bank of Japan may decide; on all days but meeting days feeds skip themselves until
    # an hour has passed.
    "policy": Schedule(("0 * * * *", "*/5 2-6 * * *"), "UTC", 1),
    "rates": Schedule(("45 0 * * *", "0 9 * * *", "30 22 * * *"), "UTC", 1),
    # US fund groups report from the close until late evening; the last ones in the morning.
    "etf_flows": Schedule(("0 18-23 * * *", "0 0-2 * * *", "30 6,15 * * *"), "America/New_York", 1),
    # Snapshots cannot be had later. Hourly and daily feeds of this clock skip themselves until they are due.
    "derivatives": Schedule(("*/5 * * * *",), "UTC", 1),
    "onchain": Schedule(("30 1 * * *",), "UTC", 2),
    "regulation": Schedule(("30 11,22 * * *",), "UTC", 2),
    "positioning": Schedule(("45 20 * * *",), "UTC", 2),
    "curated": Schedule(("15 5 * * *",), "UTC", 3),
}


def clocks() -> list[str]:
    """The clocks of the closed list that some feed runs by, in the order of the list."""
    return [clock for clock in get_args(Clock) if asked(clock)]


def asked(clock: str) -> list[tuple[Source, Feed]]:
    """The (source, feed) of a clock that are not disabled here."""
    return [(source, feed) for source, feed in feeds(clock) if not disabled(source, feed)]


def runbook(name: str) -> str:
    """The text of a runbook: what a DAG shows as its documentation."""
    return (ROOT / "include" / "runbooks" / f"{name}.md").read_text(encoding="utf-8")


def common(doc: str, *, tags: list[str]) -> dict:
    """The arguments that every DAG states: documentation, tags, defaults, one run at a time, no catching up."""
    return {
        "doc_md": runbook(doc),
        "tags": tags,
        "default_args": DEFAULT_ARGS,
        "max_active_runs": 1,
        "catchup": False,
    }


def due_within(limit: timedelta, dag_id: str) -> DeadlineAlert:
    """The alert that a run of a DAG was not done so long after it was queued. The triggerer tells it."""
    told = AsyncCallback(Missed, kwargs={"dag_id": dag_id, "limit": f"{limit // timedelta(minutes=1)} minutes"})
    return DeadlineAlert(reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=limit, callback=told)


def land_dag(clock: str) -> DAG:
    """The DAG `land__<clock>`: one mapped task a feed, then one asset event if anything new stands in the manifest."""
    when, mine = SCHEDULES[clock], asked(clock)
    domains = {domain_of(source) for source, _ in mine}
    with DAG(
        dag_id=f"land__{clock}",
        description=f"Land the {len(mine)} feeds of the clock {clock}",
        schedule=MultipleCronTriggerTimetable(*when.crons, timezone=when.zone),
        deadline=due_within(LANDED_WITHIN, f"land__{clock}"),
        **common("land", tags=[*(d for d in DOMAINS if d in domains), f"tier:{when.tier}"]),
    ) as dag:
        fetched = tasks.land.expand_kwargs([{"source_id": s.source_id, "feed_name": f.name} for s, f in mine])
        fetched >> announced(clock)
    return dag


def announced(clock: str):
    """The task that sends the asset event, whatever became of the feeds. A teardown, so that the feeds alone decide
    whether the run failed."""
    return tasks.announce.override(outlets=[landed(clock)])().as_teardown()
