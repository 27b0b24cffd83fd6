"""The report page in a browser: what it shows is what SQL answers, and nothing of it leaves the file."""

import json
import re
import shutil
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from include import pipeline
from include.answers import report
from include.answers.reader import connect, query
from include.settings import load
from include.warehouse import journal, publish
from tests.browser import Watched, chromium
from tests.conftest import capmig

DRAWN = "document.documentElement.dataset.drawn === 'yes'"
MINUS = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def index(pack_home: Path) -> Path:
    """The page that the publish of the pack wrote."""
    return pack_home / "serve" / pipeline.REPORT


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def _open(browser: Browser, path: Path, *, width: int = 1280, **options) -> Watched:
    watched = Watched(browser.new_context(viewport={"width": width, "height": 900}, **options))
    watched.page.goto(path.as_uri())
    if options.get("java_script_enabled", True):
        watched.page.wait_for_function(DRAWN, timeout=60_000)
    return watched


def _go(page, instant: str) -> str:
    """Move the slider to the newest stop at or before `instant`; the instant that the page names."""
    stops = [s["text"] for s in json.loads(page.locator("#vintages").text_content())["stops"]]
    number = max(n for n, text in enumerate(stops) if text <= instant)
    page.locator("#step").evaluate(
        "(range, n) => { range.value = n; range.dispatchEvent(new Event('input', {bubbles: true})); }", number
    )
    return page.locator("#instant").text_content()


def _shown(page, asset: str) -> dict[str, tuple[str, str, str]]:
    rows = page.locator(f"table[data-figure='flow-{asset}'] tbody tr").all()
    return {
        row.locator("[data-column=session_date]").text_content(): tuple(
            row.locator(f"[data-column={c}]").text_content() for c in ("net_flow_usd", "obs_status", "n_funds_reported")
        )
        for row in rows
    }


def test_it_is_one_small_file_of_the_served_version(pack_home: Path, index: Path) -> None:
    """Under 3 MB, named by the version, and equal bytes when it is made again."""
    served = publish.current(pack_home)
    html = index.read_bytes()
    assert len(html) < 3_000_000
    assert f'<meta name="version" content="{served.seq}">'.encode() in html
    assert report.page(served.path / publish.FILE, cache=pack_home / "build" / "cache") == html
    assert f"REPORT {index}" in (pack_home / "ready").read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_accessible_quiet_and_fits(browser: Browser, index: Path, scheme: str, width: int) -> None:
    """No finding of axe, no console error, no request beyond the file, no sideways scroll."""
    watched = _open(browser, index, width=width, color_scheme=scheme)
    page = watched.page
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa"]})
    assert found.violations_count == 0, found.generate_report()
    assert page.locator(".chart svg").count() == page.locator(".chart").count() >= 5
    assert watched.errors == []
    assert watched.requests == [index.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_its_first_paint_comes_within_a_second(browser: Browser, index: Path) -> None:
    """From disk, the chart runtime inlined; the best of five, since the machine may be busy with something else."""
    paint = "performance.getEntriesByType('paint').map(e => e.startTime)"
    starts = [min(_open(browser, index).page.evaluate(paint)) for _ in range(5)]
    assert min(starts) < 1000


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        ("2026-01-23 03:07:00", (f"{MINUS}9.8", "partial", "10 of 11")),
        ("2026-01-23 05:07:00", (f"{MINUS}32.2", "final", "11 of 11")),
        ("2026-01-23 01:00:00", None),
        ("2026-01-28 19:00:00", None),
    ],
)
def test_the_slider_shows_what_was_known_then(
    browser: Browser, pack_home: Path, index: Path, instant: str, expected: tuple | None
) -> None:
    """Every session at an instant equals the interval query over the versions, written out here once more."""
    page = _open(browser, index).page
    assert _go(page, instant) <= f"{instant} UTC"
    with connect(publish.served_file(pack_home)) as con:
        for asset in ("BTC", "ETH"):
            shown = _shown(page, asset)
            assert len(shown) == 10
            answers = query(con, f"""
                select session_date::varchar, sum(net_flow_usd), count(*) from marts.fct_etf_flow_daily
                where asset = '{asset}' and ticker != 'TOTAL' and is_published_lineage and net_flow_usd is not null
                    and known_from <= timestamptz '{instant}Z'
                    and (known_to is null or timestamptz '{instant}Z' < known_to)
                group by all""").fetchall()  # fmt: skip
            known = {day: (usd, n) for day, usd, n in answers if day in shown}
            assert known
            for day, (flow, status, funds) in shown.items():
                usd, n = known.get(day, (None, 0))
                told = Decimal(flow.replace(MINUS, "-")) * 1_000_000 if flow else None
                assert (told, funds.split(" ")[0]) == (usd, str(n) if n else ""), (asset, day)
                assert (status == "not yet") == (usd is None)
    if expected:
        assert _shown(page, "BTC")["2026-01-22"] == expected
        assert " ".join((expected[0], "m USD,", expected[1])) in page.locator("#told").text_content()


