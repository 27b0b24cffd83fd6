"""Statements of central banks: what leads to them, and what is refused beside the recorded cases."""

import re
from datetime import UTC, date, datetime

import pytest

from include.core.errors import ContractError
from include.core.source import Feed, Request, Window
from include.sources import registry
from tests.sources.statements import (
    BOJ_HELD,
    BOJ_NEWS,
    BOJ_SITE,
    CASES,
    FED_HELD,
    FED_NEWS,
    RECORDED,
    STATEMENT,
    article,
    news,
    pdf,
)
from tests.sources.wire import SEEN, payload

BOJ, FED = "/en/mopo/mpmdeci/mpr_{d:%Y}/k{d:%y%m%d}a.pdf", "/newsevents/pressreleases/monetary{d:%Y%m%d}a.htm"


def feed(source_id: str) -> Feed:
    """The feed of a bank's statements."""
    return registry()[source_id].feed("statement")


def said(source_id: str, body: bytes) -> dict[str, str]:
    """Kind and attribute of every row of the meeting itself, with its text."""
    rows = feed(source_id).parse(payload(body)).rows
    return {f"{r.kind} {r.attribute}": r.value_raw for r in rows if "#" not in r.event_id}


def test_the_recorded_cases_are_what_the_sentences_make() -> None:
    """Each file is written by the generator, so that a changed sentence cannot leave an old case behind."""
    assert all((CASES / name).read_bytes() == body for name, body in RECORDED.items())
    stated = {str(p.relative_to(CASES)) for s in ("boj_policy", "fed") for p in (CASES / s).glob("statement__*")}
    assert {name for name in stated if not name.endswith((".expected.csv", ".refused"))} == RECORDED.keys()


@pytest.mark.parametrize(
    ("source_id", "path", "meeting", "before", "out"),
    [
        ("boj_policy", BOJ, date(2026, 1, 23), datetime(2026, 1, 23, 4, 29, tzinfo=UTC), "/en/rss/whatsnew.xml"),
        ("fed", FED, date(2026, 1, 28), datetime(2026, 1, 28, 19, 29, tzinfo=UTC), "/feeds/press_monetary.xml"),
    ],
)
def test_a_window_asks_the_news_and_the_meetings_that_are_due(
    source_id: str, path: str, meeting: date, before: datetime, out: str
) -> None:
    """The statement of a meeting day is asked by its day from the hour at which it is out at the latest."""
    asks = feed(source_id).requests
    window = (date(2026, 1, 1), date(2026, 2, 1))
    assert list(asks(Window(*window, before))) == [Request(out)]
    after = before.replace(minute=31)
    assert list(asks(Window(*window, after))) == [Request(out), Request(path.format(d=meeting))]
    assert len(list(asks(Window(date(2024, 1, 1), date(2026, 2, 1), after)))) == 18


def test_the_news_lead_to_a_meeting_that_no_schedule_names() -> None:
    """And to none that is asked for anyway; what is no statement, or no list at all, leads nowhere."""
    boj, fed = feed("boj_policy"), feed("fed")
    unknown = ("Change", f"{BOJ_SITE}mopo/mpmdeci/mpr_2027/k270122a.pdf", "Fri, 22 Jan 2027 12:10:00 +0900")
    (asked,) = boj.requests(Window(date(2027, 1, 1), date(2027, 2, 1), datetime(2027, 1, 22, 5, 0, tzinfo=UTC)))
    assert boj.follow(asked, news(unknown, *BOJ_NEWS)) == Request(BOJ.format(d=date(2027, 1, 22)))
    assert boj.follow(asked, news(*BOJ_NEWS)) is None
    assert boj.follow(asked, news(BOJ_NEWS[2])) is None
    assert boj.follow(asked, b"<html>") is None
    assert boj.follow(Request(BOJ.format(d=date(2027, 1, 22))), pdf(BOJ_HELD)) is None
    surprise = [part.replace("20260128", "20260203").replace("28 Jan", "03 Feb") for part in FED_NEWS[0]]
    statement = fed.follow(Request("/feeds/press_monetary.xml"), news(tuple(surprise), FED_NEWS[1]))
    assert statement == Request(FED.format(d=date(2026, 2, 3)))
    note = fed.follow(statement, b"")
    assert note == Request(FED.format(d=date(2026, 2, 3)).replace("a.htm", "a1.htm"))
    assert fed.follow(note, b"") is None


