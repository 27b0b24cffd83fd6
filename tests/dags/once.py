"""`python -m tests.dags.once FD '[["dag_id", {params}], ...]'`: DAG.test for each, without second tries; states as JSON."""

import json
import os
import sys
from pathlib import Path


def main() -> None:
    from airflow.dag_processing.dagbag import DagBag

    from include.orchestration.home import prepare
    from include.orchestration.inprocess import NOT_WAITED_FOR, for_one_run

    prepare(Path(os.environ["AIRFLOW_HOME"]))
    bag, states = DagBag(), []
    for dag_id, params in json.loads(sys.argv[2]):
        dag = bag.dags[dag_id]
        for_one_run(dag)
        run = dag.test(run_conf=params, mark_success_pattern=NOT_WAITED_FOR)
        tasks = sorted((ti.task_id, ti.map_index, str(ti.state)) for ti in run.get_task_instances())
        states.append({"dag_id": dag_id, "state": str(run.state), "tasks": tasks})
    os.write(int(sys.argv[1]), json.dumps(states).encode())


if __name__ == "__main__":
    main()
