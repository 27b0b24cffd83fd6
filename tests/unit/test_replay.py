"""The bundled record and its server: wire shapes against hand-written bytes, and nothing before its time."""

import gzip
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from include import settings
from include.core.clock import parse_instant
from include.core.errors import ConfigError
from include.replay import PACK_CLOCK, ReplayServer, deliver, session
from include.replay.encoders import encoders
from include.replay.record import PACK, Ask, BadRequest, NoRecord, figures

HISTORY = "/english/policy/jgbs/reference/interest_rate/historical/jgbcme_all.csv"
CURVE = "/resource-center/data-chart-center/interest-rates/daily-treasury-rates.csv/{}/all"
CURVE_QUERY = {"type": "daily_treasury_yield_curve", "field_tdr_date_value": "2026", "page": "", "_format": "csv"}
H10_QUERY = {"rel": "H10", "series": "60f32914ab61dfab590e0e470153e3ae", "lastobs": "", "filetype": "csv",
             "label": "include", "layout": "seriescolumn"}  # fmt: skip


def ask(source_id: str, path: str, params: dict | None = None, *, body: dict | None = None, at: str = "") -> bytes:
    clock = parse_instant(at) if at else PACK_CLOCK
    return encoders()[source_id].answer(Ask(path, params or {}, body or {}), clock)


# --- the macro sources ------------------------------------------------------------------------------------------


def mof_current(at: str) -> list[str]:
    lines = ask("mof", "/jgbs/reference/interest_rate/jgbcm.csv", at=at).decode("cp932").split("\r\n")
    assert lines.pop() == ""
    return lines


def test_the_current_jgb_file_is_the_month_in_cp932_with_era_dates() -> None:
    """Title, header and a row, byte for byte, with the closing zero that the history file drops (3.202, 2.000)."""
    body = ask("mof", "/jgbs/reference/interest_rate/jgbcm.csv")
    title, header, first, *_ = body.split(b"\r\n")
    assert title == b"\x8d\x91\x8d\xc2\x8b\xe0\x97\x98\x8f\xee\x95\xf1 (\x97\xdf\x98a8\x94N1\x8c\x8e)" + b"," * 15 + (
        b"(\x92P\x88\xca : %)"
    )
    assert header.startswith(b"\x8a\xee\x8f\x80\x93\xfa,1\x94N,2\x94N,") and header.endswith(b",30\x94N,40\x94N")
    assert first.startswith(b"R8.1.5,0.928,")
    assert (
        b"\r\nR8.1.22,0.952,1.224,1.370,1.552,1.668,1.773,1.877,2.000,2.125,2.239,2.852,3.202,3.567,3.604,3.748\r\n"
        in body
    )


def test_the_current_jgb_file_turns_with_the_first_release_of_a_month() -> None:
    """On the first business day it still holds the month before: 5 January is out on the 6th at 09:30 JST."""
    before, after = mof_current("2026-01-06T00:29:59Z"), mof_current("2026-01-06T00:30:00Z")
    assert before[0].startswith("国債金利情報 (令和7年12月)") and before[-1].startswith("R7.12.30,")
    assert after[0].startswith("国債金利情報 (令和8年1月)") and [row[:7] for row in after[2:]] == ["R8.1.5,"]


def test_the_last_friday_of_the_pack_is_out_only_on_monday() -> None:
    """30 January 2026 is a Friday; at the pack's clock Tokyo has not opened since."""
    assert mof_current("")[-1].startswith("R8.1.29,")
    assert mof_current("2026-02-02T00:30Z")[-1].startswith("R8.1.30,")