@pytest.mark.parametrize(
    ("found", "instead", "why"),
    [
        ("by an 8-1 majority vote", "by a majority vote", "the vote on the guideline is not said"),
        ("and MASU Kazuyuki", "and Masu K.", "a name that cannot be read"),
        ("KOEDA Junko, and MASU Kazuyuki", "KOEDA Junko", "a vote of 8-1 with 7 and 1 names"),
        ("KOEDA Junko, and", "TAKATA Hajime, and", "a member is named twice"),
        ("[Note 1] Voting for", "Voting in favour of", "a majority vote without names"),
        ("Statement on Monetary Policy\n1.", "Change in the Guideline\n1.", "in effect from no day"),
        (
            "2. Japan",
            "The new guideline will be effective from January 26, 2026.\n2. Japan",
            "in effect from 2026-01-26",
        ),
    ],
)
def test_a_japanese_statement_that_disagrees_with_itself_gives_no_figure(found: str, instead: str, why: str) -> None:
    """Rate sentence, vote, names and the day it takes effect: a reason for a person, and nothing that looks like data."""
    assert found in BOJ_HELD
    told = said("boj_policy", pdf(BOJ_HELD.replace(found, instead)))
    assert set(told) == {f"REVIEW {name}" for name in ("meeting_id", "bank", "needs_review", "url")}
    assert why in told["REVIEW needs_review"]


@pytest.mark.parametrize(
    ("found", "instead", "why"),
    [
        ("3\u20113/4 percent", "4 percent", "maintain by nothing to 3-1/2 to 4"),
        ("at 3", "by 1/4 percentage point to 3", "maintain by 1/4"),
        ("Voting for the monetary policy action were", "Absent were", "0 votes for and 2 against"),
        ("Neel Kashkari; ", "kashkari; ", "a name that cannot be read"),
        ("Neel Kashkari; ", "Stephen I. Miran; ", "a member is named twice"),
        ("; Neel Kashkari; Lorie K. Logan; and Anna Paulson", "; A. Able; B. Baker; C. Charles; D. Dog; E. Easy", ""),
    ],
)
def test_an_american_statement_that_disagrees_with_itself_gives_no_figure(found: str, instead: str, why: str) -> None:
    """A band of a quarter point, a step that fits its verb, each voter once, no more voters than the committee has."""
    assert found in FED_HELD
    told = said("fed", article(STATEMENT, "January 28, 2026", FED_HELD.replace(found, instead)))
    assert set(told) == {f"REVIEW {name}" for name in ("meeting_id", "bank", "needs_review", "url")}
    assert why in told["REVIEW needs_review"]


def test_a_band_in_japan_and_a_single_rate_are_told_apart() -> None:
    """From March to July 2024 the guideline was a band: its ends, and no single rate."""
    told = said("boj_policy", pdf(BOJ_HELD.replace("around 0.75 percent", "around 0 to 0.1 percent")))
    assert {k: v for k, v in told.items() if "rate_after" in k} == {
        "DECISION rate_after_lower_pct": "0", "DECISION rate_after_upper_pct": "0.1",
    }  # fmt: skip


def test_a_statement_of_tomorrow_and_another_encoding_are_refused() -> None:
    """Rows 28 and 33 of the fault matrix, for sentences."""
    page = RECORDED["fed/statement__ordinary.html"]
    later = page.replace(b"January 28, 2026", b"February 4, 2026")
    bad = [
        ("boj_policy", pdf(BOJ_HELD.replace("January 23, 2026", "February 4, 2026")), "G1.future"),
        ("fed", later, "G1.future"),
        ("fed", page.decode().encode("utf-16"), "G1.encoding"),
        ("fed", page[:200] + b"\xff\xff" + page[200:], "G1.encoding"),
        ("boj_policy", pdf("\n".join(f"page {n}" for n in range(61 * 46))), "G1.too_large"),
        ("boj_policy", pdf("\n"), "G1.empty"),
    ]
    for source_id, body, rule in bad:
        with pytest.raises(ContractError) as caught:
            feed(source_id).parse(payload(body, SEEN))
        assert caught.value.rule == rule
    assert re.search("February 4", later.decode())
