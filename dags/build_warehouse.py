"""Airflow: build_warehouse, woken by what landed: build, check, publish; then into PostgreSQL, if one is named."""

from datetime import timedelta

from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
from airflow.sdk import DAG, AssetAny

from include.orchestration import tasks
from include.orchestration.assets import BACKFILL, landed
from include.orchestration.factory import DOMAINS, LOOK, clocks, common, due_within
from include.settings import POSTGRES_KEY, is_given

PACE = timedelta(minutes=15)

with DAG(
    dag_id="build_warehouse",
    description="Build the candidate, gate it, publish it",
    schedule=AssetAny(*(landed(clock) for clock in [*clocks(), BACKFILL])),
    deadline=due_within(PACE * 6, "build_warehouse"),
    **common("build_warehouse", tags=[*DOMAINS, "tier:1"]),
):
    # At most one run in 15 minutes: this task keeps its run open that long, without a slot, and while a run is open
    # the scheduler makes no other; the events of the meantime wake one run together.
    TimeDeltaSensor(task_id="pace", delta=PACE, deferrable=True, execution_timeout=PACE * 2)
    published = tasks.publish.override(**LOOK)(tasks.check(tasks.build()))
    if is_given(POSTGRES_KEY):
        published >> tasks.publish_postgres()
