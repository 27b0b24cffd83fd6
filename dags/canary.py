"""Airflow: canary, every five minutes: says that tasks run, which a scheduler's health check does not."""

from airflow.sdk import DAG, CronTriggerTimetable

from include.orchestration import tasks
from include.orchestration.factory import DOMAINS, LOOK, common

with DAG(
    dag_id="canary",
    description="A heartbeat that goes all the way through a task",
    schedule=CronTriggerTimetable("*/5 * * * *", timezone="UTC"),
    **common("canary", tags=[*DOMAINS, "tier:1"]),
):
    tasks.beat.override(**LOOK)()