def test_the_jgb_history_ends_where_the_current_file_begins_and_has_a_footnote() -> None:
    """Gregorian dates without padding; a blank row and a quoted footnote whose mark is not UTF-8."""
    lines = ask("mof", HISTORY).split(b"\r\n")
    assert lines[0] == b"Interest Rate,,,,,,,,,,,,,,,(Unit : %)"
    assert lines[1] == b"Date,1Y,2Y,3Y,4Y,5Y,6Y,7Y,8Y,9Y,10Y,15Y,20Y,25Y,30Y,40Y"
    assert (
        lines[2]
        == b"2025/6/2,0.592,0.755,0.821,0.945,1.043,1.092,1.163,1.272,1.397,1.523,2.066,2.406,2.654,2.821,3.085"
    )
    assert lines[-4].startswith(b"2025/12/30,0.906,") and lines[-3] == b"," * 15
    assert lines[-2].startswith(b'"  \x81\xa6If you cannot download the latest csv data') and lines[-1] == b""


def test_the_treasury_curve_is_a_year_newest_first_with_blank_tenors() -> None:
    """The record has three tenors; the others are blank, and two decimals are printed."""
    lines = ask("ust", CURVE.format(2026), CURVE_QUERY).decode().split("\n")
    assert lines[0] == (
        'Date,"1 Mo","1.5 Month","2 Mo","3 Mo","4 Mo","6 Mo","1 Yr","2 Yr","3 Yr","5 Yr","7 Yr","10 Yr","20 Yr","30 Yr"'
    )
    assert lines[1] == "01/30/2026,,,,,,,,3.52,,,,4.26,,4.87"
    assert "01/23/2026,,,,,,,,3.60,,,,4.24,,4.82" in lines
    assert lines[-2].startswith("01/02/2026,") and lines[-1] == ""
    assert not any(line.startswith("01/19/2026") for line in lines)


def test_a_treasury_day_appears_at_its_release_and_the_new_year_is_empty_until_then() -> None:
    """2 January 2026 is the first day of its file: at 22:59Z there is a header and nothing else."""
    assert ask("ust", CURVE.format(2026), CURVE_QUERY, at="2026-01-02T22:59:59Z").count(b"\n") == 1
    assert ask("ust", CURVE.format(2026), CURVE_QUERY, at="2026-01-02T23:00:00Z").count(b"\n") == 2
    with pytest.raises(NoRecord):
        ask("ust", CURVE.format(2024), CURVE_QUERY)


def test_the_effr_row_of_a_meeting_day_still_carries_the_old_range() -> None:
    """Exact JSON: newest first, numbers, and no field of which there is no record."""
    window = {"startDate": "2025-12-10", "endDate": "2025-12-11"}
    assert ask("nyfed", "/api/rates/unsecured/effr/search.json", window) == (
        b'{"refRates":[{"effectiveDate":"2025-12-11","type":"EFFR","percentRate":3.64,"targetRateFrom":3.5,"targetRateTo":3.75},'
        b'{"effectiveDate":"2025-12-10","type":"EFFR","percentRate":3.89,"targetRateFrom":3.75,"targetRateTo":4.0}]}'
    )


def test_effr_exists_on_fedwire_days_and_is_out_the_next_morning_in_new_york() -> None:
    """Friday 16 January is published on Tuesday the 20th (the 19th is a holiday) at 09:00 ET = 14:00Z."""
    window = {"startDate": "2026-01-16", "endDate": "2026-01-20"}

    def days(at: str) -> list[str]:
        body = ask("nyfed", "/api/rates/unsecured/effr/search.json", window, at=at)
        return [row["effectiveDate"] for row in json.loads(body)["refRates"]]

    assert days("2026-01-20T13:59:59Z") == []
    assert days("2026-01-20T14:00:00Z") == ["2026-01-16"]
    assert days("2026-01-21T14:00:00Z") == ["2026-01-20", "2026-01-16"]


def test_h10_has_six_header_lines_and_nd_on_holidays() -> None:
    """Select the yen by identifier; the week of 26 January is not out before Monday 2 February, 16:15 ET."""
    span = H10_QUERY | {"from": "01/16/2026", "to": "01/30/2026"}
    head = (
        b'"Series Description","Japanese Yen"\n"Unit:","Currency"\n"Multiplier:","1"\n"Currency:","JPY"\n'
        b'"Unique Identifier: ","H10/H10/RXI_N.B.JA"\n"Time Period","RXI_N.B.JA"\n'
    )
    assert ask("frb", "/datadownload/Output.aspx", span) == head + (
        b"2026-01-16,158.0200\n2026-01-19,ND\n2026-01-20,157.8900\n2026-01-21,158.1600\n2026-01-22,158.3600\n"
        b"2026-01-23,157.5700\n"
    )
    later = ask("frb", "/datadownload/Output.aspx", span, at="2026-02-02T21:15Z")
    assert b"\n2026-01-26,153.8800\n" in later


