"""The contract every feed keeps, proved on its recorded cases. A new source needs its file and its cases, no edit here.

Rows of the fault matrix: 11-18, 21, 24, 28, 30-34, parsers on bytes.
"""

import csv
import random
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from include.core.errors import ContractError
from include.core.shapes import (
    CELL_KEYS,
    EVIDENCE_KINDS,
    OBS_STATUS,
    POSITION_FIGURES,
    ROW_TYPES,
    SCHEMAS,
    Document,
    Parsed,
    Position,
    Row,
)
from include.core.source import Feed, Source, Window
from include.landing.probe import expectation
from include.landing.runs import to_table
from include.landing.store import attempt_of
from include.sources import feeds, registry
from tests.sources.wire import CASES, SEEN, Table, Token, cases, ordinary, ordinary_body, payload, wires

ROOT = Path(__file__).parents[2]
FEEDS = [pytest.param(source, feed, id=f"{source.source_id}/{feed.name}") for source, feed in feeds()]
TABLES = [p for p in FEEDS if not wires(p.values[0].source_id)[p.values[1].name].prose]
VALUED = [p for p in FEEDS if wires(p.values[0].source_id)[p.values[1].name].value]
DATED = [p for p in FEEDS if wires(p.values[0].source_id)[p.values[1].name].day]
EVENT_UNITS = {None, "percent", "vote", "usd", "coin", "contract"}
PAGE_HTML = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
CHALLENGE = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>"
every_feed = pytest.mark.parametrize(("source", "feed"), FEEDS)
every_table = pytest.mark.parametrize(("source", "feed"), TABLES)
every_value = pytest.mark.parametrize(("source", "feed"), VALUED)
every_day = pytest.mark.parametrize(("source", "feed"), DATED)


def read(feed: Feed, table: Table) -> Parsed:
    """What the parser says of a table."""
    return feed.parse(payload(table.dump()))


def refuses(feed: Feed, body: bytes, seen_at: datetime = SEEN) -> ContractError:
    """The refusal of a body; fails if it is accepted."""
    with pytest.raises(ContractError) as caught:
        feed.parse(payload(body, seen_at))
    assert caught.value.rule.startswith("G1.")
    assert "\n" not in str(caught.value)
    return caught.value


def content(rows: list[Row]) -> set:
    """Rows without order."""
    return set(rows)


