"""Airflow: upkeep, daily: sources that fail, stored bytes against their checksums, retention."""

from airflow.sdk import DAG, CronTriggerTimetable

from include.orchestration import tasks
from include.orchestration.factory import DOMAINS, common

with DAG(
    dag_id="upkeep",
    description="Source health, checksums, retention",
    schedule=CronTriggerTimetable("30 4 * * *", timezone="UTC"),
    **common("upkeep", tags=[*DOMAINS, "tier:2"]),
):
    tasks.source_health()
    tasks.stored_files()
