"""The second promise, on contradictions of the public record: who says it, how many of them count, and how far apart.

`contradictions.csv` restates cells on which copies, vintages and compilations of the fund tables differ, each with who
said it. Pages are written in Farside's own shape and imported at their instants, SoSoValue answers over a loopback
server, copies and the press are sources that the test declares.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from itertools import combinations, groupby
from pathlib import Path

import duckdb
import pytest

from include import pipeline
from include.core.clock import parse_instant
from include.replay import farside
from include.settings import Settings
from include.sources.etf import sosovalue
from tests.e2e.declared import body, built, home, land_curated, registered, source, take_in
from tests.faults.wire import Wire, answer

CLOCK = parse_instant("2026-04-16T12:00:00Z")
CSV = Path(__file__).with_name("contradictions.csv")
Rows = dict[date, dict[str, Decimal]]

DECLARED = (
    source("calendarised", "transcription", root="farside", measures="issuers"),
    source("defillama", "transcription", root="farside", measures="issuers"),
    source("press_aicoin", "report"),
    source("press_other", "report"),
    source("split_a", "compilation", measures="issuers", rank=3),
    source("split_b", "compilation", measures="issuers", rank=4),
)

# Who may stand behind one series: source, kind, lineage root, what it measured. In the order of belief.
WITNESSES = {
    "w_origin": ("origin", "body", "body"),
    "w_gauge1": ("measurement", "gauge1", "gauge1"),
    "w_gauge2": ("measurement", "gauge2", "gauge2"),
    "w_table1": ("compilation", "table1", "body"),
    "w_table2": ("compilation", "table2", "body"),
    "w_copy1": ("transcription", "table1", "body"),
    "w_press": ("report", "w_press", "w_press"),
}
SUBSETS = [frozenset(s) for n in range(1, 8) for s in combinations(WITNESSES, n)]
AGREE, NEAR, FAR, SILENT = PATTERNS = ("AGREE", "NEAR", "FAR", "SILENT")
ON = date(2026, 3, 16)


def said_by(witness: str, pattern: str) -> str:
    """What a witness prints: yen a dollar, where one hundredth apart is within tolerance. NEAR differs by rank, FAR has
    one compilation ten yen off, SILENT an origin that has nothing yet."""
    if pattern == SILENT and witness == "w_origin":
        return ""
    if pattern == NEAR:
        return f"150.{list(WITNESSES).index(witness):02d}"
    return "160.00" if pattern == FAR and witness == "w_table2" else "150.00"


def series_of(subset: frozenset[str], pattern: str) -> str:
    """One series for each set of witnesses."""
    return f"FX.S{SUBSETS.index(subset):03d}{pattern}.FIXING"


# What landed.


def record() -> Iterator[tuple[str, str, str, datetime, Rows]]:
    """(copy, asset, who, seen_at, rows) a page, in the order of the file."""
    with CSV.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    for (copy, seen_at, asset), page in groupby(lines, key=lambda r: (r["copy"], r["seen_at"], r["asset"])):
        rows = {
            date.fromisoformat(line["session"]): {
                name: Decimal(text) for name, text in (cell.split("=") for cell in line["figures"].split())
            }
            for line in page
        }
        yield copy, asset, copy, parse_instant(seen_at), rows


def farside_page(asset: str, table: Rows) -> bytes:
    """The whole table in the site's shape, with a column for each fund that has a cell."""
    columns = farside.COLUMNS[asset.lower()]
    new = sorted({ticker for row in table.values() for ticker in row} - {*columns, "TOTAL"})
    shown = {day: {t if t != "TOTAL" else "Total": v for t, v in row.items()} for day, row in sorted(table.items())}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(farside.COLUMNS, asset.lower(), (*columns[:-1], *new, "Total"))
        return farside.page(asset.lower(), shown, len(shown))


def inflow(rows: dict[date, Decimal], *, listed: bool) -> bytes:
    """SoSoValue's answer for one series."""
    cells = ",".join(f'{{"date":"{day}","totalNetInflow":{value.scaleb(6):.1f}}}' for day, value in rows.items())
    data = f'{{"list":[{cells}]}}' if listed else f"[{cells}]"
    return f'{{"code":0,"msg":null,"data":{data}}}'.encode()


