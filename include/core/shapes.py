"""The four row shapes every parser writes, and the `page` row that says what a sighting covered.

A parser returns the dataclasses below: what the payload itself says. Landing adds the provenance columns
(`PROVENANCE`) from the feed's declaration and the manifest and writes the Arrow schemas in `SCHEMAS`.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa

VALUE = pa.decimal128(38, 18)
INSTANT = pa.timestamp("us", tz="UTC")

OBS_STATUS = ("final", "partial", "reported_zero", "not_yet", "holiday", "source_gap", "held", "retracted")
EVIDENCE_KINDS = ("origin", "measurement", "compilation", "transcription", "report")
VINTAGE_KINDS = ("publisher", "first_seen", "archive", "pseudo", "backfill_unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What every shape shares. Empty `lineage_root` / `evidence_kind` mean the feed's own."""

    event_date: date
    value_raw: str  # verbatim text of the cell
    locator: str  # where in the payload, e.g. "row=2026-01-22 col=IBIT"
    event_at: datetime | None = None
    published_at: datetime | None = None
    claimed_known_at: datetime | None = None
    lineage_root: str | None = None
    evidence_kind: str | None = None
    measurement_root: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation(Row):
    """One number: cell = series_id x event_date x source. `value` in the canonical `unit`."""

    series_id: str
    value: Decimal | None
    unit: str
    obs_status: str = "final"
    period_start: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Row):
    """One attribute of an event: text or exact number. Cell = event_id x attribute x source."""

    event_id: str
    kind: str
    attribute: str
    value_text: str | None = None
    value: Decimal | None = None
    unit: str | None = None
    slack_s: int | None = None
    obs_status: str = "final"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position(Row):
    """One account x instrument x instant."""

    venue: str
    account: str
    instrument: str
    record_kind: str
    record_id: str
    side: str | None = None
    qty: Decimal | None = None
    entry_price: Decimal | None = None
    mark_price: Decimal | None = None
    liq_price: Decimal | None = None
    notional_usd: Decimal | None = None
    margin_usd: Decimal | None = None
    equity_usd: Decimal | None = None
    leverage_setting: Decimal | None = None
    max_leverage: Decimal | None = None
    margin_mode: str | None = None
    counterparty: str | None = None
    obs_status: str = "final"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(Row):
    """One document, named by the sha256 of its bytes, or of its address where a list is all that was landed."""

    doc_sha256: str
    media_type: str  # of what was landed
    n_bytes: int | None = None  # of the document itself
    title: str | None = None
    author: str | None = None
    lang: str | None = None
    url: str | None = None
    text_path: str | None = None
    obs_status: str = "final"


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one payload says: its rows, and the dates for which its silence means something.

    `scope_from`/`scope_to` are inclusive event dates; both None means the page speaks for every date.
    """

    rows: list[Row] = field(default_factory=list)
    scope_from: date | None = None
    scope_to: date | None = None


PROVENANCE = [
    ("source_id", pa.string()),
    ("feed", pa.string()),
    ("feed_rank", pa.int32()),
    ("lineage_root", pa.string()),
    ("evidence_kind", pa.string()),
    ("measurement_root", pa.string()),
    ("obs_status", pa.string()),
    ("value_raw", pa.string()),
    ("published_at", INSTANT),
    ("claimed_known_at", INSTANT),
    ("vintage_kind", pa.string()),
    ("first_seen", INSTANT),
    ("last_seen", INSTANT),
    ("n_seen", pa.int64()),
    ("payload_sha256", pa.string()),
    ("locator", pa.string()),
    ("parser_version", pa.string()),
]

_OBSERVATION = [
    ("series_id", pa.string()),
    ("event_date", pa.date32()),
    ("event_at", INSTANT),
    ("period_start", INSTANT),
    ("value", VALUE),
    ("unit", pa.string()),
]
_EVENT = [
    ("event_id", pa.string()),
    ("kind", pa.string()),
    ("attribute", pa.string()),
    ("event_date", pa.date32()),
    ("event_at", INSTANT),
    ("slack_s", pa.int64()),
    ("value_text", pa.string()),
    ("value", VALUE),
    ("unit", pa.string()),
]
POSITION_FIGURES = (
    "qty", "entry_price", "mark_price", "liq_price", "notional_usd", "margin_usd", "equity_usd", "leverage_setting",
    "max_leverage",
)  # fmt: skip
_POSITION = [
    (name, pa.string())
    for name in ("venue", "account", "instrument", "record_kind", "record_id", "side", "margin_mode", "counterparty")
] + [("event_date", pa.date32()), ("event_at", INSTANT)]
_POSITION += [(name, VALUE) for name in POSITION_FIGURES]
_DOCUMENT = [
    (name, pa.string()) for name in ("doc_sha256", "title", "author", "lang", "url", "media_type", "text_path")
] + [("event_date", pa.date32()), ("event_at", INSTANT), ("n_bytes", pa.int64())]
_PAGE = [
    ("source_id", pa.string()),
    ("feed", pa.string()),
    ("payload_sha256", pa.string()),
    ("seen_at", INSTANT),
    ("vintage_kind", pa.string()),
    ("restates", pa.string()),
    ("scope_from", pa.date32()),
    ("scope_to", pa.date32()),
    ("n_cells", pa.int64()),
    ("parser_version", pa.string()),
]

SCHEMAS: dict[str, pa.Schema] = {
    "observation": pa.schema(_OBSERVATION + PROVENANCE),
    "event": pa.schema(_EVENT + PROVENANCE),
    "position": pa.schema(_POSITION + PROVENANCE),
    "document": pa.schema(_DOCUMENT + PROVENANCE),
    "page": pa.schema(_PAGE),
}

ROW_TYPES: dict[str, type[Row]] = {
    "observation": Observation,
    "event": Event,
    "position": Position,
    "document": Document,
}

# What names a cell within one feed, and what makes two sightings of it the same version.
CELL_KEYS: dict[str, tuple[str, ...]] = {
    "observation": ("series_id", "event_date", "event_at"),
    "event": ("event_id", "attribute"),
    "position": ("venue", "account", "instrument", "record_kind", "record_id"),
    "document": ("doc_sha256",),
}
CELL_VALUES: dict[str, tuple[str, ...]] = {
    "observation": ("value", "unit", "obs_status"),
    "event": ("kind", "value_text", "value", "unit", "event_date", "event_at", "slack_s", "obs_status"),
    "position": tuple(name for name, _ in _POSITION if name not in ("venue", "account", "instrument")),
    "document": ("title", "author", "lang", "url"),
}
