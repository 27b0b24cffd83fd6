"""Alerts, for real: DAG runs that fail and mend, told to a web server and a mail server on this machine."""

import email
import json
import logging
import shutil
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from include import alerts, pipeline
from include.alerts import Fact
from include.core.clock import parse_instant
from include.core.errors import ConfigError
from include.landing.store import Store
from include.orchestration.channels import channels
from include.orchestration.home import environment
from include.replay import session
from include.settings import Settings, load
from include.warehouse import holds
from tests.dags.run import ROOT, once, said

MARK = "t0k3n-canary"
HOSTILE = "{{ 7 * 7 }} <script>alert(1)</script> {% raw %} \r\nBcc: x@example.org"


class Hook(ThreadingHTTPServer):
    """A webhook: keeps what is posted; `answer` is the next status."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.posts: list[dict] = []
        self.answer, self.asked = 200, 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/{MARK}"


class _Post(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked += 1
        if self.server.answer == 200:
            assert self.path == f"/{MARK}"
            self.server.posts.append(json.loads(body))
        self.send_response(self.server.answer)
        self.send_header("location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


class Mail(socketserver.ThreadingTCPServer):
    """A mail server that keeps every message: (recipients, message)."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Smtp)
        self.kept: list[tuple[list[str], Message]] = []

    @property
    def uri(self) -> str:
        sender = quote("warehouse@example.org", safe="")
        return (f"smtp://127.0.0.1:{self.server_address[1]}/?from_email={sender}&disable_tls=true&disable_ssl=true"
                "&timeout=5&retry_limit=1")  # fmt: skip