def land_sosovalue(path: Path, at: datetime, rows: Rows) -> None:
    """Ask a loopback server for the total and for the two funds, at `at`."""
    for feed, (_, series_id) in sosovalue.FEEDS.items():
        ticker = series_id.split(".")[2]
        said = {day: row[ticker] for day, row in rows.items() if ticker in row}
        if not said or ".BTC." not in series_id:
            continue
        with Wire(answer(inflow(said, listed=ticker == "TOTAL"), content_type="application/json")) as wire:
            settings = home(path, at, base_urls={"sosovalue": wire.url})
            (attempt,) = pipeline.land(settings, "sosovalue", feed, run_id="landed")
            assert attempt.outcome == "LANDED"


def land_record(path: Path, settings: Settings) -> None:
    """Every page of the record. Farside's grow: each shows all that stood there before."""
    tables: dict[str, Rows] = defaultdict(dict)
    for copy, asset, _, at, rows in record():
        if copy == "farside":
            tables[asset] |= rows
            outcome = take_in(settings, "farside", asset.lower(), at, farside_page(asset, tables[asset]))
        elif copy == "sosovalue":
            land_sosovalue(path, at, rows)
            continue
        else:
            cells = [(f"ETF_FLOW.{asset}.{t}", day, str(v)) for day, row in rows.items() for t, v in row.items()]
            outcome = take_in(settings, copy, "said", at, body(cells))
        assert outcome == "LANDED", (copy, at)


ETH_FUNDS = farside.COLUMNS["eth"][:-1]