@pytest.mark.parametrize(
    ("source_id", "path", "params"),
    [
        ("nyfed", "/api/rates/unsecured/effr/search.json", {"startDate": "2025-12-10"}),
        ("nyfed", "/api/rates/unsecured/effr/search.json", {"startDate": "12/10/2025", "endDate": "2025-12-11"}),
        ("nyfed", "/api/rates/unsecured/effr/search.json", {"startDate": "2025-12-11", "endDate": "2025-12-10"}),
        ("ust", CURVE.format(2026), CURVE_QUERY | {"_format": "xml"}),
        ("frb", "/datadownload/Output.aspx", H10_QUERY | {"from": "2026-01-16", "to": "01/30/2026"}),
        ("frb", "/datadownload/Output.aspx", H10_QUERY | {"filetype": "zip", "from": "01/16/2026", "to": "01/30/2026"}),
        ("sosovalue", "/openapi/v2/etf/historicalInflowChart", {}),
    ],
)
def test_wrong_parameters_are_refused(source_id: str, path: str, params: dict) -> None:
    """As a source would, instead of an answer to another question."""
    with pytest.raises(BadRequest):
        ask(source_id, path, params)


def test_a_window_before_the_record_is_not_an_empty_answer() -> None:
    """An empty list would say that there was nothing, and would retract what is known."""
    with pytest.raises(NoRecord):
        ask("nyfed", "/api/rates/unsecured/effr/search.json", {"startDate": "2020-01-01", "endDate": "2020-02-01"})


# --- the chain --------------------------------------------------------------------------------------------------


def test_a_stablecoin_chart_ends_with_the_day_in_progress_which_has_no_reading() -> None:
    """Stamps in seconds as text, coins as numbers; a day is out an hour after it is over."""
    path = "/stablecoincharts/all"
    body = ask("defillama_stablecoins", path, {"stablecoin": "1"}, at="2026-01-24T01:00:00Z")
    assert body.endswith(
        b',{"date":"1769040000","totalCirculating":{"peggedUSD":186886791640}}'
        b',{"date":"1769126400","totalCirculating":{"peggedUSD":186891791639}}'
        b',{"date":"1769212800","totalCirculating":{}}]'
    )
    early = ask("defillama_stablecoins", path, {"stablecoin": "1"}, at="2026-01-24T00:59:59Z")
    assert early.endswith(b',{"date":"1769126400","totalCirculating":{}}]')
    with pytest.raises(NoRecord):
        ask("defillama_stablecoins", path, {"stablecoin": "3"})
    with pytest.raises(BadRequest):
        ask("defillama_stablecoins", path, {"stablecoin": "tether"})


def test_binance_funding_is_of_one_symbol_oldest_first_with_the_stamps_as_paid() -> None:
    """Some milliseconds after the hour, eight decimals as text; a span without a rate on record is no empty answer."""
    query = {"symbol": "BTCUSDT", "startTime": "1768953600000", "endTime": "1768982400999", "limit": "1000"}
    assert ask("binance", "/fapi/v1/fundingRate", query) == (
        b'[{"symbol":"BTCUSDT","fundingTime":1768953600001,"fundingRate":"0.00010000","markPrice":""},'
        b'{"symbol":"BTCUSDT","fundingTime":1768982400011,"fundingRate":"0.00006055","markPrice":""}]'
    )
    assert ask("binance", "/fapi/v1/fundingRate", query, at="2026-01-21T07:59Z").count(b"fundingTime") == 1
    for wrong in ({"endTime": "1768000000000"}, {"symbol": "DOGEUSDT"}):
        with pytest.raises(NoRecord):
            ask("binance", "/fapi/v1/fundingRate", query | wrong)
    with pytest.raises(BadRequest):
        ask("binance", "/fapi/v1/fundingRate", query | {"startTime": "yesterday"})


