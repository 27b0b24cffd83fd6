"""The only reader of the environment and of secret files. Everything else is handed a `Settings`."""

import json
import os
import re
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from include.core.clock import parse_instant, wall_clock
from include.core.errors import ConfigError
from include.core.source import Feed, Source

ROOT = Path(__file__).resolve().parents[1]
POSTGRES_KEY = "WAREHOUSE_POSTGRES_URL"
WEBHOOK_KEY, SMTP_KEY = "CAPMIG_ALERT_WEBHOOK", "CAPMIG_ALERT_SMTP"
_BASE = "CAPMIG_BASE_URL__"
REPLAY_KEY, GUESSED_KEY = "CAPMIG_REPLAY", "CAPMIG_GUESSED"  # read by `disabled`
_OTHER = {REPLAY_KEY, GUESSED_KEY, "CAPMIG_CLOCK", "CAPMIG_BUILD_DIR", "CAPMIG_MEMORY_LIMIT"}  # the last two by dbt
_SECRETS = {name for key in (WEBHOOK_KEY, SMTP_KEY) for name in (key, f"{key}_FILE")}
_ADDRESSES = r"^$|^[^@\s,<>]+@[^@\s,<>]+(,[^@\s,<>]+@[^@\s,<>]+)*$"


class Settings(BaseSettings):
    """Configuration of one run. Keys are the upper-case field names (`CAPMIG_` for all but WAREHOUSE_HOME)."""

    model_config = SettingsConfigDict(
        env_prefix="CAPMIG_", extra="ignore", hide_input_in_errors=True, frozen=True, env_ignore_empty=True
    )

    warehouse_home: Path = Field(default=Path("warehouse"), validation_alias="WAREHOUSE_HOME")
    contact: str = "https://github.com/capital-migration/warehouse"
    keep_versions: int = Field(default=5, ge=3, le=100)
    threads: int = Field(default=2, ge=1, le=64)
    fetch_deadline_s: float = Field(default=60, gt=0, le=3600)
    fetch_tries: int = Field(default=4, ge=1, le=10)
    retry_cap_s: float = Field(default=60, ge=0, le=3600)
    backfills: Path = ROOT / "include" / "backfills"  # the recorded ones, a TOML file each
    alert_email: str = Field(default="", pattern=_ADDRESSES)  # who is told, with commas between
    openlineage: str = ""  # an OpenLineage transport, as JSON; "" is off
    base_urls: dict[str, str] = Field(default_factory=dict)
    clock: datetime
    clock_is_past: bool = False  # a clock was set, and the wall clock is ahead of it

    @property
    def home(self) -> Path:
        """The warehouse's state directory, absolute."""
        return self.warehouse_home.absolute()

    def base_url(self, source: Source) -> str:
        """Where a source is asked: its own host unless `CAPMIG_BASE_URL__<SOURCE>` says otherwise."""
        return self.base_urls.get(source.source_id, source.base_url)

    def key(self, source: Source) -> str:
        """The source's key from `<NAME>` or the file named by `<NAME>_FILE`; "" if there is none. In the place of a
        User-Agent it must say whom to write to."""
        key = read_secret(source.key_env) if source.key_env else ""
        if key and source.key_header == "User-Agent" and not re.search(r"[^@\s]@[^@\s]+\.[^@\s]", key):
            raise ConfigError(f"{source.key_env} names no address of a person who asks", rule="config.contact",
                              action="write your name and an e-mail address")  # fmt: skip
        return key

    @property
    def postgres_url(self) -> str:
        """The PostgreSQL to publish into, from `WAREHOUSE_POSTGRES_URL` or its file: a secret. "" if there is none."""
        return read_secret(POSTGRES_KEY)

    @property
    def alert_webhook(self) -> str:
        """Where alerts are posted, from `CAPMIG_ALERT_WEBHOOK` or its file: a secret. "" if nowhere."""
        url = read_secret(WEBHOOK_KEY)
        parts = urlsplit(url)
        if url and not (parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url)))):
            raise ConfigError(f"{WEBHOOK_KEY} is not the URL of a webhook", rule="config.webhook",
                              action="write https://host/path, or http on loopback")  # fmt: skip
        return url

    @property
    def alert_smtp(self) -> str:
        """The mail server as an Airflow connection, `smtp://user:password@host:587/?from_email=...`: a secret."""
        uri = read_secret(SMTP_KEY)
        if bool(uri) != bool(self.alert_email) or (uri and urlsplit(uri).scheme != "smtp"):
            raise ConfigError(f"{SMTP_KEY} and CAPMIG_ALERT_EMAIL belong together", rule="config.smtp",
                              action="write smtp://user:password@host:587/?from_email=... and who is told")  # fmt: skip
        return uri

    @property
    def lineage_file(self) -> Path | None:
        """Where publishes write OpenLineage events. None if it is off, or if Airflow's provider alone sends them."""
        try:
            said = json.loads(self.openlineage or "null")
            if said is None or said["type"] == "file":
                return said and Path(said["log_file_path"])
            version("apache-airflow-providers-openlineage")
        except (ValueError, KeyError, TypeError):
            raise ConfigError("CAPMIG_OPENLINEAGE is not a transport", rule="config.openlineage",
                              action='write {"type": "file", "log_file_path": "/path"}') from None  # fmt: skip
        except PackageNotFoundError:
            raise ConfigError("CAPMIG_OPENLINEAGE names a transport of a provider that is not installed",
                              rule="config.openlineage", action="install apache-airflow-providers-openlineage, or use "
                              'the type "file"') from None  # fmt: skip
        return None

    def secrets(self) -> list[str]:
        """What no message may show. The keys of sources are redacted where they are used."""
        return [text for text in (self.alert_webhook, self.alert_smtp, self.postgres_url) if text]


