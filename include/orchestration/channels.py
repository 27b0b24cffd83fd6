"""The channels that alerts go to: the log always; a webhook and e-mail where `CAPMIG_ALERT_*` says so.

Airflow is imported by the mail alone, so that a process that only watches stays small.
"""

import logging
from dataclasses import asdict
from datetime import datetime
from html import escape

import requests

from include.alerts import Channel, Fact
from include.core.clock import iso
from include.settings import Settings

WEBHOOK_WAIT_S = 10
log = logging.getLogger("capmig.alert")


def channels(settings: Settings) -> dict[str, Channel]:
    """The configured channels by name."""
    chosen = {"log": to_log}
    if settings.alert_webhook:
        chosen["webhook"] = to_webhook(settings.alert_webhook)
    if settings.alert_smtp:
        chosen["email"] = to_email(settings.alert_email.split(","))
    return chosen


def to_log(fact: Fact, state: str, at: datetime) -> None:
    """The channel that is always there."""
    log.log(logging.WARNING if state == "raised" else logging.INFO, "%s", fact.line(state))


def to_webhook(url: str) -> Channel:
    """POST one JSON object, to exactly this URL: no redirect, no proxy of the environment, no wait beyond 10 s."""

    def post(fact: Fact, state: str, at: datetime) -> None:
        with requests.Session() as session:
            session.trust_env = False
            body = {"state": state, "at": iso(at), "text": fact.line(state)} | asdict(fact)
            answer = session.post(url, json=body, timeout=WEBHOOK_WAIT_S, allow_redirects=False)
            if not answer.ok or answer.is_redirect:
                raise OSError(f"the webhook answered {answer.status_code}")

    return post


def to_email(to: list[str]) -> Channel:
    """A mail through Airflow's connection `smtp_default`. Its text is data: nothing in it is rendered as a template."""
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    def send(fact: Fact, state: str, at: datetime) -> None:
        line = fact.line(state)
        rows = [f"{name}: {getattr(fact, name)}" for name in Fact.__slots__]
        body = f"<pre>{escape(chr(10).join([line, '', *rows, f'at: {at.isoformat()}']))}</pre>"
        subject = f"[warehouse] {state} {fact.kind}: {fact.source} {fact.subject}"
        # not by calling it: that would render subject and body
        SmtpNotifier(to=to, subject=" ".join(subject.split())[:150], html_content=body).notify({})

    return send
