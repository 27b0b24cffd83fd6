"""A bank's own words take the place of the transcription: statements, notes and series that no bundled record holds.

The pages are the recorded cases of the sources, taken in as a person would, and built by the real path.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from include import pipeline
from include.core.source import Window
from include.replay import PACK_CLOCK
from include.warehouse.build import run_dbt
from tests.e2e.declared import built, home, land_curated, take_in
from tests.faults.wire import Wire, answer, in_turn
from tests.sources.wire import CASES

PAGES = [
    ("boj", "call", "call__ordinary.json", datetime(2026, 1, 23, 0, 50, tzinfo=UTC)),
    ("nyfed", "effr", "effr__ordinary.json", datetime(2026, 1, 23, 14, 1, tzinfo=UTC)),
    ("boj_policy", "statement", "statement__news.xml", datetime(2026, 1, 23, 3, 45, tzinfo=UTC)),
    ("boj_policy", "statement", "statement__ordinary.pdf", datetime(2026, 1, 23, 3, 15, tzinfo=UTC)),
    ("boj_policy", "statement", "statement__raised.pdf", datetime(2026, 1, 23, 3, 16, tzinfo=UTC)),
    ("boj_policy", "statement", "statement__negative_rate.pdf", datetime(2026, 1, 23, 3, 17, tzinfo=UTC)),
    ("fed", "statement", "statement__split.html", datetime(2026, 1, 28, 19, 5, tzinfo=UTC)),
    ("fed", "statement", "statement__note.html", datetime(2026, 1, 28, 19, 6, tzinfo=UTC)),
]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Curated rows, and on top of them what the banks themselves published. Its data tests pass."""
    settings = home(tmp_path_factory.mktemp("policy"), PACK_CLOCK)
    land_curated(settings)
    for feed in ("policy_vote", "policy_expectation", "entity", "event_instant"):
        pipeline.land(settings, "curated", feed, run_id="curated")
    for source_id, feed, case, at in PAGES:
        assert take_in(settings, source_id, feed, at, (CASES / source_id / case).read_bytes()) == "LANDED", case
    made = built(settings, "policy")
    tested = run_dbt(made, ["test", "--select", "path:models/marts/policy", "--exclude-resource-type", "unit_test"],
                     threads=2)  # fmt: skip
    assert [str(n.status) for n in tested].count("pass") == 4  # one of each table; and one that fails is an error
    return made.warehouse


