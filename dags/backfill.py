"""Airflow: backfill, by hand: fetch a window of one feed again, a month a task."""

from airflow.sdk import DAG, Param

from include.orchestration import tasks
from include.orchestration.assets import BACKFILL
from include.orchestration.factory import DOMAINS, announced, common
from include.sources import feeds

WINDOWS = sorted({(s.source_id, f.name) for s, f in feeds() if f.kind == "WINDOW"})

with DAG(
    dag_id="backfill",
    description="Fetch a window of one feed again",
    schedule=None,
    params={
        "source": Param(type="string", enum=sorted({source for source, _ in WINDOWS}), description="who is asked"),
        "feed": Param(type="string", enum=sorted({feed for _, feed in WINDOWS}), description="one of its feeds"),
        "start": Param(type="string", format="date", description="first day"),
        "end": Param(type="string", format="date", description="day after the last"),
    },
    **common("backfill", tags=[*DOMAINS, "tier:3"]),
):
    tasks.land_window.expand_kwargs(tasks.months()) >> announced(BACKFILL)
