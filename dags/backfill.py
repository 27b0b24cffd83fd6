"""Airflow: backfill, by hand: fetch the recorded backfills that are not done, or one of them, a month a task."""

from airflow.sdk import DAG, Param

from include.orchestration import tasks
from include.orchestration.assets import BACKFILL
from include.orchestration.factory import DOMAINS, announced, common

NAME = "^([a-z0-9][a-z0-9-]{0,79})?$"  # as include.landing.backfills has it; nothing else reaches a task

with DAG(
    dag_id="backfill",
    description="Fetch windows of feeds again, as recorded",
    schedule=None,
    params={
        "file": Param(
            "", type="string", pattern=NAME, description="a file of include/backfills, without .toml; empty: all"
        ),
        "again": Param(False, type="boolean", description="also what is done already"),
    },
    **common("backfill", tags=[*DOMAINS, "tier:3"]),
):
    tasks.land_month.expand_kwargs(tasks.months()) >> announced(BACKFILL)