def test_value_locked_and_incidents_stand_as_the_service_writes_them() -> None:
    """The day in progress has no reading yet; an incident is listed three days after the day that it is dated to."""
    chart = ask("defillama", "/v2/historicalChainTvl", at="2026-01-31T01:00:00Z")
    assert chart.endswith(b'{"date":1769731200,"tvl":114832350274},{"date":1769817600,"tvl":null}]')
    makina = next(i for i in json.loads(ask("defillama", "/hacks", at="2026-01-22T01:00Z")) if i["name"] == "Makina")
    assert makina == {
        "date": 1768780800, "name": "Makina", "classification": "Protocol Logic",
        "technique": "Flashloan Price Oracle Attack", "amount": 4200000, "returnedFunds": None, "chain": ["Ethereum"],
        "source": "",
    }  # fmt: skip
    assert b"Makina" not in ask("defillama", "/hacks", at="2026-01-22T00:59Z")
    with pytest.raises(NoRecord):
        ask("defillama", "/v2/historicalChainTvl/Ethereum")


# --- prices -----------------------------------------------------------------------------------------------------


def test_a_daily_point_carries_the_midnight_that_ends_its_day() -> None:
    """The close of 22 January stands at 2026-01-23T00:00Z; the day of the clock has none yet, and Ether no record."""
    path, query = "/api/v3/coins/bitcoin/market_chart", {"vs_currency": "usd", "days": "3", "interval": "daily"}
    assert ask("coingecko", path, query, at="2026-01-24T00:36Z") == (
        b'{"prices":[[1769040000000,89354.34],[1769126400000,89443.4],[1769212800000,89412.4]],'
        b'"market_caps":[],"total_volumes":[]}'
    )
    with pytest.raises(BadRequest):
        ask("coingecko", path, query | {"interval": "hourly"})
    with pytest.raises(NoRecord):
        ask("coingecko", path.replace("bitcoin", "ethereum"), query)


# --- ETF flows --------------------------------------------------------------------------------------------------


def test_sosovalue_answers_in_both_shapes_in_dollars() -> None:
    """Totals as `{list: []}`, a fund as a bare array; what nobody quoted is null."""
    path, nulls = (
        "/openapi/v2/etf/historicalInflowChart",
        b',"totalValueTraded":null,"totalNetAssets":null,"cumNetInflow":null}',
    )
    total = ask("sosovalue", path, body={"type": "us-btc-spot"}, at="2026-01-23T12:00Z")
    assert total.startswith(
        b'{"code":0,"msg":null,"data":{"list":[{"date":"2026-01-22","totalNetInflow":-32110000.0' + nulls
        + b',{"date":"2026-01-21","totalNetInflow":-708710000.0' + nulls
    )  # fmt: skip
    assert total.endswith(b'{"date":"2026-01-16","totalNetInflow":-394680000.0' + nulls + b"]}}")
    assert ask("sosovalue", path, body={"type": "Etf_NASDAQ_IBIT"}) == (
        b'{"code":0,"msg":null,"data":[{"date":"2026-01-22","totalNetInflow":-22350000.0' + nulls + b"]}"
    )
    assert b'"date":"2026-01-22"' not in ask("sosovalue", path, body={"type": "us-btc-spot"}, at="2026-01-23T11:59:59Z")


@pytest.mark.parametrize(("kind", "at"), [("us-eth-spot", ""), ("Etf_CBOE_FBTC", "2026-01-23T11:59:59Z")])
def test_what_nobody_quoted_by_then_has_no_record(kind: str, at: str) -> None:
    """Not an empty list: the service had figures, the record has none."""
    with pytest.raises(NoRecord):
        ask("sosovalue", "/openapi/v2/etf/historicalInflowChart", body={"type": kind}, at=at)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The inbox at the pack's clock."""
    inbox = tmp_path_factory.mktemp("inbox")
    assert len(deliver(inbox, PACK_CLOCK)) == 364
    return inbox / "farside"


