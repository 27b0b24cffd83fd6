"""`python -m tests.dags.describe`: every DAG's facts as JSON, read in a process with an Airflow home of its own."""

import json
import os
import sys
from datetime import timedelta

CALLED_BACK = ("failure", "success", "skipped")


def _seconds(value: timedelta | None) -> float | None:
    return value.total_seconds() if value is not None else None


def _task(task) -> dict:
    of = task.partial_kwargs.get if task.is_mapped else lambda name: getattr(task, name)
    return {
        "task_id": task.task_id,
        "owner": of("owner"),
        "retries": of("retries"),
        "retry_exponential_backoff": of("retry_exponential_backoff"),
        "execution_timeout": _seconds(of("execution_timeout")),
        "pool": task.pool,
        "mapped": task.is_mapped,
        "max_active_tis_per_dag": of("max_active_tis_per_dag"),
        "map_index_template": of("map_index_template"),
        "outlets": [asset.uri for asset in of("outlets") or []],
        "upstream": sorted(task.upstream_task_ids),
        "is_teardown": task.is_teardown,
        "deferrable": getattr(task, "deferrable", None),
        "told": {kind: [type(c).__name__ for c in of(f"on_{kind}_callback") or []] for kind in CALLED_BACK},
        "looks": any(getattr(c, "look", False) for c in of("on_success_callback") or []),
    }


def main() -> None:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(sys.argv[1])
    facts = {}
    for dag in bag.dags.values():
        condition = getattr(dag.timetable, "asset_condition", None)
        timetables = getattr(dag.timetable, "timetables", [])
        facts[dag.dag_id] = {
            "file": os.path.basename(dag.fileloc),  # noqa: PTH119
            "doc_md": dag.doc_md,
            "tags": sorted(dag.tags),
            "catchup": dag.catchup,
            "max_active_runs": dag.max_active_runs,
            "deadline": [[a.callback.path, _seconds(a.interval)] for a in dag.deadline or []],
            "crons": [[t.expression, str(t.timezone)] for t in timetables],
            "cron": getattr(dag.timetable, "expression", None),
            "woken_by": sorted(a.uri for a in condition.objects) if condition else [],
            "tasks": [_task(task) for task in dag.tasks],
        }
    out = {"import_errors": {str(k): v for k, v in bag.import_errors.items()}, "dags": facts}
    os.write(int(sys.argv[2]), json.dumps(out).encode())


if __name__ == "__main__":
    main()