def test_the_slider_agrees_with_a_build_as_known_then(browser: Browser, pack_home: Path, index: Path) -> None:
    """The page's interval query and `capmig sql --as-of` say the same of every session, status included."""
    page = _open(browser, index).page
    _go(page, "2026-01-23 03:07:00")
    done = capmig(pack_home, "sql", "--as-of", "2026-01-23T03:07Z", "--format", "json",
                  "select asset, session_date, net_flow_usd, obs_status, n_funds_reported, n_funds_listed "
                  "from marts.fct_etf_flow_agg_daily where net_flow_usd is not null")  # fmt: skip
    assert done.returncode == 0, done.stderr
    built = {(r["asset"], r["session_date"]): r for r in json.loads(done.stdout, parse_float=Decimal)}
    for asset in ("BTC", "ETH"):
        for day, (flow, status, funds) in _shown(page, asset).items():
            row = built.get((asset, day))
            said = row and (report.millions(Decimal(row["net_flow_usd"])), row["obs_status"],
                            f"{row['n_funds_reported']} of {row['n_funds_listed']}")  # fmt: skip
            assert (flow, status, funds) == (said or ("", "not yet", "")), (asset, day)


def test_every_query_gives_the_figure_beside_it(browser: Browser, pack_home: Path, index: Path) -> None:
    """Each copied query, run, answers the cells of its table or card, value by value."""
    page = _open(browser, index).page
    figures = page.evaluate("""[...document.querySelectorAll('[data-query]')].map(f => ({
        name: f.dataset.figure, sql: document.getElementById(f.dataset.query).textContent,
        rows: (f.tagName === 'TABLE' ? [...f.querySelectorAll('tbody tr')] : [f]).map(
            r => [...r.querySelectorAll('[data-value]')].map(c => [c.dataset.column, c.dataset.value]))}))""")
    names = {f["name"] for f in figures}
    assert {"headline-1", "open", "flow-BTC", "flow-ETH", "first-BTC", "profile", "rates", "migration", "channels",
            "incidents", "rules", "coverage", "gate-counts", "gate", "changes", "sources"} <= names  # fmt: skip
    with connect(publish.served_file(pack_home)) as con:
        for figure in figures:
            cursor = query(con, figure["sql"])
            columns = [c[0] for c in cursor.description]
            answers = [dict(zip(columns, map(report.exact, row), strict=True)) for row in cursor.fetchall()]
            if figure["name"].startswith(("flow-", "first-")):
                answers = [a for a in answers if a["asset"] == figure["name"].split("-")[1]]
            assert figure["rows"] and len(figure["rows"]) <= len(answers), figure["name"]
            for shown, answer in zip(figure["rows"], answers, strict=False):
                assert shown and all(answer[column] == value for column, value in shown), (figure["name"], shown)