def sessions(page: Path) -> dict[str, list[str]]:
    """Date rows of a page, cells as text with the colour spans taken off."""
    text = re.sub(r"</?span[^>]*>", "", page.read_text(encoding="utf-8"))
    rows = [re.findall(r"<td>([^<]*)</td>", line) for line in text.splitlines() if line.startswith("<tr><td>")]
    return {row[0]: row[1:] for row in rows if row[0][:2].isdigit()}


def test_the_night_of_22_january_comes_back_page_by_page(saved: Path) -> None:
    """Columns IBIT FBTC BITB ARKB BTCO EZBC BRRR HODL BTCW GBTC BTC Total, as they filled in."""

    def row(at: str) -> str:
        return " ".join(sessions(saved / f"btc__{at}.html")["22 Jan 2026"])

    assert row("20260122T120033Z") == "- - - - - - - - - - - 0.0"
    assert row("20260123T020030Z") == "- (9.8) 0.0 0.0 - 0.0 - 0.0 0.0 0.0 0.0 (9.8)"
    assert row("20260123T023031Z") == "- (9.8) 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 (9.8)"
    assert row("20260123T050034Z") == "(22.4) (9.8) 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 (32.2)"


def test_a_row_is_printed_as_the_publisher_prints_it(saved: Path) -> None:
    """Parentheses inside a red span, a dash for no reading, thousands commas in the footer."""
    page = (saved / "btc__20260123T023031Z.html").read_text(encoding="utf-8")
    assert '\n<table class="etf">\n' in page
    assert "<tr><th>Date</th><th>IBIT</th><th>FBTC</th>" in page and "<th>BTC</th><th>Total</th></tr>" in page
    assert '<tr><td>22 Jan 2026</td><td>-</td><td><span class="redFont">(9.8)</span></td><td>0.0</td>' in page
    assert "<tr><td>Total</td><td>63,027</td><td>11,476</td>" in page
    assert "<tr><td>Maximum</td><td>1,119.9</td>" in page


def test_the_first_page_is_the_whole_history_and_later_pages_are_the_last_fifteen_rows(saved: Path) -> None:
    """Holidays stand in it as dashes with a printed total of 0.0."""
    first, *later = sorted(saved.glob("btc__*.html"))
    table = sessions(first)
    assert first.name == "btc__20251116T020904Z.html"
    assert (len(table), list(table)[0], list(table)[-1]) == (480, "11 Jan 2024", "14 Nov 2025")
    assert " ".join(table["11 Jan 2024"]) == "111.7 227.0 237.9 65.3 17.4 50.1 29.4 10.6 1.0 (95.1) - 655.3"
    assert table["15 Jan 2024"] == ["-"] * 11 + ["0.0"]
    assert len(later) == 362 and {len(sessions(page)) for page in later} == {15}
    assert list(sessions(later[-1]))[-1] == "30 Jan 2026"


def test_every_page_adds_up(saved: Path) -> None:
    """The printed total is the sum of the cells, to the rounding of eleven of them."""

    def money(cell: str) -> Decimal:
        return Decimal(cell.replace(",", "").replace("(", "-").rstrip(")"))

    for page in (*sorted(saved.glob("btc__202601*.html")), next(saved.glob("eth__*.html"))):
        for day, cells in sessions(page).items():
            funds = sum((money(c) for c in cells[:-1] if c != "-"), Decimal(0))
            assert abs(funds - money(cells[-1])) <= 2, (page.name, day)


def test_the_ethereum_copy_is_undated_and_keeps_what_is_missing(saved: Path) -> None:
    """Columns of January 2026 (ETHB came later); TETH has no reading on the 21st; the seed row stands above."""
    page = saved / "eth__undated-20260130.html"
    table = sessions(page)
    assert " ".join(table["21 Jan 2026"]) == "(250.3) (30.9) 0.0 - (4.4) 0.0 0.0 (11.4) 10.0 (287.0)"
    assert (len(table), list(table)[0]) == (393, "23 Jul 2024")
    assert "ETHB" not in page.read_text()
    assert "<tr><td>Seed</td><td>10.6</td><td>4.4</td>" in page.read_text()