def land_splits(settings: Settings) -> None:
    """Five sessions in which two compilations differ in how much of the Ether table they have."""

    def split(day: int, base: int, *without: str) -> list[tuple[str, date, str]]:
        return [(f"ETF_FLOW.ETH.{fund}", date(2026, 1, day), f"{base}.0") for fund in ETH_FUNDS if fund not in without]

    def total(day: int, figure: str) -> tuple[str, date, str]:
        return "ETF_FLOW.ETH.TOTAL", date(2026, 1, day), figure

    at = parse_instant("2026-02-02T12:00:00Z")
    first = [*split(26, 1), *split(27, 1, "QETH"), *split(28, 1, "ETHA"), total(29, "9.0")]
    other = [*split(26, 2), *split(27, 2), *split(28, 2, "TETH", "QETH"), total(29, "9.1")]
    assert take_in(settings, "split_a", "said", at, body(first)) == "LANDED"
    assert take_in(settings, "split_b", "said", at, body(other)) == "LANDED"
    assert take_in(settings, "calendarised", "said", at, body([total(29, "9.0")])) == "LANDED"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Everything landed."""
    path = tmp_path_factory.mktemp("corroboration")
    witnesses = [
        source(name, kind, root=root, measures=measures, rank=rank, unit="jpy_per_usd", scale=0)
        for rank, (name, (kind, root, measures)) in enumerate(WITNESSES.items(), start=1)
    ]
    with registered(*DECLARED, *witnesses):
        settings = home(path, CLOCK)
        land_curated(settings)
        land_record(path, settings)
        land_splits(settings)
        for name in WITNESSES:
            cells = [(series_of(s, p), ON, said_by(name, p)) for s in SUBSETS if name in s for p in PATTERNS]
            assert take_in(settings, name, "said", parse_instant("2026-03-17T12:00:00Z"), body(cells)) == "LANDED"
        yield home(path, CLOCK)


@pytest.fixture(scope="module")
def ask(settings: Settings) -> Iterator:
    """Rows of a statement on what is known at the clock; ledger and marts."""
    made = built(settings, "current")
    with duckdb.connect(str(made.scratch)) as con:
        con.execute(f"set TimeZone = 'UTC'; attach '{made.warehouse}' as warehouse (read_only)")
        yield lambda sql, *given: con.execute(sql, list(given)).fetchall()


# The record.


def usd(millions: str | None) -> Decimal | None:
    return None if millions is None else Decimal(millions) * 10**6


@pytest.mark.parametrize(
    ("asset", "day", "flow", "status", "missing", "who", "apart", "agreement", "grade"),
    [
        # asset, session, flow, status, funds missing, publishers/lineages/measurements, difference in US$ m
        ("BTC", "2026-01-08", "-398.8", "final", 0, "farside 2/2/1", "0.15", "within_tolerance", "B"),
        ("BTC", "2026-01-16", "-394.7", "final", 0, "farside 2/2/1", "0.02", "agree", "B"),
        ("BTC", "2026-01-20", "-479.7", "final", 0, "farside 3/2/1", "3.68", "within_tolerance", "B"),
        ("BTC", "2026-01-21", "-708.7", "final", 0, "farside 2/2/1", "0.01", "agree", "B"),
        ("BTC", "2026-01-22", "-32.2", "final", 0, "farside 4/2/1", "0.09", "within_tolerance", "B"),
        ("BTC", "2026-01-23", "-103.5", "final", 0, "farside 4/2/1", "0.07", "within_tolerance", "B"),
        # a copy of the table is no second lineage, whether it repeats the figure or spoils it
        ("BTC", "2024-01-11", "655.3", "final", 0, "farside 2/1/1", "0", "single_source", "C"),
        ("BTC", "2025-09-03", "300.5", "final", 0, "farside 2/1/1", "0", "single_source", "C"),
        ("ETH", "2026-04-14", "53.1", "final", 0, "farside 2/1/1", "0", "single_source", "C"),
        # nor is the press; alone it is nobody's figure
        ("ETH", "2026-01-21", "-287.0", "final", 1, "farside 2/1/1", "0", "single_source", "C"),
        ("ETH", "2026-01-23", None, "not_yet", 9, "None 1/0/0", "0", "single_source", "D"),
        ("BTC", "2026-02-03", "-272.0", "final", 0, "farside 1/1/1", "0", "single_source", "C"),
        ("BTC", "2026-03-02", "458.2", "final", 0, "farside 1/1/1", "0", "single_source", "C"),
        ("BTC", "2026-04-10", "256.7", "final", 0, "farside 1/1/1", "0", "single_source", "C"),
        ("ETH", "2024-08-30", "0.0", "final", 0, "farside 1/1/1", "0", "single_source", "C"),
    ],
)  # fmt: skip
def test_a_session_with_everybody_who_tells_it(
    ask, asset: str, day: str, flow: str | None, status: str, missing: int, who: str, apart: str, agreement: str,
    grade: str,
) -> None:  # fmt: skip
    """The published figure, who stands behind it by all three counts, how far they are apart, and the grade."""
    (told,) = ask(
        """select net_flow_usd, obs_status, n_funds_missing, source_id || ' ', n_publishers, n_lineages,
            n_measurements, spread_rel, agreement_status, grade
        from warehouse.marts.fct_etf_flow_agg_daily where asset = $1 and session_date = $2""", asset, day)  # fmt: skip
    source_id, counts = who.split()
    spread = round(Decimal(apart) / abs(Decimal(flow)), 8) if flow and apart != "0" else 0
    assert told == (usd(flow), status, missing, None if source_id == "None" else f"{source_id} ",
                    *map(int, counts.split("/")), spread, agreement, grade)  # fmt: skip


def test_every_lineage_stands_beside_the_published_one(ask) -> None:
    """22 January 2026: four publishers to the letter, of whom one is chosen and none is averaged."""
    told = ask("""select source_id, lineage_root, evidence_kind, value, value_raw
        from warehouse.marts.fct_observation where series_id = 'ETF_FLOW.BTC.TOTAL' and event_date = '2026-01-22'
            and known_to is null order by 1""")  # fmt: skip
    assert [(*row[:3], row[3] / 10**6) for row in told] == [
        ("defillama", "farside", "transcription", Decimal("-32.2")),
        ("farside", "farside", "compilation", Decimal("-32.2")),
        ("press_aicoin", "press_aicoin", "report", Decimal("-32.07")),
        ("sosovalue", "sosovalue", "compilation", Decimal("-32.11")),
    ]
    (others,) = ask("select others from ledger.observation_agreed where series_id = 'ETF_FLOW.BTC.TOTAL' "
                    "and event_date = '2025-09-03'")[0]  # fmt: skip
    assert others == "calendarised 0"  # a copy that spoiled the figure is shown


@pytest.mark.parametrize(
    ("day", "source_id"),
    [("2024-01-13", "calendarised"), ("2024-01-15", "calendarised"), ("2024-01-15", "farside"),
     ("2025-01-09", "farside"), ("2025-04-18", "farside")],
)  # fmt: skip
def test_a_zero_on_a_closed_day_is_a_holiday(ask, day: str, source_id: str) -> None:
    """A Saturday, holidays and a day of mourning: no figure, no session, and nothing to count."""
    told = ask("""select distinct value, obs_status from warehouse.marts.fct_observation where event_date = $1
        and source_id = $2 and series_id like 'ETF_FLOW.BTC.%'""", day, source_id)  # fmt: skip
    assert told == [(None, "holiday")]
    assert ask("select * from warehouse.marts.fct_etf_flow_agg_daily where session_date = $1", day) == []


def test_a_blank_that_became_zero_adds_no_fund(ask) -> None:
    """On the first session ten funds were listed; a zero in the column of an eleventh changes nothing."""
    told = ask("select n_funds_reported, n_funds_listed, net_flow_usd from warehouse.marts.fct_etf_flow_agg_daily "
               "where asset = 'BTC' and session_date = '2024-01-11'")  # fmt: skip
    assert told == [(10, 10, usd("655.3"))]


def test_what_changed_and_why(ask) -> None:
    """A placeholder's figure is a first print, a filling total a completion until the next session closes, then a correction."""
    told = ask("""select event_date, previous_value, value, revision_kind, round(hours_after_event / 24)::int
        from warehouse.marts.fct_revision where series_id = 'ETF_FLOW.BTC.TOTAL' and source_id = 'farside'
            and event_date >= '2026-01-22' order by event_date, known_from""")  # fmt: skip
    assert [(str(d), was, now, kind, days) for d, was, now, kind, days in told] == [
        ("2026-01-22", None, usd("-9.8"), "first_print", 1),
        ("2026-01-22", usd("-9.8"), usd("-32.2"), "completion", 1),
        ("2026-02-03", None, usd("-272"), "first_print", 1),
        ("2026-03-02", usd("39.2"), usd("458.2"), "correction", 12),
        ("2026-04-10", usd("240.4"), usd("256.7"), "completion", 3),
    ]