def test_the_newest_label_says_why_and_an_empty_table_says_so(
    browser: Browser, pack_home: Path, index: Path, tmp_path: Path
) -> None:
    """The reason stands above the sessions, once; where a mart has no row there is a sentence, not an empty head."""
    with connect(publish.served_file(pack_home)) as con:
        day, *said = query(con, "select session_date::varchar, label, label_reason, would_change_it from "
                           "marts.mart_capital_migration_daily order by session_date desc limit 1").fetchone()  # fmt: skip
    text = _open(browser, index).page.locator("#migration .lead").nth(1).text_content()
    assert text.startswith(day) and all(report.minus(words) in text for words in said)
    copy = tmp_path / "warehouse.duckdb"
    shutil.copyfile(publish.served_file(pack_home), copy)
    copy.chmod(0o644)
    with duckdb.connect(str(copy)) as con:
        for table in ("mart_capital_migration_daily", "fct_security_incident"):
            con.execute(f"delete from marts.{table}")
    path = tmp_path / "index.html"
    path.write_bytes(report.page(copy, cache=pack_home / "build" / "cache"))
    page = _open(browser, path).page
    said = [page.locator(f"#{s} .note", has_text="Nothing on record.").count() for s in ("migration", "events")]
    assert said == [1, 2]  # of documents there is nothing on the bundled record either
    assert page.locator("table[data-figure=incidents]").count() == 0


def test_the_copied_query_follows_the_slider(browser: Browser, index: Path) -> None:
    """The button copies the query with the instant that is shown."""
    watched = _open(browser, index, permissions=["clipboard-read", "clipboard-write"])
    _go(watched.page, "2026-01-23 03:07:00")
    watched.page.locator("[data-copies=sql-flow-BTC]").click()
    copied = watched.page.evaluate("navigator.clipboard.readText()")
    assert "timestamptz '2026-01-23T03:07:00.000000Z'" in copied
    assert watched.page.locator("[data-copies=sql-flow-BTC]").text_content() == "Copied"


def test_it_is_worked_by_keyboard(browser: Browser, index: Path) -> None:
    """The range takes arrow keys and home; the scheme button is a button."""
    page = _open(browser, index, color_scheme="light").page
    last = page.locator("#instant").text_content()
    page.locator("#step").focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#instant").text_content() < last
    page.keyboard.press("Home")
    assert "nothing yet" in page.locator("#told").text_content()
    paper = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(paper)
    page.locator("#scheme").focus()
    page.keyboard.press("Enter")
    assert page.evaluate(paper) != before


def test_without_javascript_every_figure_is_there(browser: Browser, index: Path) -> None:
    """The note says what rests; tables and queries are whole, and nothing that cannot work is shown."""
    page = _open(browser, index, java_script_enabled=False).page
    assert page.locator("noscript").inner_text().startswith("JavaScript is off")
    assert page.locator("table[data-figure='flow-BTC'] tbody tr").count() == 10
    assert _shown(page, "BTC")["2026-01-22"] == (f"{MINUS}32.2", "final", "11 of 11")
    assert [e for e in page.locator(".copy, #slider, #scheme, .chart").all() if e.is_visible()] == []
    page.locator("details").first.locator("summary").click()
    assert page.locator("details pre").first.is_visible()


def test_it_says_its_age_from_its_cutoff(browser: Browser, index: Path) -> None:
    """The age is counted in the browser, so an old page says that it is old."""
    page = _open(browser, index).page
    cutoff = page.locator("#age").get_attribute("data-cutoff")
    days = page.evaluate("t => Math.floor((Date.now() - Date.parse(t)) / 86400000)", cutoff)
    assert page.locator("#age").text_content() == f"{days} days since then: old"
    assert re.match(r"\d{4}-\d\d-\d\dT", cutoff)


HOSTILE = (
    '</script><script>document.title="stolen"</script><img src=x onerror="document.title=\'stolen\'">\u2028${1}{{7*7}}'
)


