"""What people are told, once: what is late, held, refused, failed, overdue, and a scheduler that is silent.

A fact is told to a channel when it begins, and again when it has passed; `journal/alert.jsonl` remembers what each
channel was told. A channel that fails is asked again at the next look, and never fails what it watches.
"""

import json
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock

from include import pipeline
from include.answers import status
from include.core import disk
from include.core.clock import iso, parse_instant
from include.core.errors import CapmigError
from include.landing.store import ACCEPTED
from include.settings import Settings
from include.warehouse import holds, publish

AT_ONCE = 50  # messages a look and channel; the rest follow with the next look
log = logging.getLogger("capmig.alert")


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that somebody should know. `kind`, `source`, `rule` and `subject` are its identity.

    `kind`: late, hold, refused, landing, task, deadline, canary.
    """

    kind: str
    source: str
    rule: str
    subject: str
    message: str
    action: str
    runbook: str

    @property
    def key(self) -> str:
        """The identity as text."""
        return json.dumps([self.kind, self.source, self.rule, self.subject])

    def line(self, state: str) -> str:
        """One line: who, what, rule, action."""
        subject = f" {self.subject}" if self.subject else ""
        tail = f"-> {self.action}; include/runbooks/{self.runbook}.md" if state == "raised" else "-> nothing to do"
        return " ".join(f"{state} {self.kind}{subject}: {self.source}: {self.message} [{self.rule}] {tail}".split())


Channel = Callable[[Fact, str, datetime], None]  # (fact, raised | recovered, at); raises if it could not tell


def tell(settings: Settings, channels: dict[str, Channel], *, raised: Iterable[Fact] = (),
         over: Callable[[Fact, datetime], bool] = lambda *_: False) -> int:  # fmt: skip
    """Tell each channel the facts that it does not know, and which that it knows are over. How many messages.

    `over(fact, since)` is asked of every fact that a channel was told and that is not among `raised`.
    """
    home, sent = settings.home, 0
    now = {fact.key: fact for fact in raised}
    disk.make_dir(home / "journal")
    with FileLock(home / "journal" / "alert.lock", timeout=120):
        for name, channel in channels.items():
            known = _told(home, name)
            ended = [f for f, since in known.values() if f.key not in now and over(f, since)]
            messages = [(f, "raised") for f in now.values() if f.key not in known] + [(f, "recovered") for f in ended]
            for fact, state in messages[:AT_ONCE]:
                if not _delivered(settings, name, channel, fact, state):
                    break
                line = {"channel": name, "state": state, "at": iso(settings.clock)} | asdict(fact)
                disk.append_lines(home / "journal" / "alert.jsonl", [json.dumps(line, sort_keys=True)])
                sent += 1
    return sent


def _delivered(settings: Settings, name: str, channel: Channel, fact: Fact, state: str) -> bool:
    hidden = settings.secrets()
    safe = Fact(**{field: _redacted(text, hidden) for field, text in asdict(fact).items()})
    try:
        channel(safe, state, settings.clock)
    except Exception as error:  # whatever a channel does must not fail what it watches
        log.warning("%s", _redacted(f"the channel {name} could not tell: {type(error).__name__}", hidden))
        return False
    return True


def _redacted(text: str, hidden: list[str]) -> str:
    for secret in hidden:
        text = text.replace(secret, "***")
    return text


def _told(home: Path, channel: str) -> dict[str, tuple[Fact, datetime]]:
    """The facts that a channel was told and that have not passed since, with when."""
    path, found = home / "journal" / "alert.jsonl", {}
    for line in path.read_bytes().split(b"\n") if path.exists() else ():
        with suppress(ValueError, KeyError, CapmigError):  # torn by a crash
            said = json.loads(line)
            fact = Fact(**{name: said[name] for name in Fact.__slots__})
            if said["channel"] == channel and said["state"] == "raised":
                found[fact.key] = fact, parse_instant(said["at"])
            elif said["channel"] == channel:
                found.pop(fact.key, None)
    return found


def look(settings: Settings, channels: dict[str, Channel]) -> int:
    """Tell which sources are late and what is held, and which of what was told has passed. How many messages."""
    home = settings.home
    standing = [*_late(home), *_held(home)]
    failing = {(a.source, a.feed) for a in pipeline.newest_attempts(home) if a.outcome not in ACCEPTED}
    served = publish.current(home)

    def over(fact: Fact, since: datetime) -> bool:
        if fact.kind == "landing":
            return tuple(fact.subject.split("/")) not in failing
        if fact.kind == "refused":
            return served is not None and served.published_at > since
        return fact.kind in ("late", "hold")

    return tell(settings, channels, raised=standing, over=over)


def _late(home: Path) -> list[Fact]:
    served = publish.current(home)
    late = status.late_feeds(served.path / publish.FILE) if served else []
    return [Fact("late", row["source"], "G2.late", row["feed"], row["why"] or "nothing came since it was due",
                 "see `capmig status --sources`", "land") for row in late]  # fmt: skip


def _held(home: Path) -> list[Fact]:
    found = {}
    for row in holds.rows(home):
        if row["released_at"] is None:
            name = row["batch_id"] or row["hold_id"]
            found[name] = Fact("hold", row["source_id"], row["rule_id"], name,
                               f"{row['series_id']} of {row['event_date']}: {row['why']}",
                               f"look at the source; `capmig publish --ack {name} --why TEXT` releases a true figure",
                               "build_warehouse")  # fmt: skip
    return list(found.values())


def canary(settings: Settings, channels: dict[str, Channel], up_since: datetime) -> bool:
    """Whether a scheduled task ran lately; tells when none does, and when one does again. `up_since`: our own start."""
    state = pipeline.canary(settings.home, settings.clock, up_since=up_since)
    if not state["stale"]:
        tell(settings, channels, over=lambda fact, _: fact.kind == "canary")
        return True
    fact = Fact("canary", "airflow", "O.canary", "scheduler",
                f"no scheduled task has run since {state['beat_at'] or iso(up_since)}, though health may be green",
                "`make down`, then `make up`; nothing that landed is lost", "canary")  # fmt: skip
    tell(settings, channels, raised=[fact])
    return False
