"""Superset as a reader meets it: started by the command of `make bi`, looked at in a browser, compared with `capmig sql`.

Superset needs an environment of its own, of 0.7 GB, that `make bi` (or `make soak`) installs as .venv-bi.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import yaml
from playwright.sync_api import BrowserContext, Page

from tests.browser import Watched, chromium
from tests.conftest import capmig

ROOT = Path(__file__).resolve().parents[2]
ASSETS = ROOT / "include" / "bi" / "assets"
PYTHON = Path(os.environ.get("BI_PYTHON", ROOT / ".venv-bi" / "bin" / "python"))


def _assets(kind: str) -> dict[str, dict]:
    return {p.stem: yaml.safe_load(p.read_text()) for p in sorted((ASSETS / kind).glob("*.yaml"))}


PROVENANCE = {"grade", "n_lineages", "n_measurements", "known_from"}


def test_every_tile_says_grade_source_count_and_age() -> None:
    """A table lists them; a chart's legend names grade and counts, and the table beside it the age."""
    datasets = {d["uuid"]: d for d in _assets("datasets").values()}
    about_itself = {"coverage", "gate", "publication"}
    charts = {c["uuid"]: c for c in _assets("charts").values()}
    for chart in charts.values():
        dataset = datasets[chart["dataset_uuid"]]
        if dataset["table_name"] in about_itself:
            continue
        shown = set(chart["params"].get("all_columns", []))
        if chart["viz_type"] == "table":
            told = PROVENANCE & {c["column_name"] for c in dataset["columns"]}
            assert told | {"grade", "known_from", "age_h"} <= shown, chart["slice_name"]
        else:
            # a step that is drawn before its poll would show what nobody knew yet
            assert chart["params"].get("seriesType") == ("end" if chart["viz_type"].endswith("step") else None)
            assert chart["params"]["groupby"] == ["label"] and "grade" in dataset["sql"], chart["slice_name"]
    on_a_dashboard = set()
    for dashboard in _assets("dashboards").values():
        for row in (p for p in dashboard["position"].values() if isinstance(p, dict) and p["type"] == "ROW"):
            tiles = [dashboard["position"][c]["meta"] for c in row["children"]]
            assert sum(t["width"] for t in tiles) <= 12
            on_a_dashboard |= {t["uuid"] for t in tiles if "uuid" in t}
    assert on_a_dashboard == set(charts)


def test_datasets_select_and_format(pack_home: Path) -> None:
    """No dataset aggregates; each gives exactly the columns that it declares, keeps the rows of its table and what they say
    of themselves, and refers to no schema but marts and ops. UUIDs are written down, so that a second import changes
    what is there."""
    seen: set[str] = set()
    for kind in ("databases", "datasets", "charts", "dashboards"):
        for asset in _assets(kind).values():
            assert asset["uuid"] not in seen
            seen.add(asset["uuid"])
    with _reading(pack_home) as con:
        for name, dataset in _assets("datasets").items():
            sql = dataset["sql"]
            assert not re.search(
                r"\b(sum|avg|count|min|max|median)\s*\(|group by|distinct\s*\(|over\s*\(", sql, re.I
            ), name
            assert set(re.findall(r"(?<!distinct )\b(?:from|join)\s+(\w+)\.", sql)) <= {"marts", "ops"}, name
            columns = [c[0] for c in con.execute(f"describe {sql}").fetchall()]
            assert columns == [c["column_name"] for c in dataset["columns"]], name
            table, condition = _table(sql)
            rows = con.execute(f"select count(*) from {table} as x where {condition}").fetchone()[0]
            assert con.execute(f"select count(*) from ({sql})").fetchone()[0] == (rows or 1), name
            of_the_mart = {c[0] for c in con.execute(f"describe {table}").fetchall()}
            assert PROVENANCE & of_the_mart <= set(columns), name