def ask(warehouse: Path, sql: str) -> list[tuple]:
    """Rows of a statement, instants in UTC."""
    with duckdb.connect(str(warehouse), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        return con.execute(sql).fetchall()


DECISION = """select source_id, evidence_kind, grade, needs_primary, decided_at, effective_date, rate_before_pct,
    change_bp, votes_for, votes_against, n_members from marts.fct_policy_decision where meeting_id = '{}'"""


def test_the_gap_of_what_is_paid_overnight_comes_out_with_the_call_rate(warehouse: Path) -> None:
    """EFFR minus call rate on days that have both, and on no other."""
    rows = ask(warehouse, "select event_date, diff_effective_bp from marts.fct_rate_differential_daily "
                          "where diff_effective_bp is not null order by event_date")  # fmt: skip
    assert [(str(day), gap) for day, gap in rows] == [("2026-01-21", Decimal("291.3"))]


def test_the_statement_of_japan_is_told_as_an_origin(warehouse: Path) -> None:
    """Held: its own sentence, its own stamp before the one in the list of news, its nine members."""
    (told,) = ask(warehouse, DECISION.format("BOJ.2026-01-23"))
    assert told == ("boj_policy", "origin", "A", False, datetime(2026, 1, 23, 3, 7, tzinfo=UTC), None, Decimal("0.75"),
                    0, 8, 1, 9)  # fmt: skip
    votes = ask(warehouse, "select source_id, member_id, official_name, preferred_rate_pct from marts.fct_policy_vote "
                           "where meeting_id = 'BOJ.2026-01-23' and vote = 'against'")  # fmt: skip
    assert votes == [("boj_policy", "takata_hajime", "TAKATA Hajime", 1)]


def test_a_rate_that_a_statement_does_not_say_is_the_one_of_the_meeting_before(warehouse: Path) -> None:
    """Raised: from October's rate, in force on Monday, by nobody's number but nine names."""
    (told,) = ask(warehouse, DECISION.format("BOJ.2025-12-19"))
    assert told[:4] == ("boj_policy", "origin", "A", False)
    assert str(told[5]) == "2025-12-22" and told[6:] == (Decimal("0.5"), 25, 9, 0, 9)


def test_a_statement_that_needs_a_reader_leaves_the_transcription_and_says_why(warehouse: Path) -> None:
    """January 2024: a negative rate, which no sentence of the guideline tells."""
    (told,) = ask(warehouse, "select source_id, needs_primary, needs_review, rate_after_pct "
                             "from marts.fct_policy_decision where meeting_id = 'BOJ.2024-01-23'")  # fmt: skip
    assert told == ("curated", True, "the rate of the guideline is not said", Decimal("-0.1"))


def test_the_american_split_names_dissenters_only_and_the_note_says_from_when(warehouse: Path) -> None:
    """No member is counted who is not named; the day of effect comes from the other page."""
    (told,) = ask(warehouse, DECISION.format("FOMC.2026-01-28"))
    assert told[:5] == ("fed", "origin", "A", False, datetime(2026, 1, 28, 19, 0, tzinfo=UTC))
    assert str(told[5]) == "2026-01-29" and told[7:] == (0, 9, 3, None)
    votes = ask(warehouse, "select member_id, vote, preferred_rate_pct from marts.fct_policy_vote "
                           "where meeting_id = 'FOMC.2026-01-28' order by member_id")  # fmt: skip
    raise_ = Decimal("3.875")
    assert votes == [(m, "against", raise_) for m in ("hammack_beth", "kashkari_neel", "logan_lorie")]


def test_a_surprise_is_told_by_kind_and_is_no_gap_unless_two_kinds_say_so(warehouse: Path) -> None:
    """23 January 2026: +4.1 and +0.75 expected, nothing decided."""
    rows = ask(warehouse, "select expectation_kind, expected_change_bp, surprise_bp, grade, n_buckets "
                          "from marts.fct_policy_expectation order by 1")  # fmt: skip
    assert [(kind, round(e, 2), round(s, 2), grade, n) for kind, e, s, grade, n in rows] == [
        ("poll", Decimal("0.75"), Decimal("-0.75"), "D", 2),
        ("prediction_market", Decimal("4.11"), Decimal("-4.11"), "D", 4),
    ]
    (line,) = ask(warehouse, "select unusual, grade from marts.mart_daily_brief where headline like 'Surprise of%'")
    assert line == ("no gap of expectations: over 5 bp by 0 of 2 kinds", "D")
    (last,) = ask(warehouse, "select who_says_it, would_change_it from marts.mart_daily_brief "
                             "where headline like 'Last decision of the BOJ%'")  # fmt: skip
    assert last == ("boj_policy (origin of boj)", "a correction by the bank")


@pytest.mark.parametrize(
    ("source_id", "at", "cases", "paths"),
    [
        (
            "boj_policy",
            datetime(2026, 1, 23, 5, 0, tzinfo=UTC),
            ["statement__news.xml", "statement__ordinary.pdf"],
            ["/en/rss/whatsnew.xml", "/en/mopo/mpmdeci/mpr_2026/k260123a.pdf"],
        ),
        (
            "fed",
            datetime(2026, 1, 28, 20, 0, tzinfo=UTC),
            ["statement__news.xml", "statement__ordinary.html", "statement__note.html"],
            ["/feeds/press_monetary.xml", *(f"/newsevents/pressreleases/monetary20260128{x}.htm" for x in ("a", "a1"))],
        ),
    ],
)
def test_a_fetch_goes_from_the_news_to_the_statement_and_its_note(
    tmp_path: Path, source_id: str, at: datetime, cases: list[str], paths: list[str]
) -> None:
    """Over HTTP: each page once, in this order, and every one of them landed."""
    bodies = [(CASES / source_id / case).read_bytes() for case in cases]
    with Wire(in_turn([answer(body) for body in bodies])) as wire:
        settings = home(tmp_path / "home", at, base_urls={source_id: wire.url})
        attempts = pipeline.land(settings, source_id, "statement", run_id="fetch",
                                 window=Window(date(2026, 1, 1), date(2026, 2, 1), at))  # fmt: skip
    assert [head.split(b" ")[1].decode() for head in wire.heads] == paths
    assert [attempt.outcome for attempt in attempts] == ["LANDED"] * len(paths)
