"""Airflow notifiers: they turn what Airflow calls back about into facts, and tell them to the channels that are set.

What a fact is, and which were told already: `include.alerts`. The channels: `include.orchestration.channels`.
"""

import asyncio
import logging
from datetime import datetime

from airflow.sdk import BaseNotifier

from include.core.errors import CapmigError, GateRefused
from include.settings import Settings, load

log = logging.getLogger("capmig.alert")


def runbook_of(dag_id: str) -> str:
    """The runbook that a DAG shows."""
    return "land" if dag_id.startswith("land__") else dag_id


def failure(dag_id: str, task: str, error: object):
    """The fact that a task's last try failed: a refusal, a landing, or any other task."""
    from include.alerts import Fact
    from include.orchestration.tasks import OfSource

    cause = getattr(error, "__cause__", None)
    if isinstance(error, OfSource) and isinstance(cause, CapmigError):
        return Fact("landing", cause.source, cause.rule, error.feed, cause.message, cause.action, "land")
    if isinstance(cause, GateRefused):
        return Fact("refused", "gate", cause.rule, cause.source, cause.message, cause.action, "build_warehouse")
    if isinstance(cause, CapmigError):
        return Fact("task", dag_id, cause.rule, task, cause.message, cause.action, runbook_of(dag_id))
    said = f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(error or "failed")
    return Fact("task", dag_id, "O.task_failed", task, " ".join(said.split())[:300], "see the task's log",
                runbook_of(dag_id))  # fmt: skip


class _Quiet(BaseNotifier):
    """Tells, and never fails what it is called back about."""

    def notify(self, context) -> None:
        try:
            self.told(load(), context)
        except Exception as error:  # the task's own result stands, whatever becomes of the telling
            log.warning("nobody was told: %s", error if isinstance(error, CapmigError) else type(error).__name__)

    def told(self, settings: Settings, context) -> None:
        raise NotImplementedError


class Failed(_Quiet):
    """`on_failure_callback` of every task, after its last try."""

    def told(self, settings: Settings, context) -> None:
        ti = context["ti"]
        _tell(settings, raised=[failure(ti.dag_id, _task(context), context.get("exception"))])


class Passed(_Quiet):
    """`on_success_callback` and `on_skipped_callback`: ends what was told of a task; may look around."""

    def __init__(self, *, look: bool = False, context=None):
        super().__init__(context=context)
        self.look = look

    def told(self, settings: Settings, context) -> None:
        dag_id, task, begun = context["ti"].dag_id, _task(context), context["dag_run"].start_date

        def over(fact, since: datetime) -> bool:
            if fact.kind == "deadline":
                return fact.source == dag_id and begun > since
            return fact.kind == "task" and (fact.source, fact.subject) == (dag_id, task)

        _tell(settings, look=self.look, over=over)


class Missed(_Quiet):
    """The callback of a deadline: a run of `dag_id` was not done in time. Awaited by the triggerer."""

    def __init__(self, *, dag_id: str, limit: str, context=None):
        super().__init__(context=context)
        self.dag_id, self.limit = dag_id, limit

    async def async_notify(self, context) -> None:
        await asyncio.to_thread(self.notify, context)

    def told(self, settings: Settings, context) -> None:
        from include.alerts import Fact

        run = (context.get("dag_run") or {}).get("dag_run_id", "")
        said = f"the run {run} was not done {self.limit} after it was queued"
        fact = Fact("deadline", self.dag_id, "O.deadline", "", said, "see its tasks", runbook_of(self.dag_id))
        _tell(settings, raised=[fact])


def _tell(settings: Settings, *, look: bool = False, **said) -> None:
    """Raise or end facts, and perhaps look around. Imported here: a DAG file that is parsed needs none of it."""
    from include import alerts
    from include.orchestration.channels import channels

    there = channels(settings)
    alerts.tell(settings, there, **said)
    if look:
        alerts.look(settings, there)


def _task(context) -> str:
    ti = context["ti"]
    label = getattr(ti, "rendered_map_index", None)
    return ti.task_id + (f" {label}" if label else "")