def test_no_tile_is_a_blank_box(pack_home: Path) -> None:
    """Each has rows on the record; where a mart has none, or would have none, there is one that says so."""
    datasets = {d["uuid"]: d for d in _assets("datasets").values()}
    with _reading(pack_home) as con:
        for name, chart in _assets("charts").items():
            sql = datasets[chart["dataset_uuid"]]["sql"]
            where = " and ".join(f"({_condition(f)})" for f in chart["params"]["adhoc_filters"]) or "true"
            assert con.execute(f"from ({sql}) where {where} limit 1").fetchall(), name
            if "left join marts." in sql and "from marts." not in sql:
                emptied = re.sub(r"( as x on ).+", r"\1false", sql, count=1)
                rows = con.execute(f"from ({emptied}) where {where}").fetchall()
                assert len(rows) == 1 and "on record" in str(rows[0]), name


def test_each_headline_stands_on_one_subject(pack_home: Path) -> None:
    """A dashboard of a subject begins with what the brief says of it."""
    with _reading(pack_home) as con:
        shown = [
            row
            for name, chart in _assets("charts").items()
            if name.endswith("_findings")
            for row in con.execute(
                "select headline from marts.mart_daily_brief where "
                + " and ".join(f"({_condition(f)})" for f in chart["params"]["adhoc_filters"])
            ).fetchall()
        ]
        brief = con.execute("select headline from marts.mart_daily_brief where section = 'headline'").fetchall()
    assert sorted(shown) == sorted(brief)


def _reading(home: Path) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(str(home / "serve" / "warehouse.duckdb"), read_only=True)
    con.execute("set TimeZone = 'UTC'")
    return con


def _table(sql: str) -> tuple[str, str]:
    """The table that a dataset is of, and which of its rows."""
    table, condition = re.search(r"(?:from|join) ((?:marts|ops)\.\w+)(?: as x)?(?: on (.+))?\n", sql + "\n").groups()
    return table, condition or (sql.partition("\nwhere ")[2] or "true")


def _condition(adhoc: dict) -> str:
    """A chart's filter as SQL."""
    if adhoc["expressionType"] == "SQL":
        return adhoc["sqlExpression"]
    value = adhoc["comparator"]
    said = f"({', '.join(map(repr, value))})" if isinstance(value, list) else "" if value is None else repr(value)
    return f"{adhoc['subject']} {adhoc['operator'].replace('==', '=')} {said}"


@dataclass(slots=True)
class Superset:
    """One that runs: where, of which warehouse, and the browser that has logged in."""

    url: str
    home: Path
    context: BrowserContext
    watched: Watched
    answered: list[str]

    @property
    def page(self) -> Page:
        return self.watched.page

    def ask(self, path: str, body: dict | None = None) -> tuple[int, dict]:
        """Superset's API as the browser's user."""
        if body is None:
            answer = self.context.request.get(self.url + path)
        else:
            token = self.context.request.get(f"{self.url}/api/v1/security/csrf_token/").json()["result"]
            answer = self.context.request.post(self.url + path, data=body,
                                               headers={"X-CSRFToken": token, "Referer": self.url})  # fmt: skip
        return answer.status, answer.json()

    def open(self, slug: str, width: int = 1600) -> None:
        """Open a dashboard, tall enough for every tile, and wait until each has drawn its answer."""
        self.page.set_viewport_size({"width": width, "height": 5600})
        self.page.goto(f"{self.url}/superset/dashboard/{slug}/")
        wanted = len([p for p in _assets("dashboards")[slug]["position"].values() if "CHART" in str(p)[:30]])
        tiles = self.page.locator("[data-test=chart-container], .chart-container")
        self.page.wait_for_function(
            "n => document.querySelectorAll('.dashboard-chart .slice_container').length >= n"
            " && !document.querySelector('.dashboard-chart .loading, [data-test=loading-indicator]')",
            arg=wanted, timeout=120_000,
        )  # fmt: skip
        assert tiles.count() >= wanted
        self.page.wait_for_timeout(1500)  # charts draw their lines slowly, for the eye

    def rows(self, title: str) -> list[dict[str, str]]:
        """What a table tile shows, as text by column heading."""
        tile = self.page.locator(".dashboard-component-chart-holder").filter(
            has=self.page.get_by_text(title, exact=True))  # fmt: skip
        table = tile.locator("table").last
        heads = [" ".join(t.split()) for t in tile.locator("table th").all_inner_texts()]
        heads = heads[: len(table.locator("tbody tr").first.locator("td").all())]
        return [
            dict(zip(heads, row.locator("td").all_inner_texts(), strict=True))
            for row in table.locator("tbody tr").all()
        ]


