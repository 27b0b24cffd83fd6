"""The one clock. An instant enters a run once and is passed down; nothing else asks for the time."""

from datetime import UTC, datetime

from include.core.errors import ConfigError

ISO = "%Y-%m-%dT%H:%M:%S.%fZ"
STAMP = "%Y%m%dT%H%M%SZ"


def parse_instant(text: str, *, key: str = "instant") -> datetime:
    """`2026-01-23T03:07Z`, `2026-01-23 03:07:00+00:00` or `20260123T030700Z` as an aware UTC instant.

    A date alone means its last microsecond in UTC, so that `--as-of 2026-01-23` includes the day.
    A text without an offset is refused rather than guessed.
    """
    text = text.strip()
    try:
        if len(text) == 16 and text.endswith("Z") and text[8] == "T" and "-" not in text:
            return datetime.strptime(text, STAMP).replace(tzinfo=UTC)
        if len(text) == 10:
            return datetime.fromisoformat(text + "T23:59:59.999999+00:00")
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise ConfigError(
            f"{key} is not an instant with an offset",
            rule="config.instant",
            action="write it as 2026-01-23T03:07Z",
        )
    return instant.astimezone(UTC)


def wall_clock() -> datetime:
    """The instant now. Only `settings.load` calls it, once a run."""
    return datetime.now(UTC)


def iso(instant: datetime) -> str:
    """UTC, microseconds, `Z`: sorts as text in the order of time."""
    return instant.astimezone(UTC).strftime(ISO)


def stamp(instant: datetime) -> str:
    """Compact form for file names, whole seconds: `20260123T030700Z`."""
    return instant.astimezone(UTC).strftime(STAMP)