@pytest.mark.parametrize(
    ("at", "day", "told"),
    [
        # every cell was 0.0 half an hour after the open: not a reading, and not a flow of zero
        ("2026-02-03T16:00Z", "2026-02-03", (None, "not_yet", 0, 11)),
        # three funds of eleven, and for a week nobody knew more
        ("2026-03-10T00:00Z", "2026-03-02", (usd("39.2"), "partial", 3, 11)),
        # the twelfth fund was blank over the weekend
        ("2026-04-12T00:00Z", "2026-04-10", (usd("240.4"), "partial", 11, 12)),
    ],
)
def test_what_was_known_before_it_was_contradicted(settings: Settings, at: str, day: str, told: tuple) -> None:
    """The table's own earlier copies, as a reader of that moment had them."""
    instant = parse_instant(at)
    made = built(settings, f"asof-{instant:%m%d}", instant)
    with duckdb.connect(str(made.warehouse), read_only=True) as con:
        row = con.execute("select net_flow_usd, obs_status, n_funds_reported, n_funds_listed, z60, streak, cum5_usd "
                          "from marts.fct_etf_flow_agg_daily where asset = 'BTC' and session_date = $1", [day])  # fmt: skip
        assert row.fetchall() == [(*told, None, None, None)]


@pytest.mark.parametrize(
    ("what", "rows"),
    [
        ("another compilation's total over the funds", {"FBTC": "-152.1", "IBIT": "-327.6", "TOTAL": "-483.38"}),
        ("the week's flow as one day's", {"FBTC": "-1.9", "IBIT": "-101.6", "TOTAL": "-1328"}),
        ("one cell in thousands", {"FBTC": "-1900", "IBIT": "-101.6", "TOTAL": "-103.5"}),
        ("a total with its sign turned", {"FBTC": "-1.9", "IBIT": "-101.6", "TOTAL": "103.5"}),
    ],
)
def test_a_total_that_is_not_its_funds_is_refused(tmp_path: Path, what: str, rows: dict[str, str]) -> None:
    """Such a page lands, is kept, and never becomes rows."""
    page = farside_page("BTC", {date(2026, 1, 20): {name: Decimal(text) for name, text in rows.items()}})
    settings = home(tmp_path, CLOCK)
    at = parse_instant("2026-01-21T12:00:00Z")
    assert take_in(settings, "farside", "btc", at, page) == "REJECTED", what
    (attempt,) = pipeline.attempts_of(settings.home)
    assert attempt.rule == "G1.identity"