# Of each dashboard: a tile, some of its headings, how they are written, and the same by the command.
FIGURES = {
    "channels": [
        ("Why each session has its label, and what would change it",
         ["session", "label", "index", "smoothed", "why", "what would change it"],
         [None, None, "{:+.2f}", "{:+.2f}", None, None],
         "select session_date, label, migration_index, migration_index_ewma, label_reason, would_change_it "
         "from marts.mart_capital_migration_daily order by session_date desc limit 5"),
        ("Channels, newest sessions: flow, share, and why a score is missing",
         ["channel", "flow, USD", "share of what moved", "grade", "lineages"],
         [None, "{:,.0f}", "{:.1%}", None, None],
         "select channel, flow_usd, share_of_gross, grade, n_lineages from marts.fct_channel_flow_daily "
         "order by session_date desc, channel limit 9"),
        ("Stablecoins, newest days: a price off the peg is no flow",
         ["asset", "coins", "net issuance, USD"],
         [None, "{:,.0f}", "{:,.0f}"],
         "select asset, supply_native, net_issuance_usd from marts.fct_stablecoin_supply_daily where chain = 'all' "
         "order by event_date desc, asset limit 8"),
        ("Protocols: fees, revenue, and what holders were paid; a liquidating payout is capital returned, no yield",
         ["protocol", "kind of payout", "paid out, USD", "grade"],
         [None, None, "{:,.0f}", None],
         "select protocol, distribution_kind, distribution_usd, grade from marts.fct_protocol_cashflow_daily "
         "order by event_date desc, protocol"),
    ],
    "leverage": [
        ("Funding, newest days",
         ["date", "venue", "asset", "funding a year", "readings", "grade"],
         [None, None, None, "{:+.2%}", None, None],
         "select event_date, venue, asset, funding_annualised, n_funding_readings, grade from marts.fct_derivative_oi_daily "
         "where funding_annualised is not null order by event_date desc, venue, asset limit 9"),
    ],
    "rates": [
        ("Votes against, with the rate that the member preferred",
         ["member", "vote", "after, %", "preferred, %"],
         [None, None, "{:.3f}", "{:.3f}"],
         "select official_name, vote, rate_after_pct, preferred_rate_pct from marts.fct_policy_vote "
         "join marts.fct_policy_decision using (meeting_id) where vote = 'against' "
         "order by decision_date desc, official_name limit 6"),
        ("Carry, newest days",
         ["date", "tenor", "carry, % a year", "none because"],
         [None, None, "{:.3f}", None],
         "select event_date, tenor, carry_pct, carry_to_vol_reason from marts.fct_carry_daily "
         "order by event_date desc, tenor limit 9"),
        ("What was expected, what was decided, and the surprise: a proxy",
         ["meeting", "kind", "surprise, bp", "grade"],
         [None, None, "{:+.1f}", None],
         "select meeting_id, expectation_kind, surprise_bp, grade from marts.fct_policy_expectation "
         "order by expected_on desc, expectation_kind"),
    ],
    "events": [
        ("Incidents: the loss, and what came back in the coin that was taken",
         ["incident", "loss, USD", "taken", "recovery ratio", "grade"],
         [None, "{:,.0f}", "{:,.0f}", "{:.3f}", None],
         "select incident_name, loss_usd, stolen_native, recovery_ratio_native, grade from marts.fct_security_incident "
         "order by event_date desc, incident_name limit 8"),
        ("Incidents of which the day or a figure is told otherwise",
         ["incident", "days told", "by whom", "told otherwise"],
         [None, None, None, None],
         "select incident_name, date_status, dates_told, told_otherwise from marts.fct_security_incident "
         "where date_status = 'conflict' or told_otherwise is not null order by event_date desc, incident_name"),
        ("Rules and their states: filed, published and effective are three days",
         ["rule", "state", "effective", "agreement"],
         [None, None, None, None],
         "select rule_id, rule_status, effective_on, agreement_status from marts.fct_regulatory_event "
         "order by event_date desc, rule_id, status_no desc limit 6"),
    ],
}  # fmt: skip
EMPTY = {
    "channels": [],
    "leverage": [
        ("Liquidations, partial: what was observed of each venue, no total of a market", "venue", "nothing on record"),
        ("Watched accounts: leverage set and effective, and how far the liquidation price is", "account", "on record"),
        ("Open interest, newest days, with the convention it is counted by", "venue", "on record"),
        (
            "Options on crypto funds: one side counted, 100 shares a contract, not to be added to perpetuals",
            "instrument",
            "on record",
        ),
    ],
    "rates": [
        ("Futures by who holds them: net contracts against their own three years", "market", "nothing on record"),
    ],
    "events": [
        (
            "What authorities released and the press wrote: a report leads to something, no figure is taken from it",
            "title",
            "nothing on record",
        ),
    ],
}


