"""Airflow in one process: `python -m include.orchestration.inprocess run [DAG ...]`, or `prepare`. See `runner`.

Standard output carries one JSON object a line: {"progress": text}, and at the end {"states": {dag_id: state}} or
{"failed": {message, source, rule, action}}. Everything that Airflow prints goes to standard error, which the caller
has pointed at a file.
"""

import json
import logging
import os
import sys
from pathlib import Path

from include.core.errors import CapmigError
from include.orchestration.home import prepare

# Holds its run open for pacing under the scheduler; a single run has nothing to wait for.
NOT_WAITED_FOR = "pace"


class _Voice(logging.Handler):
    """Says one JSON object a line, also for each record of the tasks' logger."""

    def __init__(self, fd: int):
        super().__init__(logging.INFO)
        self._out = os.fdopen(fd, "w", encoding="utf-8", buffering=1)

    def say(self, **what: object) -> None:
        try:
            self._out.write(json.dumps(what) + "\n")
        except BrokenPipeError:
            os._exit(141)  # whoever asked is gone; every step stands being killed

    def emit(self, record: logging.LogRecord) -> None:
        self.say(progress=record.getMessage())


class _Listener:
    """Tells which task runs, and keeps the error of each that failed."""

    def __init__(self, voice: _Voice):
        from airflow.listeners import hookimpl

        self.errors: list[tuple[str, BaseException | str | None]] = []
        for hook in (self.on_task_instance_running, self.on_task_instance_failed):
            hookimpl(hook.__func__)
        self._voice = voice

    def on_task_instance_running(self, previous_state, task_instance) -> None:
        self._voice.say(progress=_name(task_instance))

    def on_task_instance_failed(self, previous_state, task_instance, error) -> None:
        self.errors.append((_name(task_instance), error))


def _name(ti) -> str:
    label = getattr(ti, "rendered_map_index", None)
    return f"{ti.dag_id}.{ti.task_id}" + (f" {label}" if label else "")


def _take_stdout() -> _Voice:
    """Keep standard output for ourselves and give everybody else standard error."""
    sys.stdout.flush()
    voice = _Voice(os.dup(1))
    os.dup2(2, 1)
    return voice


def _in_order(dags: dict, only: list[str]) -> list:
    """Landing DAGs by name, then the build, which reads what they landed."""
    order = [*sorted(d for d in dags if d.startswith("land__")), "build_warehouse"]
    return [dags[d] for d in order if not only or d in only]


def for_one_run(dag) -> None:
    """No second tries: a source that fails now is recorded, and the next run asks again. No deadline, either: only the
    scheduler sees to those, and `DAG.test` of 3.3 cannot end a run that has one (apache/airflow issue 73428)."""
    dag.deadline = None
    for one in dag.tasks:
        if one.is_mapped:
            one.partial_kwargs["retries"] = 0
        else:
            one.retries = 0


def _failure(name: str, error: BaseException | str | None) -> dict[str, str]:
    """What to tell of a failed task: our own error as it was raised, or the task with whatever it said."""
    cause = getattr(error, "__cause__", None)
    if isinstance(cause, CapmigError):
        return {"message": cause.message, "source": cause.source, "rule": cause.rule, "action": cause.action}
    said = f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(error or "failed")
    return {"message": f"{name}: {said}", "source": "airflow", "rule": "O.task_failed", "action": ""}


def _run(voice: _Voice, only: list[str]) -> dict:
    """The state of each DAG, or what failed."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk.listener import get_listener_manager

    from include.orchestration.tasks import SourceFailed, SourceUnavailable

    listener = _Listener(voice)
    get_listener_manager().add_listener(listener)
    bag = DagBag()
    if bag.import_errors:
        return {"failed": _failure("a DAG file cannot be imported", "; ".join(bag.import_errors))}
    states = {}
    for dag in _in_order(bag.dags, only):
        for_one_run(dag)
        states[dag.dag_id] = str(dag.test(mark_success_pattern=NOT_WAITED_FOR).state)
        fatal = [(n, e) for n, e in listener.errors if not isinstance(e, SourceFailed | SourceUnavailable)]
        if fatal or (states[dag.dag_id] != "success" and not listener.errors):
            return {"failed": _failure(*(fatal or [(dag.dag_id, None)])[0])}
        listener.errors.clear()
    return {"states": states}


def main(argv: list[str]) -> int:
    """`prepare` the metadata database, or do that and `run`."""
    voice = _take_stdout()
    voice.say(progress="Airflow starts")
    import airflow.settings  # noqa: F401  (configures logging, which the next lines add to)

    logger = logging.getLogger("capmig.task")
    logger.setLevel(logging.INFO)
    logger.addHandler(voice)
    prepare(Path(os.environ["AIRFLOW_HOME"]))
    if argv[0] == "prepare":
        return 0
    result = _run(voice, argv[1:])
    voice.say(**result)
    return int("failed" in result)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