def test_pages_are_delivered_once_and_never_early(tmp_path: Path) -> None:
    """A taken page stays taken; a later clock adds what came since, and a longer undated copy."""
    early = parse_instant("2025-12-01T18:00:00Z")
    new = deliver(tmp_path, early)
    names = {path.name for path in new}
    assert "eth__undated-20251128.html" in names and len(names) == len(new) > 50
    assert max(n for n in names if n.startswith("btc")) == "btc__20251201T120030Z.html"
    done = tmp_path / "farside" / "done"
    done.mkdir()
    for path in new[:40]:
        path.rename(done / path.name)
    assert deliver(tmp_path, early) == []
    added = [path.name for path in deliver(tmp_path, parse_instant("2025-12-02T18:00:00Z"))]
    assert added[0].startswith("btc__202512") and added[-1] == "eth__undated-20251201.html"


# --- the record -------------------------------------------------------------------------------------------------


def test_every_figure_says_where_it_comes_from() -> None:
    """Each file of figures has its publisher, terms and path in `sources.csv`, and a URL there or on each row."""
    header, *lines = (PACK / "sources.csv").read_text(encoding="utf-8").splitlines()
    assert header == "file,source,url,licence,path"
    files = {path.name for path in PACK.glob("*.csv")} - {"sources.csv"}
    assert {line.split(",")[0] for line in lines} == files
    for name in files:
        own = next(line for line in lines if line.startswith(f"{name},"))
        rows = (PACK / name).read_text(encoding="utf-8").splitlines()
        assert "https://" in own or all("https://" in row for row in rows[1:]), name
        assert len(figures(name.removesuffix(".csv"))) == len(rows) - 1 > 0
    assert sum(path.stat().st_size for path in PACK.iterdir()) < 2 * 2**20


# --- the server -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer(PACK_CLOCK) as running:
        yield running


def http_ask(server: ReplayServer, method: str, path: str, **kwargs: object) -> tuple[int, dict[str, str], bytes]:
    host = server.base_url("x").split("/")[2]
    connection = http.client.HTTPConnection(host, timeout=5)
    try:
        connection.request(method, path, **kwargs)
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


def test_a_source_stands_under_its_own_id(server: ReplayServer) -> None:
    """The base URL is the only thing that differs from the real host."""
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/mof", server.base_url("mof"))
    status, headers, body = http_ask(server, "GET", f"/mof{HISTORY}")
    assert (status, headers["content-type"], int(headers["content-length"])) == (200, "text/csv", len(body))
    assert body == ask("mof", HISTORY)
    status, _, body = http_ask(
        server, "GET", "/nyfed/api/rates/unsecured/effr/search.json?startDate=2026-01-30&endDate=2026-01-31"
    )
    assert (status, body) == (200, b'{"refRates":[]}')


def test_gzip_is_given_when_asked_for_and_is_the_same_bytes_each_time(server: ReplayServer) -> None:
    """Equal answers are equal on the wire, from this server and from another, so they land once."""
    answers = []
    with ReplayServer(PACK_CLOCK) as other:
        for one in (server, server, other):
            answers.append(http_ask(one, "GET", f"/mof{HISTORY}", headers={"Accept-Encoding": "gzip"}))
    assert {a[0] for a in answers} == {200} and len({a[2] for a in answers}) == 1
    assert len({a[1]["etag"] for a in answers}) == 1 and answers[0][1]["content-encoding"] == "gzip"
    assert gzip.decompress(answers[0][2]) == ask("mof", HISTORY)


def test_what_the_record_lacks_is_404_and_never_made_up(server: ReplayServer) -> None:
    """Hyperliquid has no record at all; another path or source is no better."""
    post = {"headers": {"Content-Type": "application/json"}, "body": json.dumps({"type": "metaAndAssetCtxs"})}
    status, headers, body = http_ask(server, "POST", "/hyperliquid/info", **post)
    assert (status, headers["content-type"]) == (404, "application/json")
    assert json.loads(body) == {"error": "the replay pack has no record of hyperliquid /info metaAndAssetCtxs"}
    for path in ("/mof/elsewhere.csv", "/nobody/x", "/", "//mof", "/farside/btc/"):
        assert http_ask(server, "GET", path)[0] == 404, path