def _bi(home: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("CAPMIG_", "WAREHOUSE_", "SUPERSET_"))}
    return subprocess.run([sys.executable, "-m", "include.orchestration.bi", *args], cwd=ROOT, capture_output=True, text=True,
                          timeout=600, env=clean | {"WAREHOUSE_HOME": str(home)} | env)  # fmt: skip


@pytest.fixture(scope="module")
def superset(pack_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Superset]:
    """Superset on a warehouse with the pack's served version; `make bi`'s command, in its own environment."""
    assert PYTHON.exists(), f"{PYTHON} is not there: `make bi` installs it"
    home = tmp_path_factory.mktemp("bi")
    shutil.copytree(pack_home / "serve", home / "serve")
    (home / "clock").write_bytes((pack_home / "clock").read_bytes())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    try:
        done = _bi(home, "up", str(PYTHON), str(port))
        assert done.returncode == 0, done.stderr
        with chromium() as browser:
            context = browser.new_context(locale="en-US", timezone_id="Asia/Tokyo")
            watched = Watched(context)
            answered: list[str] = []
            watched.page.on("response", lambda response: answered.append(response.url))
            running = Superset(f"http://127.0.0.1:{port}", home, context, watched, answered)
            running.page.goto(f"{running.url}/superset/dashboard/today/")
            assert "/login/" in running.page.url  # nobody sees anything before
            running.page.fill("#username", "admin")
            running.page.fill("#password", (home / "bi" / "password").read_text())
            running.page.keyboard.press("Enter")
            running.page.wait_for_url(lambda url: "/login" not in url, timeout=60_000)
            yield running
    finally:
        _bi(home, "down")