class _Smtp(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        say = lambda text: self.wfile.write(f"{text}\r\n".encode())  # noqa: E731
        to: list[str] = []
        say("220 here")
        while line := self.rfile.readline().decode().strip():
            verb = line.upper()
            if verb.startswith("RCPT"):
                to.append(line.split("<")[1].split(">")[0])
            if verb == "DATA":
                say("354 go on")
                text = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.kept.append((to, email.message_from_bytes(text)))
            say("221 bye" if verb == "QUIT" else "250 here")


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A webhook that listens."""
    with Hook() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def mail() -> Iterator[Mail]:
    """A mail server that listens."""
    with Mail() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def at(settings: Settings, minutes: int) -> Settings:
    """The same configuration so many minutes later."""
    return settings.model_copy(update={"clock": settings.clock + timedelta(minutes=minutes)})


def fact(subject: str = "scheduler", **changed: str) -> Fact:
    """A fact of the kind canary."""
    said = {"kind": "canary", "source": "airflow", "rule": "O.canary", "subject": subject, "message": "silent",
            "action": "look", "runbook": "canary"}  # fmt: skip
    return Fact(**said | changed)


@pytest.mark.timeout(600)
def test_a_landing_that_failed_is_told_once_and_again_when_it_is_mended(
    hook: Hook, mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through Airflow's own callbacks: a webhook and a mail for each feed that failed, none for a second failure."""
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("CAPMIG_FETCH_TRIES", "1")
    monkeypatch.setenv("CAPMIG_ALERT_WEBHOOK", hook.url)
    monkeypatch.setenv("CAPMIG_ALERT_EMAIL", "ops@example.org,desk@example.org")
    monkeypatch.setenv("CAPMIG_ALERT_SMTP", mail.uri)
    with session(load, live=False) as settings:
        monkeypatch.setenv("CAPMIG_BASE_URL__NYFED", "http://127.0.0.1:9")
        failed = once(load(), ("land__rates", {}), ("land__rates", {}), ("canary", {}))
        assert [run["state"] for run in failed] == ["failed", "failed", "success"]
        (told,) = hook.posts
        assert told["state"] == "raised" and told["kind"] == "landing" and told["subject"] == "nyfed/effr"
        assert (told["source"], told["rule"], told["runbook"]) == ("nyfed", "L.connect", "land")
        assert told["action"] and told["text"].startswith("raised landing nyfed/effr: nyfed: ")
        ((to, message),) = mail.kept
        assert to == ["ops@example.org", "desk@example.org"]
        assert message["subject"] == "[warehouse] raised landing: nyfed nyfed/effr"

        monkeypatch.setenv("CAPMIG_BASE_URL__NYFED", settings.base_urls["nyfed"])
        (tmp_path / "http").rename(tmp_path / "http-then")  # the circuit breaker's memory: a quarter of an hour later
        mended = once(load(), ("land__rates", {}), ("canary", {}), ("canary", {}))
        assert [run["state"] for run in mended] == ["success"] * 3
    assert [(p["state"], p["subject"]) for p in hook.posts] == [("raised", "nyfed/effr"), ("recovered", "nyfed/effr")]
    assert [m["subject"].split()[1] for _, m in mail.kept] == ["raised", "recovered"]
    assert Store(tmp_path).attempts("nyfed", "effr")[-1].outcome == "LANDED"
    logs = said(settings).read_text()
    assert "raised landing nyfed/effr" in logs and MARK not in logs


@pytest.mark.timeout(600)
def test_a_refused_publish_is_told(
    hook: Hook, pack_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warehouse into which nothing landed may not be published; the gate's refusal reaches the webhook, once."""
    shutil.copytree(pack_home / "build" / "cache", tmp_path / "build" / "cache")
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("CAPMIG_ALERT_WEBHOOK", hook.url)
    (run,) = once(load(), ("build_warehouse", {}))
    assert ["check", -1, "failed"] in run["tasks"] and not (tmp_path / "serve" / "warehouse.duckdb").exists()
    (told,) = hook.posts
    assert (told["kind"], told["source"], told["runbook"]) == ("refused", "gate", "build_warehouse")
    assert told["rule"].startswith("G") and told["action"].startswith("nothing was published")


def test_a_channel_that_fails_is_asked_again_and_the_others_are_not(
    hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error, a redirect, a refusal: nothing is raised, no secret is logged, and the fact is told at the next look."""
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("CAPMIG_ALERT_WEBHOOK", hook.url)
    settings = load()
    for hook.answer in (500, 302, 404):
        alerts.tell(settings, channels(settings), raised=[fact(message=f"see {hook.url}")])
    assert (hook.asked, hook.posts) == (3, [])
    hook.answer = 200
    assert alerts.tell(settings, channels(settings), raised=[fact(message=f"see {hook.url}")]) == 1
    assert [p["message"] for p in hook.posts] == ["see ***"]
    assert sum("raised canary" in line for line in caplog.messages) == 1
    assert sum("the channel webhook could not tell" in line for line in caplog.messages) == 3
    assert MARK not in caplog.text
    hook.shutdown()
    hook.server_close()
    assert alerts.tell(settings, channels(settings), raised=[fact("other")]) == 1  # the log alone
    monkeypatch.setenv("CAPMIG_ALERT_WEBHOOK", f"http://127.0.0.1:1/{MARK}")
    assert alerts.tell(load(), channels(load()), raised=[fact("third")]) == 1
    assert MARK not in caplog.text


def test_what_is_told_is_data(hook: Hook, mail: Mail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No template, no markup and no header of a message comes out of a source's text."""
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("CAPMIG_ALERT_WEBHOOK", hook.url)
    monkeypatch.setenv("CAPMIG_ALERT_EMAIL", "ops@example.org")
    monkeypatch.setenv("CAPMIG_ALERT_SMTP", mail.uri)
    settings = load()
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", environment(settings)["AIRFLOW_CONN_SMTP_DEFAULT"])
    assert alerts.tell(settings, channels(settings), raised=[fact(subject=HOSTILE, message=HOSTILE)]) == 3
    assert hook.posts[0]["message"] == HOSTILE and "\n" not in hook.posts[0]["text"]
    ((to, message),) = mail.kept
    assert to == ["ops@example.org"] and message["bcc"] is None
    body = "".join(part.get_payload(decode=True).decode() for part in message.walk() if not part.is_multipart())
    assert "{{ 7 * 7 }}" in body and "&lt;script&gt;" in body and "<script>" not in body


def test_holds_and_their_release_are_told(hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One message for what is released together, and one when it is released; nothing in between."""
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("CAPMIG_ALERT_WEBHOOK", hook.url)
    settings = load()
    figure = {"rule_id": "G3.size", "source_id": "farside", "event_date": settings.clock.date(), "event_at": None,
              "value": 1, "obs_status": "final", "why": "ten times the usual"}  # fmt: skip
    batch = [figure | {"series_id": f"X.{n}", "batch_id": "b0b0b0b0b0b0"} for n in range(3)]
    (single, *_) = holds.add(tmp_path, [figure | {"series_id": "X.9"}, *batch], settings.clock)
    assert alerts.look(settings, channels(settings)) == 4
    assert {p["subject"] for p in hook.posts} == {single["hold_id"], "b0b0b0b0b0b0"}
    assert all(f"--ack {p['subject']}" in p["action"] for p in hook.posts)
    assert alerts.look(at(settings, 15), channels(settings)) == 0
    holds.release(tmp_path, "b0b0b0b0b0b0", at=settings.clock, why="true")
    assert alerts.look(at(settings, 30), channels(settings)) == 2
    assert (hook.posts[-1]["state"], hook.posts[-1]["subject"]) == ("recovered", "b0b0b0b0b0b0")


def test_row_70_a_silent_scheduler_is_told_by_its_heartbeats_age(
    hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three intervals, also where no task ever ran since it was started; and again when tasks run."""
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("CAPMIG_ALERT_WEBHOOK", hook.url)
    start = load()
    pipeline.beat(start)
    looks = {15: True, 16: False, 17: False}
    assert {m: alerts.canary(at(start, m), channels(start), start.clock) for m in looks} == looks
    assert [p["kind"] for p in hook.posts] == ["canary"]
    assert "STALE" in pipeline.canary_line(at(start, 16)) and "STALE" not in pipeline.canary_line(at(start, 15))
    pipeline.beat(at(start, 20))
    assert alerts.canary(at(start, 21), channels(start), start.clock)
    assert [p["state"] for p in hook.posts] == ["raised", "recovered"]
    restarted = at(start, 60)
    assert alerts.canary(at(start, 70), channels(start), restarted.clock)  # an old heartbeat, a young scheduler
    (tmp_path / "heartbeat").unlink()
    assert pipeline.canary_line(start) == ""
    assert not alerts.canary(at(start, 76), channels(start), restarted.clock)


MISSED = """
import asyncio, sys
from airflow.triggers.callback import CallbackTrigger
from airflow.dag_processing.dagbag import DagBag

alert = DagBag(sys.argv[1]).dags["build_warehouse"].deadline[0]

async def run(name):
    context = {"dag_run": {"dag_run_id": name}, "deadline": {}}
    trigger = CallbackTrigger(alert.callback.path, dict(alert.callback.kwargs) | {"context": context})
    return [event.payload["state"] async for event in trigger.run()]

assert asyncio.run(run("run1")) == asyncio.run(run("run2")) == ["running", "success"]
"""


def test_a_missed_deadline_is_told_by_the_triggers_own_code(
    hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alert that the DAG declares, awaited as the triggerer awaits it; a second miss tells nothing new."""
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("CAPMIG_ALERT_WEBHOOK", hook.url)
    done = subprocess.run([sys.executable, "-c", MISSED, str(ROOT / "dags")], cwd=ROOT, env=environment(load()),
                          capture_output=True, text=True, timeout=200)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    (told,) = hook.posts
    assert (told["kind"], told["source"], told["rule"]) == ("deadline", "build_warehouse", "O.deadline")
    assert "the run run1 was not done 90 minutes after it was queued" in told["message"]


def test_a_torn_or_foreign_line_in_the_memory_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a crash left tells nothing and hides nothing."""
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    settings, told = load(), []
    quiet: dict[str, Callable] = {"here": lambda one, state, instant: told.append((one.subject, state))}
    assert alerts.tell(settings, quiet, raised=[fact("a")]) == 1
    memory = tmp_path / "journal" / "alert.jsonl"
    memory.write_bytes(memory.read_bytes() + b'{"kind": 1}\n{"chan')
    assert alerts.tell(settings, quiet, raised=[fact("a"), fact("b")]) == 1
    assert alerts.tell(settings, quiet, raised=[fact("a"), fact("b")]) == 0
    assert alerts.tell(settings, quiet, over=lambda *_: True) == 2
    assert told == [("a", "raised"), ("b", "raised"), ("a", "recovered"), ("b", "recovered")]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("CAPMIG_ALERT_WEBHOOK", f"http://example.org/{MARK}"),
        ("CAPMIG_ALERT_WEBHOOK", MARK),
        ("CAPMIG_ALERT_EMAIL", f"{MARK}\nBcc: x@example.org"),
        ("CAPMIG_ALERT_EMAIL", "ops@example.org"),
        ("CAPMIG_ALERT_SMTP", f"smtp://user:{MARK}@example.org"),
    ],
)
def test_row_57_a_channel_that_is_half_configured_is_refused(
    key: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At start, in one line, without the value."""
    monkeypatch.setenv(key, value)
    with pytest.raises(ConfigError) as refused:
        load()
    assert key in str(refused.value) and MARK not in str(refused.value) and "\n" not in str(refused.value)


def test_instants_are_those_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in a message or in the memory asks for the time."""
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("CAPMIG_CLOCK", "2026-01-23T03:07Z")
    heard: list[object] = []
    alerts.tell(load(), {"here": lambda one, state, instant: heard.append(instant)}, raised=[fact()])
    assert heard == [parse_instant("2026-01-23T03:07Z")]
    assert '"at": "2026-01-23T03:07:00.000000Z"' in (tmp_path / "journal" / "alert.jsonl").read_text()
    assert time.time() > heard[0].timestamp()