def test_a_request_that_no_source_would_take_is_400(server: ReplayServer) -> None:
    """Wrong parameters, a body that is not JSON, a body without length or of none that can be right."""
    path = "/sosovalue/openapi/v2/etf/historicalInflowChart"
    assert http_ask(server, "GET", "/nyfed/api/rates/unsecured/effr/search.json?startDate=x")[0] == 400
    assert http_ask(server, "POST", path, body="{")[0] == 400
    assert http_ask(server, "POST", path, body="[]")[0] == 400
    assert http_ask(server, "POST", path, body="", headers={"Content-Length": "99999999"})[0] == 400
    status, _, body = http_ask(server, "POST", path, body='{"type": "us-btc-spot"}')
    assert (status, json.loads(body)["data"]["list"][0]["date"]) == (200, "2026-01-23")


def test_the_server_answers_as_of_its_clock() -> None:
    """An hour before the decision of 23 January the Treasury's 22nd is out and its 23rd is not."""
    with ReplayServer(datetime(2026, 1, 23, 3, 7, tzinfo=UTC)) as early:
        query = "?type=daily_treasury_yield_curve&field_tdr_date_value=2026&page&_format=csv"
        body = http_ask(early, "GET", f"/ust{CURVE.format(2026)}{query}")[2]
    assert body.split(b"\n")[1] == b"01/22/2026,,,,,,,,3.61,,,,4.26,,4.84"


def test_by_hand_it_says_where_it_listens_and_leaves_on_ctrl_c() -> None:
    """`python -m include.replay`: one line, then answers until it is told to stop."""
    command = [sys.executable, "-m", "include.replay", "--clock", "2026-01-23T03:07Z"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        found = re.fullmatch(
            r"the record as of 2026-01-23T03:07:00\.000000Z on http://([\d.:]+)/<source>: (.*)\n", line
        )
        assert found and found[2] == ", ".join(encoders())
        connection = http.client.HTTPConnection(found[1], timeout=5)
        connection.request("GET", f"/mof{HISTORY}")
        assert connection.getresponse().status == 200
        connection.close()  # with the body unread: a client that goes away leaves no traceback
        process.send_signal(signal.SIGINT)
        assert (*process.communicate(timeout=10), process.returncode) == ("", "", 0)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("wrong", [["--clock", "yesterday"], ["--port", "99999999"]])
def test_by_hand_a_wrong_option_is_one_line(wrong: list[str]) -> None:
    """The option is named, with what to write instead."""
    done = subprocess.run([sys.executable, "-m", "include.replay", *wrong], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and " -> " in done.stderr


# --- a run against the pack -------------------------------------------------------------------------------------


def test_a_run_against_the_pack_keeps_its_clock_and_cleans_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks load their own settings, so base URLs stand in the environment as long as the run; the user's stays."""
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CAPMIG_BASE_URL__FRB", "http://127.0.0.1:9/frb")
    before = dict(os.environ)
    with session(settings.load, live=False) as first:
        assert first.clock == PACK_CLOCK == settings.load().clock
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/mof", settings.load().base_urls["mof"])
        assert first.base_urls["frb"] == "http://127.0.0.1:9/frb"
        assert len(list((first.home / "inbox" / "farside").iterdir())) == 364
    assert dict(os.environ) == before
    assert settings.load().clock == PACK_CLOCK


def test_the_pack_is_not_mixed_with_live_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warehouse with landed data and no kept clock is a live one."""
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    (tmp_path / "landing").mkdir()
    with pytest.raises(ConfigError, match="live data"), session(settings.load, live=False):
        pass
    assert not (tmp_path / "clock").exists() and not (tmp_path / "inbox").exists()
    with session(settings.load, live=True) as live:
        assert live.base_urls == {} and not live.clock_is_past