def _sql(home: Path, sql: str) -> list[dict]:
    return json.loads(capmig(home, "sql", "--format", "json", sql).stdout, parse_float=Decimal)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_today_shows_what_the_command_says(superset: Superset, tmp_path: Path) -> None:
    """Figures, grades, counts and instants equal `capmig sql`, in a browser whose clock is Tokyo's; a picture is kept."""
    superset.open("today")
    superset.page.screenshot(path=_picture("today", tmp_path), full_page=True)
    brief = superset.rows("Brief")
    known = _sql(superset.home, "select headline, value_text, status, grade, n_lineages, n_measurements, "
                 "strftime(known_from, '%Y-%m-%d %H:%M') known from marts.mart_daily_brief order by headline_no")  # fmt: skip
    assert len(brief) == len(known) > 10
    for shown, row in zip(brief, known, strict=True):
        said = [_shown(value) for value in row.values()]
        assert [
            shown[k] for k in ("headline", "value", "status", "grade", "lineages", "measurements", "known from")
        ] == said
    flows = superset.rows("ETF net flow, newest sessions")
    known = _sql(superset.home, "select asset, session_date, net_flow_usd, obs_status, n_funds_reported, grade, n_lineages "
                 "from marts.fct_etf_flow_agg_daily where session_date >= '2026-01-01' order by session_date desc, asset")  # fmt: skip
    assert len(flows) == len(known) > 20
    for shown, row in zip(flows, known, strict=True):
        figure = "N/A" if row["net_flow_usd"] is None else f"{row['net_flow_usd']:,.0f}"
        said = [
            row["asset"],
            row["session_date"],
            figure,
            row["obs_status"],
            str(row["n_funds_reported"]),
            _shown(row["grade"]),
        ]
        assert [shown[k] for k in ("asset", "session", "net flow, USD", "status", "funds in", "grade")] == said
    polls = [r["net flow, USD"] for r in superset.rows("ETF totals as known at each poll")
             if (r["asset"], r["session"]) == ("BTC", "2026-01-30")]  # fmt: skip
    assert polls == ["N/A", "8,300,000", "15,600,000", "18,600,000", "-509,700,000"]
    sources = superset.rows("ETF flows, sources side by side")
    assert ("sosovalue", "-32,110,000", "-32,200,000", "90,000", "B") in {
        tuple(r[k] for k in ("source", "value", "published figure", "difference", "grade")) for r in sources
    }
    assert _foreign(superset) == [] and _errors(superset) == []


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("slug", ["channels", "leverage", "rates", "events"])
def test_a_subject_shows_what_the_command_says(superset: Superset, tmp_path: Path, slug: str) -> None:
    """Each opens, its figures equal `capmig sql`, and what the record has nothing of is said; a picture is kept."""
    superset.open(slug)
    superset.page.screenshot(path=_picture(slug, tmp_path), full_page=True)
    for title, headings, formats, sql in FIGURES[slug]:
        shown = superset.rows(title)
        known = [list(row.values()) for row in _sql(superset.home, sql)]
        said = [[_shown(v) if f is None or v is None else f.format(v) for f, v in zip(formats, row, strict=True)]
                for row in known]  # fmt: skip
        assert said and [[row[h] for h in headings] for row in shown[: len(said)]] == said, title
    for title, heading, words in EMPTY[slug]:
        rows = superset.rows(title)
        assert len(rows) == 1 and words in rows[0][heading], title
    assert superset.page.get_by_text("No results were returned").count() == 0
    assert _foreign(superset) == [] and _errors(superset) == []


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_explore_follows_its_filter(superset: Superset, tmp_path: Path) -> None:
    """The series that is chosen is the one that is shown, each version with its payload."""
    superset.open("explore")
    superset.page.screenshot(path=_picture("explore", tmp_path), full_page=True)
    shown = superset.rows("Each source beside the published figure")
    assert {r["series"] for r in shown} == {"ETF_FLOW.BTC.TOTAL"} and len(shown) == 50
    newest = _sql(superset.home, "select value, grade, payload_sha256 from marts.fct_corroboration where series_id = "
                  "'ETF_FLOW.BTC.TOTAL' order by event_date desc limit 1")[0]  # fmt: skip
    assert (Decimal(shown[0]["value"].replace(",", "")), shown[0]["grade"]) == (newest["value"], newest["grade"])
    versions = superset.rows("Versions, down to the payload")
    assert newest["payload_sha256"] in {r["payload sha256"] for r in versions}
    assert _foreign(superset) == [] and _errors(superset) == []


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_sql_lab_reads_and_nothing_else(superset: Superset) -> None:
    """The figure is the command's; a write has Superset's refusal; files, settings and other databases are closed, also for
    a database that an administrator adds by hand."""
    figure = "select net_flow_usd from marts.fct_etf_flow_agg_daily where asset = 'BTC' and session_date = '2026-01-30'"
    databases = superset.ask("/api/v1/database/")[1]["result"]
    assert [(d["database_name"], d["allow_dml"], d["allow_file_upload"]) for d in databases] == [
        ("Warehouse", False, False)
    ]

    def run(sql: str, client: str, database: int = databases[0]["id"]) -> tuple[int, dict]:
        body = {"database_id": database, "sql": sql, "client_id": client, "runAsync": False, "queryLimit": 10}
        return superset.ask("/api/v1/sqllab/execute/", body)

    status, said = run(figure, "a0")
    assert (
        status == 200
        and Decimal(str(said["data"][0]["net_flow_usd"])) == _sql(superset.home, figure)[0]["net_flow_usd"]
    )
    writes = ["delete from ops.fct_publication", "create table marts.mine as select 1 as a", "drop table marts.dim_unit",
              "update marts.dim_unit set unit = 'x'", "insert into marts.dim_unit select * from marts.dim_unit"]  # fmt: skip
    for number, sql in enumerate(writes):
        status, said = run(sql, f"w{number}")
        assert status >= 400 and "does not allow for DDL/DML" in said["errors"][0]["message"], sql
    escapes = ["select * from read_text('/etc/passwd')", "select * from glob('/etc/*')", "attach '/tmp/elsewhere.db'",
               "set enable_external_access = true", "copy marts.dim_unit to '/tmp/out.csv'", "install httpfs", "load httpfs"]  # fmt: skip
    for number, sql in enumerate(escapes):
        status, said = run(sql, f"e{number}")
        assert status >= 400 and re.search("disabled|locked|DDL/DML|Permission", said["errors"][0]["message"]), (
            sql,
            said,
        )


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_second_import_is_the_same(superset: Superset) -> None:
    """Started again, it has the same dashboards under the same identities; a taken place is refused in one line; only its
    owner may read what it keeps."""
    listing = "/api/v1/{}/?q=(page_size:100,columns:!(id,uuid))"
    before = {
        kind: superset.ask(listing.format(kind))[1]["result"] for kind in ("database", "dataset", "chart", "dashboard")
    }
    assert [len(before[k]) for k in before] == [len(_assets(f"{k}s")) for k in before]
    again = _bi(superset.home, "up", str(PYTHON), superset.url.rpartition(":")[2])
    assert again.returncode == 2 and "[config.running]" in again.stderr and again.stderr.count("\n") == 1
    kept = superset.home / "bi"
    environment = {"SUPERSET_HOME": kept, "SUPERSET_CONFIG_PATH": ROOT / "include/bi/superset_config.py", "HOME": kept,
                   "SUPERSET_SECRET_KEY_FILE": kept / "secret_key", "SUPERSET_ADMIN_PASSWORD_FILE": kept / "password",
                   "WAREHOUSE_URL_FILE": kept / "url", "PATH": os.defpath}  # fmt: skip
    done = subprocess.run([PYTHON, ROOT / "include/bi/prepare.py"], env={k: str(v) for k, v in environment.items()},
                          capture_output=True, text=True, cwd=kept)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert {kind: superset.ask(listing.format(kind))[1]["result"] for kind in before} == before
    assert kept.stat().st_mode & 0o077 == 0
    assert all((kept / name).stat().st_mode & 0o077 == 0 for name in ("password", "secret_key", "url"))


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_the_next_query_sees_a_new_version(superset: Superset) -> None:
    """Another file under the served name, as a publish leaves it, is what the next query reads."""
    served = superset.home / "serve" / "warehouse.duckdb"
    body = {"database_id": 1, "sql": "select max(seq) as seq from ops.fct_publication", "runAsync": False}
    ask = "/api/v1/sqllab/execute/"
    assert superset.ask(ask, body | {"client_id": "n1"})[1]["data"] == [{"seq": 1}]
    following = shutil.copyfile(served, served.with_name("following.duckdb"))
    with duckdb.connect(str(following)) as con:
        con.execute("update ops.fct_publication set seq = 2")
    following.replace(served)
    assert superset.ask(ask, body | {"client_id": "n2"})[1]["data"] == [{"seq": 2}]