def read_secret(name: str) -> str:
    """A secret by environment or by file. The value never appears in an error."""
    path = os.environ.get(f"{name}_FILE", "")
    if not path:
        return os.environ.get(name, "")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"the file named by {name}_FILE cannot be read", rule="config.secret",
                          action=f"point {name}_FILE at a readable file or unset it") from None  # fmt: skip


def is_given(name: str) -> bool:
    """Whether a secret is configured. Reads no file: DAG files ask while they are parsed."""
    return bool(os.environ.get(name) or os.environ.get(f"{name}_FILE"))


def disabled(source: Source, feed: Feed | None = None) -> str:
    """Why a source, or a feed of it, is not asked, in words; "" if it is. Reads no file: DAG files ask while parsed."""
    if source.key_required and not is_given(source.key_env):
        return f"no key: set {source.key_env}, or {source.key_env}_FILE"
    if source.verified == "guessed" and source.source_id not in os.environ.get(GUESSED_KEY, "").split(","):
        return f"its contract is a guess: name it in {GUESSED_KEY} to ask it"
    inbox_only = all(feed.kind == "INBOX" for feed in source.feeds)  # the record delivers its pages
    asked = inbox_only or f"{_BASE}{source.source_id.upper()}" in os.environ
    absent = os.environ.get(REPLAY_KEY, "").split(",")
    if absent != [""] and (not asked or (feed and f"{source.source_id}/{feed.name}" in absent)):
        return "the bundled record has nothing of it"
    return ""


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _base_urls() -> dict[str, str]:
    """`CAPMIG_BASE_URL__<SOURCE>` by source id; `ConfigError` for one that is wrong, or any key that is unknown."""
    from include.sources import registry

    sources = registry()
    urls = {}
    known = {f"CAPMIG_{name.upper()}" for name in Settings.model_fields} | _OTHER | _SECRETS
    for key, value in os.environ.items():
        if key.startswith(_BASE):
            source_id = key.removeprefix(_BASE).lower()
            parts = urlsplit(value)
            if source_id not in sources:
                raise ConfigError(f"{key} names no source", rule="config.unknown_source",
                                  action=f"use one of {', '.join(sorted(sources))}")  # fmt: skip
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
                raise ConfigError(f"{key} is not a base URL", rule="config.base_url", action="write https://host/")
            if parts.scheme == "http" and not is_loopback(value):
                raise ConfigError(f"{key} is plain http to another host", rule="config.base_url", action="use https")
            urls[source_id] = value.rstrip("/")
        elif key.startswith("CAPMIG_") and key not in known:
            raise ConfigError(f"{key} is not a known key", rule="config.unknown_key",
                              action="see .env.example for the keys")  # fmt: skip
    return urls


def load(home: Path | str | None = None, *, live: bool = False) -> Settings:
    """Read and check the whole configuration; `ConfigError` names the first key that is wrong.

    `home` is used in place of `WAREHOUSE_HOME`.
    The clock is `CAPMIG_CLOCK`, else what `WAREHOUSE_HOME/clock` says (a warehouse made from the replay pack keeps
    the pack's), else the wall clock; `live` leaves the kept one out, for what asks the world and stores nothing.
    """
    urls = _base_urls()
    try:
        wall = wall_clock()
        bare = Settings(base_urls=urls, clock=wall, **({"WAREHOUSE_HOME": home} if home else {}))
        if bare.home.exists() and not bare.home.is_dir():
            raise ConfigError("WAREHOUSE_HOME is not a directory", rule="config.home", action="name a directory")
        kept, key, text = bare.home / "clock", "CAPMIG_CLOCK", os.environ.get("CAPMIG_CLOCK")
        if not text and kept.exists() and not live:
            key, text = "the file `clock` in WAREHOUSE_HOME", kept.read_text(encoding="utf-8", errors="replace").strip()
        clock = parse_instant(text, key=key) if text else wall
        _ = bare.alert_webhook, bare.alert_smtp, bare.lineage_file  # refused now, not when there is something to tell
        return bare.model_copy(update={"clock": clock, "clock_is_past": clock < wall})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = str(first["loc"][0])
        key = field if field.isupper() else f"CAPMIG_{field.upper()}"
        raise ConfigError(f"{key}: {first['msg']}", rule="config.invalid", action="see .env.example") from None