def seed(name: str) -> list[dict[str, str]]:
    """Rows of a seed of the dbt project."""
    with (ROOT / "dbt_project" / "seeds" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def families() -> list[dict[str, str]]:
    """What the warehouse knows of each family of series."""
    return seed("series_family")


def shipped(feed: Feed) -> bytes:
    """The file that a feed ships."""
    return (ROOT / "include" / "sources" / "events" / feed.shipped).read_bytes()


# Declarations


@every_feed
def test_a_declaration_is_whole(source: Source, feed: Feed) -> None:
    """Cases and wire shape exist; what a window asks is relative to the source's own https host."""
    assert ordinary_body(source.source_id, feed)
    assert source.evidence_kind in EVIDENCE_KINDS
    assert (
        source.verified == "recorded"
        or source.verified in ("documented", "guessed")
        or source.verified.startswith("live ")
    )
    assert bool(feed.requests) == (feed.kind != "INBOX") and bool(feed.requires) == (feed.kind == "INBOX")
    asked = list(feed.requests(Window(date(2025, 12, 30), date(2026, 1, 3), SEEN))) if feed.requests else []
    assert all(request.path.startswith("/") and "?" not in request.path for request in asked)
    assert not asked or source.base_url.startswith("https://")
    if feed.shipped:
        assert shipped(feed)


def test_every_case_belongs_to_a_feed_and_says_what_must_come_of_it() -> None:
    """No orphan among the recorded files."""
    known = {path for s, f in feeds() for path in cases(s.source_id, f)}
    stated = {p.with_suffix(end) for p in known for end in (".expected.csv", ".refused")}
    assert set(CASES.glob("*/*__*")) <= known | stated
    assert all(p.with_suffix(".expected.csv").exists() != p.with_suffix(".refused").exists() for p in known)
    assert {p.name: p.name for p in CASES.iterdir()} == {name: source.source_id for name, source in registry().items()}


# Recorded cases


@pytest.mark.parametrize(
    ("feed", "path"),
    [pytest.param(f, p, id=p.stem) for s, f in feeds() for p in cases(s.source_id, f, ".expected.csv")],
)
def test_a_recorded_case_gives_the_stated_rows(feed: Feed, path: Path) -> None:
    """Series, day, instant, value and status of every row, no row more and none less."""
    parsed = feed.parse(payload(path.read_bytes()))
    with path.with_suffix(".expected.csv").open(encoding="utf-8", newline="") as file:
        stated = [tuple(line) for line in csv.reader(file)]
    assert sorted(map(expectation, parsed.rows)) == sorted(stated[1:])


@pytest.mark.parametrize(
    ("feed", "path"), [pytest.param(f, p, id=p.stem) for s, f in feeds() for p in cases(s.source_id, f, ".refused")]
)
def test_a_recorded_trap_is_refused_by_its_rule(feed: Feed, path: Path) -> None:
    """Rows 12, 14, 18, 20, 30, 34: errors in a 200, moved columns, flipped signs, other units, other days."""
    assert refuses(feed, path.read_bytes()).rule == path.with_suffix(".refused").read_text(encoding="utf-8").strip()


# Rows


@every_feed
def test_rows_keep_their_shape(source: Source, feed: Feed) -> None:
    """Declared shape, canonical units, exact decimals, dated, traceable, and fit for the Arrow schema."""
    units = {row["family"]: row["unit"] for row in families()}
    base = {row["unit"]: row["base_unit"] for row in seed("unit")}
    parsed = feed.parse(payload(ordinary_body(source.source_id, feed)))
    assert len(parsed.rows) >= feed.min_rows
    for row in parsed.rows:
        assert type(row) is ROW_TYPES[feed.shape]
        assert row.obs_status in OBS_STATUS and row.locator and row.value_raw
        assert type(row.event_date) is date and row.event_date <= SEEN.date()
        assert row.event_at is None or (row.event_at.tzinfo is not None and row.event_at <= SEEN)
        if isinstance(row, Position):
            figures = [value for name in POSITION_FIGURES if (value := getattr(row, name)) is not None]
            assert figures and all(type(value) is Decimal and value.as_tuple().exponent >= -18 for value in figures)
            continue
        if isinstance(row, Document):
            assert row.title and row.url.startswith("https://") and re.fullmatch("[0-9a-f]{64}", row.doc_sha256)
            continue
        assert row.value is None or (type(row.value) is Decimal and row.value.as_tuple().exponent >= -18)
        assert (
            row.unit in EVENT_UNITS if feed.shape == "event" else base[row.unit] == units[row.series_id.split(".")[0]]
        )
        assert (row.value is None) == (row.obs_status in ("not_yet", "holiday")) or feed.shape == "event"
    attempt = attempt_of(source.source_id, feed.name, "r", SEEN, SEEN, vintage_kind="first_seen", origin="t",
                         outcome="LANDED", sha256="0" * 64)  # fmt: skip
    table = to_table(source, feed, attempt, parsed.rows)
    assert table.schema.equals(SCHEMAS[feed.shape])
    assert (
        len({tuple(cell.values()) for cell in table.select(list(CELL_KEYS[feed.shape])).to_pylist()}) == table.num_rows
    )


@every_feed
def test_the_scope_spans_every_row_of_data(source: Source, feed: Feed) -> None:
    """A page's silence is bounded by its first and last row; a page that restates everything has no bounds."""
    parsed = feed.parse(payload(ordinary_body(source.source_id, feed)))
    days = [row.event_date for row in parsed.rows]
    if feed.restates == "all":
        assert (parsed.scope_from, parsed.scope_to) == (None, None)
    else:
        assert parsed.scope_from <= min(days) <= max(days) <= parsed.scope_to


@every_table
def test_the_same_bytes_give_the_same_rows_in_any_order(source: Source, feed: Feed) -> None:
    """Row 24: determinism, and a shuffle of the payload's rows."""
    table = ordinary(source.source_id, feed)
    parsed = read(feed, table)
    assert read(feed, table) == parsed
    for seed in range(5):
        shuffled = table.copy()
        random.Random(seed).shuffle(shuffled.rows)  # noqa: S311 - repeatable
        again = read(feed, shuffled)
        assert content(again.rows) == content(parsed.rows)
        assert (again.scope_from, again.scope_to) == (parsed.scope_from, parsed.scope_to)


# Faults


@every_table
def test_nothing_is_refused_or_explained(source: Source, feed: Feed) -> None:
    """Row 13: an empty body, and a header without rows."""
    refuses(feed, b"")
    table = ordinary(source.source_id, feed)
    if table.wire.may_be_empty:
        assert 0 < len(read(feed, table.copy(rows=[])).rows) < len(read(feed, table).rows)
        return
    refuses(feed, table.copy(rows=[row for n, row in enumerate(table.rows) if not table.is_data(n)]).dump())


@every_feed
def test_a_page_in_place_of_data_is_refused(source: Source, feed: Feed) -> None:
    """Rows 10, 11, 12: an error page, a challenge page, JSON errors, and noise."""
    noise = random.Random(7).randbytes(65_536)  # noqa: S311 - repeatable
    for body in (
        b"",
        PAGE_HTML,
        CHALLENGE,
        b"null",
        b"[]",
        b"{}",
        b'{"status":{"error_code":429}}',
        b"too many requests",
        noise,
    ):
        refuses(feed, body)


@every_table
def test_a_required_column_is_missed(source: Source, feed: Feed) -> None:
    """Rows 14, 15: removed, or renamed."""
    table = ordinary(source.source_id, feed)
    for column in table.wire.required:
        kept = [c for c in table.columns if c != column]
        refuses(feed, table.copy(columns=kept).dump())
        renamed = ["Xnew" if c == column else c for c in table.columns]
        rows = [{("Xnew" if c == column else c): cell for c, cell in row.items()} for row in table.rows]
        refuses(feed, table.copy(columns=renamed, rows=rows).dump())


@every_table
def test_the_order_of_columns_does_not_matter(source: Source, feed: Feed) -> None:
    """Row 15: found by name. The first and the last column stay, where pages put the date and the total."""
    table = ordinary(source.source_id, feed)
    first, *middle, last = table.columns
    assert content(read(feed, table.copy(columns=[first, *middle[::-1], last])).rows) == content(read(feed, table).rows)


@every_table
def test_a_new_column_changes_nothing(source: Source, feed: Feed) -> None:
    """Row 16: it lands in the raw bytes, and the rows are equal. A new fund without a reading is a dash. Where places
    and not names say what a cell means, one place more is another layout."""
    table = ordinary(source.source_id, feed)
    first, *rest, last = table.columns
    rows = [row | {"XNEW": "-"} for row in table.rows]
    wider = table.copy(columns=[first, *rest, "XNEW", last], rows=rows)
    if table.wire.strict:
        refuses(feed, wider.dump())
    else:
        assert content(read(feed, wider).rows) == content(read(feed, table).rows)


@every_table
def test_a_repeated_row_is_one_row_and_a_conflict_is_refused(source: Source, feed: Feed) -> None:
    """Row 21. Members of one object cannot stand twice: that is refused before a row is read."""
    table = ordinary(source.source_id, feed)
    if table.wire.keyed:
        body = table.dump()
        first = body[body.index(b'{"' + table.rows[0][table.wire.keyed].encode()) + 1 : body.index(b"}") + 1]
        assert refuses(feed, body.replace(first, first + b", " + first, 1)).rule == "G1.duplicate_key"
        return
    row = table.rows[table.first()]
    assert content(read(feed, table.copy(rows=[*table.rows, dict(row)])).rows) == content(read(feed, table).rows)
    other = {table.wire.value: table.wire.write_value("0.9")} if table.wire.value else table.wire.conflict
    other = other or {"url": "https://example.org/"}
    conflict = refuses(feed, table.copy(rows=[*table.rows, row | other]).dump())
    assert conflict.rule in ("G1.conflict", "G1.identity")


@every_value
@pytest.mark.parametrize(
    "token",
    ["NaN", "nan", "Infinity", "-inf", "1e999", "1e9999", "abc", "0x1f", "1_000", "１２", "1.2.3", "--1", "1,2", "(1",
     "5 %", "1.23456789012345678901", "1e9999999", "1." + "0" * 70 + "1", "99999999999999999999999"],
)  # fmt: skip
def test_a_token_that_is_no_exact_number_is_refused(source: Source, feed: Feed, token: str) -> None:
    """Rows 17, 31, 32, 33: never guessed, never rounded. As text, and to the letter where JSON writes numbers."""
    table = ordinary(source.source_id, feed)
    refuses(feed, table.with_cell(table.wire.value, token).dump())
    refuses(feed, table.with_cell(table.wire.value, table.wire.write_value(token)).dump())


@every_value
@pytest.mark.parametrize("cell", [True, [], {}, [1], {"value": 1}])
def test_another_type_in_a_cell_is_refused(source: Source, feed: Feed, cell: object) -> None:
    """Row 17 in JSON; in a table of text the same words are unknown tokens."""
    table = ordinary(source.source_id, feed)
    refuses(feed, table.with_cell(table.wire.value, cell if table.wire.records is not None else str(cell)).dump())


@every_value
@pytest.mark.parametrize("token", ["0.1", "1.123456789012345678", "12345678901234567.89"])
def test_a_number_is_kept_to_the_last_digit(source: Source, feed: Feed, token: str) -> None:
    """Row 32: exact from the wire to the row, in the canonical unit. A flow of a page must also fit its total."""
    table = ordinary(source.source_id, feed)
    if table.media == "html" and not table.wire.records and Decimal(token) > 2:
        refuses(feed, table.with_cell(table.wire.value, token).dump())
        return
    before = content(read(feed, table).rows)
    changed = content(read(feed, table.with_cell(table.wire.value, table.wire.write_value(token))).rows) - before
    if table.wire.made_of:
        assert [token in row.value_raw.split() for row in changed] == [True]
        return
    assert [row.value for row in changed] == [Decimal(token) * table.wire.scale]
    assert [row.value_raw for row in changed] == [token]


@every_value
def test_a_sign_that_cannot_be_is_refused(source: Source, feed: Feed) -> None:
    """Row 30: per family. Rates, yields, funding and flows may be negative; prices and stocks may not."""
    positive = {row["family"] for row in families() if row["sign"] in ("positive", "not_negative")}
    table = ordinary(source.source_id, feed)
    negative = table.with_cell(table.wire.value, table.wire.write_value("-0.5"))
    changed = {row.series_id.split(".")[0] for row in read(feed, table).rows} if feed.shape == "observation" else set()
    if changed & positive or table.wire.positive:
        assert refuses(feed, negative.dump()).rule == "G1.sign"
    else:
        assert Decimal("-0.5") * table.wire.scale in {row.value for row in read(feed, negative).rows}


@every_table
def test_another_encoding_is_refused(source: Source, feed: Feed) -> None:
    """Row 33: UTF-16, NUL, and bytes of no encoding. A mark of UTF-8 changes nothing where UTF-8 is declared."""
    table = ordinary(source.source_id, feed)
    body = table.dump()
    text = body.decode(table.wire.codec)
    refuses(feed, text.encode("utf-16"))
    refuses(feed, text.encode("utf-16-le"))
    refuses(feed, body[:60] + b"\x00" + body[60:])
    refuses(feed, body[:60] + b"\xff\xff" + body[60:])
    if table.wire.codec == "utf-8":
        assert feed.parse(payload(b"\xef\xbb\xbf" + body)) == feed.parse(payload(body))
    else:
        refuses(feed, b"\xef\xbb\xbf" + body)


@every_day
def test_a_day_in_another_form_is_refused(source: Source, feed: Feed) -> None:
    """Row 34: the one declared format; era dates only where they are declared."""
    table = ordinary(source.source_id, feed)
    for text in table.wire.bad_days:
        refuses(feed, table.with_cell(table.wire.day, text).dump())
        if isinstance(table.wire.write_day(SEEN.date()), Token):
            refuses(feed, table.with_cell(table.wire.day, Token(text)).dump())


@every_day
def test_a_day_in_the_future_is_refused(source: Source, feed: Feed) -> None:
    """Row 28: after the day on which the bytes were seen, by the source's own clock."""
    table = ordinary(source.source_id, feed)
    for days in (2, 365):
        future = table.wire.write_day(SEEN.date() + timedelta(days=days))
        assert refuses(feed, table.with_cell(table.wire.day, future).dump()).rule == "G1.future"


@every_feed
def test_a_body_cut_short_never_changes_a_value(source: Source, feed: Feed) -> None:
    """Row 9: JSON is refused, a page within its table, a file within a line. What is left says what the whole said."""
    body = ordinary_body(source.source_id, feed)
    whole = content(feed.parse(payload(body)).rows)
    for tenth in range(1, 100):
        cut = body[: len(body) * tenth // 100]
        try:
            left = content(feed.parse(payload(cut)).rows)
        except ContractError:
            continue
        assert left == whole if feed.media == "html" else feed.media == "csv" and left <= whole
        assert feed.media == "html" or cut.endswith(b"\n") or source.source_id in ("frb", "ust")


# What only one source has


def test_the_shipped_rows_add_up() -> None:
    """Votes add to the count of each meeting; rates follow each other; every voter has an official name; a wrong name is never certain."""
    rows = {f.name: _shipped(f) for f in registry()["curated"].feeds}
    votes = list(rows["policy_vote"].values())
    for meeting_id in {v["meeting_id"] for v in votes}:
        split = [v["vote"] for v in votes if v["meeting_id"] == meeting_id]
        decision = rows["policy_decision"][meeting_id]
        assert (split.count("for"), split.count("against")) == (decision["votes_for"], decision["votes_against"])
    official = {e["entity_id"] for e in rows["entity"].values() if e["alias_kind"] == "official"}
    assert {v["member_id"] for v in votes} <= official
    assert all(e["confidence"] < 1 for e in rows["entity"].values() if e["alias_kind"] == "mistranslation")
    for bank in ("BOJ", "FOMC"):
        steps = [e for _, e in sorted(rows["policy_decision"].items()) if e["bank"] == bank]
        assert len(steps) == 17
        assert all(_rate(a, "after") == _rate(b, "before") for a, b in zip(steps, steps[1:], strict=False))


def _rate(decision: dict, when: str) -> tuple:
    """A bank's one target, or both ends of its band."""
    one = decision.get(f"rate_{when}_pct")
    return (one,) if one is not None else (decision[f"rate_{when}_lower_pct"], decision[f"rate_{when}_upper_pct"])


def _shipped(feed: Feed) -> dict[str, dict]:
    body = shipped(feed)
    out: dict[str, dict] = {}
    for row in feed.parse(payload(body, datetime(2026, 12, 1, tzinfo=UTC))).rows:
        key, attribute = (
            (row.event_id, row.attribute) if feed.shape == "event" else (row.series_id, str(row.event_date))
        )
        out.setdefault(key, {})[attribute] = row.value if row.value is not None else row.value_text
    return out


def test_a_shipped_file_tells_a_past_clock_nothing_of_its_future() -> None:
    """The same bytes seen earlier hold fewer rows, and no row that was public later."""
    for feed in registry()["curated"].feeds:
        body = shipped(feed)
        early = datetime(2026, 1, 23, 3, 6, tzinfo=UTC)
        rows = feed.parse(payload(body, early)).rows
        assert len(rows) < len(feed.parse(payload(body, datetime(2026, 12, 1, tzinfo=UTC))).rows)
        assert all((row.published_at or row.claimed_known_at) <= early for row in rows)


def test_the_treasury_year_may_be_empty_until_its_first_curve() -> None:
    """2 January 2026 is the year's first business day; its curve is out at 23:00 UTC, and due a day later at most."""
    feed = registry()["ust"].feed("par_curve")
    table = ordinary("ust", feed)
    header = table.copy(rows=[]).dump()
    assert feed.parse(payload(header, datetime(2026, 1, 3, 22, 0, tzinfo=UTC))) == Parsed()
    refuses(feed, header, datetime(2026, 1, 4, 0, 0, tzinfo=UTC))


def test_windows_become_the_requests_that_the_services_know() -> None:
    """Half-open windows, a file per year, inclusive ends, milliseconds."""
    window = Window(date(2025, 12, 30), date(2026, 1, 1), SEEN)
    wide = Window(date(2025, 12, 30), date(2026, 1, 2), SEEN)
    ust = registry()["ust"].feed("par_curve").requests
    assert [dict(r.params)["field_tdr_date_value"] for r in ust(window)] == ["2025"]
    assert [dict(r.params)["field_tdr_date_value"] for r in ust(wide)] == ["2025", "2026"]
    month = registry()["ust"].feed("par_curve_month").requests
    # the second is the day of February's first curve, which is out at 23:00 UTC and due a day later
    asked = month(Window(date(2025, 12, 30), date(2026, 2, 2), SEEN))
    assert [dict(r.params)["field_tdr_date_value_month"] for r in asked] == ["202512", "202601"]
    (effr,) = registry()["nyfed"].feed("effr").requests(window)
    assert dict(effr.params) == {"startDate": "2025-12-30", "endDate": "2025-12-31"}
    (funding,) = registry()["hyperliquid"].feed("funding_btc").requests(window)
    assert funding.json == {
        "type": "fundingHistory",
        "coin": "BTC",
        "startTime": 1767052800000,
        "endTime": 1767225599999,
    }
    (workbook,) = registry()["ishares"].feed("fund_etha").requests(window)
    assert workbook.path.endswith("/get-fund-document")  # the address of the file since 2026
    assert {("portfolioId", "337614"), ("component", "fundDownload")} <= set(workbook.params)


def test_a_full_page_of_funding_is_followed_from_its_last_row() -> None:
    """500 rows: on from the last millisecond + 1; fewer: the end; no page: the end."""
    feed = registry()["hyperliquid"].feed("funding_btc")
    (request,) = feed.requests(Window(date(2025, 12, 1), date(2026, 1, 1), SEEN))
    full = ordinary("hyperliquid", feed)
    start = 1764547200000
    full.rows = [full.rows[0] | {"time": Token(str(start + hour * 3_600_000))} for hour in range(500)]
    following = feed.follow(request, full.dump())
    assert following.json == request.json | {"startTime": start + 499 * 3_600_000 + 1}
    assert feed.follow(following, full.copy(rows=full.rows[:499]).dump()) is None
    assert feed.follow(request, b"null") is None


def test_options_are_counted_for_the_session_that_the_hour_is_sure_of() -> None:
    """The text has no day. Before 06:00 and after 16:00 in New York nobody asks, and a page from then is refused."""
    feed = registry()["occ"].feed("options_ibit")
    body = ordinary_body("occ", feed)
    for seen_at, session in (
        (datetime(2026, 1, 20, 11, 30, tzinfo=UTC), date(2026, 1, 16)),  # the Tuesday after a Monday off
        (datetime(2026, 1, 24, 20, 59, tzinfo=UTC), date(2026, 1, 23)),  # a Saturday
        (datetime(2026, 7, 8, 10, 0, tzinfo=UTC), date(2026, 7, 7)),  # an hour earlier in summer
    ):
        assert {row.event_date for row in feed.parse(payload(body, seen_at)).rows} == {session}
        assert len(feed.requests(Window(session, session, seen_at))) == 1
    for seen_at in (datetime(2026, 1, 20, 10, 59, tzinfo=UTC), datetime(2026, 1, 20, 21, 0, tzinfo=UTC)):
        assert refuses(feed, body, seen_at).rule == "G1.date"
        assert feed.requests(Window(seen_at.date(), seen_at.date(), seen_at)) == []