def test_text_of_a_source_never_runs(browser: Browser, pack_home: Path, tmp_path: Path) -> None:
    """A reason, a name and a value that are markup are shown as text, in tables, charts and queries."""
    copy = tmp_path / "warehouse.duckdb"
    shutil.copyfile(publish.served_file(pack_home), copy)
    copy.chmod(0o644)
    with duckdb.connect(str(copy)) as con:
        for table, column in (("marts.mart_daily_brief", "reading"), ("marts.mart_daily_brief", "headline"),
                              ("marts.mart_daily_brief", "value_text"), ("marts.mart_coverage_calendar", "state_reason"),
                              ("marts.mart_coverage_calendar", "feed"), ("ops.fct_gate_result", "evidence"),
                              ("ops.fct_gate_result", "subject"), ("marts.dim_source", "title"),
                              ("marts.fct_etf_flow_agg_daily", "agreement_status")):  # fmt: skip
            con.execute(f"update {table} set {column} = ?", [HOSTILE])
    path = tmp_path / "index.html"
    path.write_bytes(report.page(copy, cache=pack_home / "build" / "cache"))
    watched = _open(browser, path)
    assert watched.page.title().startswith("Capital migration report")
    assert HOSTILE[:40] in watched.page.locator("table[data-figure=gate]").text_content()
    assert (watched.errors, watched.requests) == ([], [path.as_uri()])
    assert watched.page.locator("img").count() == 0
    watched.page.evaluate(
        "const s = document.createElement('script'); s.textContent = 'document.title = 1'; document.body.append(s)"
    )
    assert watched.page.title().startswith("Capital migration report"), "the policy lets foreign script run"


def test_a_report_that_fails_leaves_the_publish_and_is_told(pack_home: Path, tmp_path: Path, monkeypatch) -> None:
    """The served version stays, the old page stays whole, the failure is recorded; the next attempt repairs it."""
    home = tmp_path / "home"
    shutil.copytree(pack_home, home)
    monkeypatch.setenv("WAREHOUSE_HOME", str(home))
    settings = load()
    page, served = home / "serve" / pipeline.REPORT, publish.current(home)
    before = page.read_bytes()
    runtime = next((home / "build" / "cache").glob("vega-*.js"))
    kept = runtime.read_bytes()
    runtime.unlink()
    runtime.mkdir()  # the runtime cannot be read
    assert pipeline.report_step(settings) is False
    assert pipeline.report_step(settings) is False  # told once: a check has one result a run
    assert (page.read_bytes(), publish.current(home).seq) == (before, served.seq)
    told = [r for r in journal.rows(home, "gate_result") if r["rule_id"] == "G0.report"]
    assert len(told) == 1 and told[0]["outcome"] == "label" and "directory" in told[0]["evidence"].lower()
    page.unlink()
    assert "REPORT not of version" in pipeline.run_summary(settings, pipeline.state_of(settings))
    runtime.rmdir()
    runtime.write_bytes(kept)
    assert pipeline.report_step(settings) is True
    assert page.read_bytes() == before
    assert publish.verify(home) == []


def test_a_slow_report_does_not_overtake_a_later_publish(pack_home: Path, tmp_path: Path) -> None:
    """A page of a version that is no longer served is dropped."""
    home = tmp_path / "home"
    shutil.copytree(pack_home / "serve", home / "serve")
    seq = publish.current(home).seq
    before = (home / "serve" / pipeline.REPORT).read_bytes()
    assert publish.place(home, seq + 1, pipeline.REPORT, b"later") is False
    assert (home / "serve" / pipeline.REPORT).read_bytes() == before
    assert publish.place(home, seq, pipeline.REPORT, b"mine") is True
    assert (home / "serve" / pipeline.REPORT).read_bytes() == b"mine"
    assert list((home / "serve").rglob(".tmp-*")) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("-32200000.00", f"{MINUS}32.2"),
        ("0.00", "0.0"),
        ("1234567890.12", "1234.56789012"),
        ("-100000000", f"{MINUS}100.0"),
    ],
)
def test_millions_are_exact(value: str, text: str) -> None:
    """No digit is lost or made up, and there is always one after the point."""
    assert report.millions(Decimal(value)) == text


def test_no_figure_is_never_zero() -> None:
    """Nothing known is nothing shown."""
    assert (report.millions(None), report.exact(None), report.moment(None)) == ("", "", "")
    assert report.lead(None) == ("no figure", "")
    assert report.moment(datetime(2026, 1, 23, 3, 7)) == "2026-01-23 03:07:00"  # noqa: DTZ001