# The rules.


@pytest.mark.parametrize(
    ("day", "source_id", "flow", "status"),
    [
        (26, "split_a", "9.0", "final"),  # both complete: the better-ranked
        (27, "split_b", "18.0", "final"),  # the complete one, though it is ranked lower
        (28, "split_b", "14.0", "final"),  # without the smallest two, against one without the largest
        (29, "split_a", "9.0", "partial"),  # totals alone: a compilation before a copy, whatever its name
    ],
)
def test_which_lineage_is_published(ask, day: int, source_id: str, flow: str, status: str) -> None:
    """As a whole, so that funds and total add up."""
    told = ask("select source_id, net_flow_usd, obs_status from warehouse.marts.fct_etf_flow_agg_daily "
               "where asset = 'ETH' and session_date = $1", date(2026, 1, day))  # fmt: skip
    assert told == [(source_id, usd(flow), status)]
    agreed = ask("select source_id from ledger.observation_agreed where series_id like 'ETF_FLOW.ETH.%' "
                 "and event_date = $1 and source_id != $2", date(2026, 1, day), source_id)  # fmt: skip
    assert not agreed or status == "final", "a total of another lineage than the session's"


def expected(subset: frozenset[str], pattern: str) -> tuple:
    """What a series should carry, from the model's words alone."""
    said = {w: Decimal(text) for w in WITNESSES if w in subset and (text := said_by(w, pattern))}
    heard = {w: v for w, v in said.items() if w != "w_press"}
    lineages = {WITNESSES[w][1] for w in heard}
    measured = {WITNESSES[w][2] for w in heard}
    if not heard:
        return None, len(said), 0, 0, "single_source", "D" if said else None
    first = next(w for w in WITNESSES if w in heard)
    apart = max(heard.values()) - min(heard.values())
    if len(lineages) < 2:
        agreement = "single_source"
    else:
        agreement = "agree" if not apart else "within_tolerance" if apart <= heard[first] / 100 else "conflict"
    if agreement == "conflict":
        grade = "X"
    else:
        grade = "A" if first == "w_origin" or len(measured) >= 2 else "B" if len(lineages) >= 2 else "C"
    return heard[first], len(said), len(lineages), len(measured), agreement, grade


@pytest.fixture(scope="module")
def graded(ask) -> dict[tuple[frozenset[str], str], tuple]:
    """Every series of the witnesses as the ledger tells it."""
    told = {row[0]: row[1:] for row in ask("select series_id, value, n_publishers, n_lineages, n_measurements, "
                                           "agreement_status, grade from ledger.observation_agreed "
                                           "where series_id like 'FX.S%'")}  # fmt: skip
    return {(s, p): told[series_of(s, p)] for s in SUBSETS for p in PATTERNS}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_set_of_witnesses_is_counted_by_root(graded, pattern: str) -> None:
    """127 sets: who is published, publishers, lineages, measurements, agreement and grade."""
    wrong = {
        tuple(sorted(s)): (graded[s, pattern], expected(s, pattern))
        for s in SUBSETS
        if graded[s, pattern] != expected(s, pattern) and expected(s, pattern)[-1]
    }
    assert wrong == {}


def test_removing_evidence_never_raises_a_grade(graded) -> None:
    """For every set and every set within it. A conflict has no place on the ladder; it ends only when one side goes."""
    n = 0
    for (whole, pattern), (*_, agreement, grade) in graded.items():
        for part in (s for s in SUBSETS if s < whole):
            *_, part_agreement, part_grade = graded[part, pattern]
            if grade == "X":
                assert part_agreement == "conflict" or not {"w_table2"} < part - {"w_press"}, (whole, part)
            else:
                n += 1
                assert part_grade >= grade, (sorted(whole), sorted(part), agreement, part_agreement)
    assert n > 4000


def test_two_witnesses_of_one_root_count_once(graded) -> None:
    """A table and its copy: two publishers, one lineage, and no better grade than the table alone."""
    both, alone = graded[frozenset({"w_table1", "w_copy1"}), AGREE], graded[frozenset({"w_table1"}), AGREE]
    assert (both[1], both[2]) == (2, 1)
    assert both[-1] == alone[-1] == "C"
    assert graded[frozenset({"w_table1", "w_press"}), AGREE][1:] == (2, 1, 1, "single_source", "C")