def test_nothing_published_and_wrong_words_are_one_line(tmp_path: Path) -> None:
    """Before anything is started."""
    for args, rule in [(("check", "0"), "serve.empty"), (("up", sys.executable), "serve.empty"),
                       (("sideways",), "cli.usage"), (("up",), "cli.usage")]:  # fmt: skip
        done = _bi(tmp_path, *args)
        assert done.returncode != 0 and f"[{rule}]" in done.stderr and done.stderr.count("\n") == 1
    done = _bi(tmp_path, "up", sys.executable, WAREHOUSE_POSTGRES_URL="host=127.0.0.1 password=canary-9f2c")
    assert done.returncode == 2 and "[config.postgres]" in done.stderr and "canary" not in done.stderr
    assert _bi(tmp_path, "down").stdout == "nothing was running\n"


def _shown(value: object) -> str:
    return "N/A" if value is None else str(value)


def _picture(name: str, otherwise: Path) -> Path:
    """Where a picture is kept: in the directory that SCREENSHOTS names."""
    return Path(os.environ.get("SCREENSHOTS", otherwise)) / f"bi_{name}.png"


def _foreign(superset: Superset) -> list[str]:
    """Requests that left for another host. The pixel that Superset's pages try to fetch is stopped by the policy."""
    return [u for u in superset.answered if not u.startswith((superset.url, "data:", "blob:"))]


def _errors(superset: Superset) -> list[str]:
    return [e for e in superset.watched.errors if "scarf.sh" not in e]
