"""The stand-in upstreams, over real HTTP: wire shapes, paging, limits, determinism, faults, its own end."""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

DAY = 86_400_000
KLINES = "data-api.binance.vision/api/v3/klines"
INFO = "data-api.binance.vision/api/v3/exchangeInfo"
METRICS = "community-api.coinmetrics.io/v4/timeseries/asset-metrics"


def ms(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)


@dataclass
class Sandbox:
    """A running server and one keep-alive session to it."""

    process: subprocess.Popen
    line: dict
    session: requests.Session

    def get(self, path: str, timeout: Any = 20, **query: Any) -> requests.Response:
        return self.session.get(f"{self.line['url']}/{path}", params=query, timeout=timeout)

    def klines(self, symbol: str, **query) -> list[list]:
        answer = self.get(KLINES, symbol=symbol, interval="1d", **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def log(self) -> dict:
        return self.get("_sandbox/log").json()


@contextmanager
def running(root: Path, *arguments: str) -> Iterator[Sandbox]:
    command = [sys.executable, "-m", "orchestration.sandbox", "--with-parent", *arguments]
    process = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout
    try:
        with requests.Session() as session:
            session.trust_env = False
            yield Sandbox(process, json.loads(process.stdout.readline()), session)
    finally:
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            pytest.fail("the sandbox outlived its parent's pipe")


@pytest.fixture(scope="module")
def recorded(root: Path, market: Path) -> Iterator[Sandbox]:
    with running(root, "--market", str(market), "--weight-limit", "0") as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def generated(root: Path) -> Iterator[Sandbox]:
    with running(root, "--now", "2026-03-01", "--weight-limit", "0") as sandbox:
        yield sandbox


def shape(value):
    """Types all the way down; of a list, the shape of its first element."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__


def bars_of(market: Path, *symbols: str) -> pa.Table:
    return pq.read_table(market / "binance/spot/klines_1d.parquet", filters=[("symbol", "in", symbols)])


# --- Binance: shapes equal the recorded answers ------------------------------------------------


@pytest.mark.parametrize("which", ["recorded", "generated"])
def test_klines_have_the_recorded_shape(which: str, shared: Path, request: pytest.FixtureRequest) -> None:
    sandbox = request.getfixturevalue(which)
    fixture = json.loads((shared / "fixtures/binance_rest/klines_BTCUSDT_1d_2019_365.json").read_text())
    rows = sandbox.klines("BTCUSDT", startTime=ms("2021-01-01"), limit=365)
    assert len(rows) == 365
    kinds = [type(cell) for cell in fixture[0]]
    assert all([type(cell) for cell in row] == kinds for row in rows)
    assert all(row[6] == row[0] + DAY - 1 and row[0] % DAY == 0 and row[11] == "0" for row in rows)
    assert len(rows[0][1].partition(".")[2]) == len(fixture[0][1].partition(".")[2])


@pytest.mark.parametrize("which", ["recorded", "generated"])
def test_exchange_info_has_the_recorded_shape(which: str, shared: Path, request: pytest.FixtureRequest) -> None:
    sandbox = request.getfixturevalue(which)
    fixture = json.loads((shared / "fixtures/binance_rest/exchangeInfo_25symbols_2025-08.json").read_text())
    info = sandbox.get(INFO).json()
    assert list(info) == list(fixture)
    assert shape(info["rateLimits"]) == shape(fixture["rateLimits"])
    for symbol in info["symbols"]:
        like = fixture["symbols"][0]
        assert list(symbol) == list(like)
        assert shape(symbol) == shape(like)
        assert [list(f) for f in symbol["filters"]] == [list(f) for f in like["filters"]]
        assert symbol["symbol"] == symbol["baseAsset"] + symbol["quoteAsset"]
    assert {symbol["status"] for symbol in info["symbols"]} == {"TRADING", "BREAK"}


def test_recorded_klines_are_the_recorded_text(recorded: Sandbox, market: Path) -> None:
    import pyarrow.compute as pc

    table = bars_of(market, "ETHUSDT", "USDTTRY", "LUNAUSDT", "0GUSDT").drop(["recording"])
    for symbol in table["symbol"].unique().to_pylist():
        columns = table.filter(pc.equal(table["symbol"], symbol)).drop(["symbol"]).columns
        expected = [[*row, "0"] for row in zip(*(column.to_pylist() for column in columns), strict=True)]
        served, start = [], 0
        while page := recorded.klines(symbol, startTime=start, limit=1000):
            served += page
            start = page[-1][0] + 1
        assert served == expected and len(served) > 50


def test_recorded_listing_follows_the_bars(recorded: Sandbox) -> None:
    symbols = {s["symbol"]: s for s in recorded.get(INFO).json()["symbols"]}
    assert len(symbols) == 441
    assert symbols["BTCUSDT"]["status"] == "TRADING" and symbols["FTTUSDT"]["quoteAsset"] == "USDT"
    assert symbols["BTCUPUSDT"]["status"] == "BREAK" and symbols["BTCUPUSDT"]["permissionSets"] == [["LEVERAGED"]]
    assert (symbols["USDTTRY"]["baseAsset"], symbols["USDTCOP"]["quoteAsset"]) == ("USDT", "COP")
    assert (symbols["AUSDT"]["baseAsset"], symbols["1MBABYDOGEUSDT"]["baseAsset"]) == ("A", "1MBABYDOGE")


def test_pages_meet_without_gap_or_overlap(recorded: Sandbox) -> None:
    whole = recorded.klines("BTCUSDT", startTime=ms("2020-01-01"), limit=900)
    first, second = (recorded.klines("BTCUSDT", startTime=start, limit=450) for start in (whole[0][0], whole[450][0]))
    assert first + second == whole


def test_bounds_are_inclusive_on_open_time(recorded: Sandbox) -> None:
    day = ms("2022-06-01")
    assert [row[0] for row in recorded.klines("BTCUSDT", startTime=day, endTime=day)] == [day]
    assert [row[0] for row in recorded.klines("BTCUSDT", startTime=day, endTime=day + DAY)] == [day, day + DAY]
    assert [row[0] for row in recorded.klines("BTCUSDT", startTime=day + 1, endTime=day + DAY)] == [day + DAY]
    assert recorded.klines("BTCUSDT", startTime=day + 1, endTime=day + 2) == []
    assert [row[0] for row in recorded.klines("BTCUSDT", startTime=day * 1000, limit=1)] == [day], "microseconds"


def test_limits_and_defaults_of_klines(recorded: Sandbox) -> None:
    assert len(recorded.klines("BTCUSDT")) == 500
    assert len(recorded.klines("BTCUSDT", startTime=0, limit=5000)) == 1000
    newest = recorded.klines("BTCUSDT", limit=2, endTime=ms("2024-03-10"))
    assert [row[0] for row in newest] == [ms("2024-03-09"), ms("2024-03-10")]
    hourly = recorded.get(KLINES, symbol="SOLUSDT", interval="1h", startTime=ms("2024-05-01"), limit=24).json()
    assert [row[0] for row in hourly] == [ms("2024-05-01") + i * 3_600_000 for i in range(24)]


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ({"symbol": "NOPEUSDT", "interval": "1d"}, -1121, "Invalid symbol."),
        ({"interval": "1d"}, -1102, "Mandatory parameter 'symbol' was not sent"),
        ({"symbol": "BTCUSDT"}, -1102, "Mandatory parameter 'interval' was not sent"),
        ({"symbol": "btcusdt", "interval": "1d"}, -1100, "Illegal characters found in parameter 'symbol'"),
        ({"symbol": "BTC/USDT", "interval": "1d"}, -1100, "Illegal characters found in parameter 'symbol'"),
        ({"symbol": "BTCUSDT", "interval": "7d"}, -1120, "Invalid interval."),
        ({"symbol": "BTCUSDT", "interval": "1d", "startTime": "x"}, -1100, "parameter 'startTime'"),
        ({"symbol": "BTCUSDT", "interval": "1d", "limit": "0"}, -1130, "parameter 'limit'"),
    ],
)
def test_bad_requests_get_binance_errors(recorded: Sandbox, query: dict[str, str], code: int, words: str) -> None:
    answer = recorded.session.get(f"{recorded.line['url']}/{KLINES}", params=query)
    assert answer.status_code == 400
    assert list(answer.json()) == ["code", "msg"]
    assert answer.json()["code"] == code and words in answer.json()["msg"]


def test_exchange_info_filters(recorded: Sandbox) -> None:
    def names(**query) -> list[str]:
        return [s["symbol"] for s in recorded.get(INFO, **query).json()["symbols"]]

    assert names(symbol="ETHUSDT") == ["ETHUSDT"]
    assert names(symbols='["BTCUSDT","ETHUSDT"]') == ["BTCUSDT", "ETHUSDT"]
    assert "BTCUPUSDT" in names(symbolStatus="BREAK") and "BTCUSDT" not in names(symbolStatus="BREAK")
    assert recorded.get(INFO, symbol="NOPE").json()["code"] == -1121
    assert recorded.get(INFO, symbols="BTCUSDT").json()["code"] == -1100


def test_what_is_not_recorded_is_named_not_empty(recorded: Sandbox) -> None:
    answer = recorded.get(KLINES, symbol="ETHUSDT", interval="1h")
    assert answer.status_code == 404 and "SOLUSDT" in answer.json()["served"]["1h"]
    for path in ("nowhere.example/x", "api.coingecko.com/api/v3/global", "stablecoins.llama.fi/stablecoin/77"):
        answer = recorded.get(path)
        assert answer.status_code == 404 and answer.json()["served"], path


def test_now_cuts_bars_listing_and_clock(root: Path, market: Path, tmp_path: Path) -> None:
    """On a folder of two recorded pairs, one of them listed in 2023."""
    (tmp_path / "binance/spot").mkdir(parents=True)
    pq.write_table(bars_of(market, "ARBUSDT", "BTCUSDT"), tmp_path / "binance/spot/klines_1d.parquet")
    (tmp_path / "coinmetrics").symlink_to(market / "coinmetrics")
    with running(root, "--market", str(tmp_path), "--now", "2022-06-01") as sandbox:
        assert sandbox.line["now"] == "2022-06-01" and sandbox.line["synthetic"] is False
        assert sandbox.get("api.binance.com/api/v3/time").json() == {"serverTime": ms("2022-06-01")}
        assert sandbox.klines("BTCUSDT", limit=1)[0][0] == ms("2022-05-31")
        assert sandbox.klines("BTCUSDT", startTime=ms("2022-06-01")) == []
        listed = {s["symbol"] for s in sandbox.get(INFO).json()["symbols"]}
        assert listed == {"BTCUSDT"}
        assert sandbox.get(KLINES, symbol="ARBUSDT", interval="1d").json()["code"] == -1121
        rows = sandbox.get(METRICS, assets="btc", metrics="CapMrktEstUSD").json()["data"]
        assert rows[-1]["time"] == "2022-05-31T00:00:00.000000000Z"


# --- limits ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def limited(root: Path) -> Iterator[Sandbox]:
    with running(root, "--size", "12", "--now", "2020-02-01", "--weight-limit", "30") as sandbox:
        yield sandbox


def test_weight_is_counted_then_refused_then_banned(limited: Sandbox) -> None:
    answers = [limited.get(KLINES, symbol="BTCUSDT", interval="1d", limit=1) for _ in range(3)]
    assert [a.status_code for a in answers] == [200] * 3
    used = [int(a.headers["X-MBX-USED-WEIGHT-1M"]) for a in answers]
    assert used[1] - used[0] == 2 or used[2] - used[1] == 2, "a minute may have turned once"
    # Twice the limit and the patience: enough also where the minute turns in between.
    seen = [limited.get("api.binance.com/api/v3/exchangeInfo") for _ in range(50)]
    first = next(a for a in seen if a.status_code == 429)
    assert 1 <= int(first.headers["Retry-After"]) <= 60 and first.json()["code"] == -1003
    assert seen[-1].status_code == 418 and int(seen[-1].headers["Retry-After"]) > 60
    assert "banned until" in seen[-1].json()["msg"]
    assert limited.log()["max_weight_used"] > 30
    assert limited.log()["statuses"]["429"] >= 20


def test_coinmetrics_refuses_the_eleventh_request_in_six_seconds(limited: Sandbox) -> None:
    answers = [limited.get(METRICS, assets="btc", metrics="CapMrktEstUSD") for _ in range(11)]
    assert [a.status_code for a in answers] == [200] * 10 + [429]
    assert 1 <= int(answers[-1].headers["X-RateLimit-Reset"]) <= 6


def test_weight_forgives_with_the_minute() -> None:
    from orchestration.sandbox.limits import MinuteWeight

    clock = [600.0]
    weight = MinuteWeight(10, lambda: clock[0])
    assert [weight.charge(4).retry_after for _ in range(3)] == [None, None, 60]
    clock[0] = 655.0
    assert weight.charge(1).retry_after == 5
    clock[0] = 660.0
    assert (weight.charge(4).retry_after, weight.charge(4).used) == (None, 8)


# --- the other upstreams ------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["recorded", "generated"])
def test_coinmetrics_pages_join_to_the_whole(which: str, request: pytest.FixtureRequest) -> None:
    sandbox = request.getfixturevalue(which)
    query = {"assets": "eth,btc", "metrics": "CapMrktEstUSD,ReferenceRateUSD", "start_time": "2021-01-01"}
    query |= {"end_time": "2021-01-20", "paging_from": "start"}
    whole = sandbox.get(METRICS, **query, page_size=10_000).json()
    assert "next_page_token" not in whole and len(whole["data"]) == 40
    assert whole["data"][0] | {"CapMrktEstUSD": "", "ReferenceRateUSD": ""} == {
        "asset": "btc",
        "time": "2021-01-01T00:00:00.000000000Z",
        "CapMrktEstUSD": "",
        "ReferenceRateUSD": "",
    }
    pages, token = [], None
    while token != "":
        page = sandbox.get(METRICS, **query, page_size=7, **({"next_page_token": token} if token else {})).json()
        assert ("next_page_url" in page) == ("next_page_token" in page)
        pages.append(page["data"])
        token = page.get("next_page_token", "")
    assert [len(page) for page in pages] == [7, 7, 7, 7, 7, 5]
    assert sum(pages, []) == whole["data"]
    newest = sandbox.get(METRICS, **(query | {"paging_from": "end"}), page_size=3).json()
    assert newest["data"] == whole["data"][-3:]


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        ({"assets": "nosuchcoin"}, 400, "bad_parameter"),
        ({"metrics": "NoSuchMetric"}, 400, "bad_parameter"),
        ({"metrics": "CapMrktCurUSD"}, 403, "forbidden"),
        ({"page_size": 10_001}, 400, "bad_parameter"),
        ({"next_page_token": "@@"}, 400, "bad_parameter"),
        ({"assets": ""}, 400, "missing_parameter"),
        ({"assets": "btc,nosuchcoin", "ignore_unsupported_errors": "true"}, 200, None),
    ],
)
def test_coinmetrics_errors(recorded: Sandbox, change: dict, status: int, kind: str | None) -> None:
    answer = recorded.get(METRICS, **({"assets": "btc", "metrics": "CapMrktEstUSD"} | change))
    assert answer.status_code == status
    assert answer.json().get("error", {}).get("type") == kind
    assert answer.headers["X-RateLimit-Limit"] == "10"


@pytest.mark.parametrize("which", ["recorded", "generated"])
def test_coingecko_pages_by_cap(which: str, request: pytest.FixtureRequest) -> None:
    sandbox = request.getfixturevalue(which)

    def page(number: int) -> list[dict]:
        query = {"vs_currency": "usd", "order": "market_cap_desc", "per_page": 60, "page": number}
        return sandbox.get("api.coingecko.com/api/v3/coins/markets", **query).json()

    first, second = page(1), page(2)
    caps = [coin["market_cap"] for coin in first + second]
    assert caps == sorted(caps, reverse=True) and first[0]["id"] == "bitcoin"
    assert not {coin["id"] for coin in first} & {coin["id"] for coin in second}
    assert page(1000) == []
    assert sandbox.get("api.coingecko.com/api/v3/coins/markets").status_code == 422


def test_static_bodies_ignore_order_and_unknown_parameters(recorded: Sandbox) -> None:
    csv = recorded.get("fred.stlouisfed.org/graph/fredgraph.csv", cosd="2020-01-01", id="M2SL").text
    assert csv.startswith("observation_date,M2SL\n1959-01-01,286.6\n")
    unknown = recorded.get("fred.stlouisfed.org/graph/fredgraph.csv", id="NOSUCH")
    assert unknown.status_code == 404 and "html" in unknown.headers["Content-Type"]
    newest = recorded.get("api.alternative.me/fng/", format="json", limit=2).json()
    assert newest["data"] == recorded.get("api.alternative.me/fng/", limit=0).json()["data"][:2]
    assert recorded.get("stablecoins.llama.fi/stablecoin/2").json()["symbol"] == "USDC"


def test_catalog_names_what_is_served(recorded: Sandbox, generated: Sandbox) -> None:
    for sandbox in (recorded, generated):
        catalog = sandbox.get("_sandbox/catalog").json()
        assert (catalog["synthetic"], catalog["now"]) == (sandbox.line["synthetic"], sandbox.line["now"])
        upstreams = catalog["upstreams"]
        for coin in upstreams["defillama"]["stablecoins"]:
            assert sandbox.get(f"stablecoins.llama.fi/stablecoin/{coin}").json()["id"] == coin
        for series in upstreams["fred"]["series"]:
            assert sandbox.get("fred.stlouisfed.org/graph/fredgraph.csv", id=series).status_code == 200
        assert upstreams["binance"]["symbols"] == len(sandbox.get(INFO).json()["symbols"])
        assert {"btc", "eth"} <= set(upstreams["coinmetrics"]["assets"])
    assert recorded.get("_sandbox/catalog").json()["exchanges"] == ["binance"]
    catalog = generated.get("_sandbox/catalog").json()
    assert catalog["synthetic"] is True
    exchanges = catalog["exchanges"]
    assert {"binance", "okx", "gate", "htx", "bitget", "upbit"} <= set(exchanges) <= set(catalog["upstreams"])
    assert "binance_usdm" not in exchanges, "perpetuals are not spot"


# --- the generated market ------------------------------------------------------------------------


def test_generated_bars_are_possible(generated: Sandbox) -> None:
    symbols = [s["symbol"] for s in generated.get(INFO).json()["symbols"]]
    assert {"EURUSDT", "PAXGUSDT", "USDTTRY", "BTCUPUSDT", "JUPUSDT", "ETHBTC", "SOLBNB", "BTCEUR", "SOLUSDC"} <= set(
        symbols
    )
    count = 0
    for symbol in [*symbols[:20], *symbols[-40:], "LUNAUSDT", "USDTTRY", "USDCUSDT", "DOGEUSDT"]:
        for row in generated.klines(symbol, startTime=0, limit=1000):
            opened, high, low, close, base, quote, buy_base, buy_quote = (
                Decimal(row[i]) for i in (1, 2, 3, 4, 5, 7, 9, 10)
            )
            assert 0 < low <= min(opened, close) and max(opened, close) <= high, (symbol, row)
            assert low * base <= quote <= high * base and row[8] > 0, (symbol, row)
            assert 0 <= buy_base <= base and 0 <= buy_quote <= quote, (symbol, row)
            assert all(len(text.partition(".")[2]) == 8 for text in (*row[1:6], row[7], row[9], row[10])), (symbol, row)
            count += 1
    assert count > 30_000


def test_generated_lives(generated: Sandbox) -> None:
    """A re-used ticker has a hole between two coins; what was delisted has no later bar."""
    luna = [row[0] for row in generated.klines("LUNAUSDT", startTime=ms("2022-01-01"), limit=1000)]
    hole = [(a, b) for a, b in zip(luna, luna[1:], strict=False) if b - a != DAY]
    assert hole == [(ms("2022-05-13"), ms("2022-05-31"))]
    symbols = {s["symbol"]: s["status"] for s in generated.get(INFO).json()["symbols"]}
    assert (symbols["FTTUSDT"], symbols["LUNAUSDT"]) == ("BREAK", "TRADING")
    for symbol, status in [*symbols.items()][::3]:
        newest = generated.klines(symbol, limit=1)[0][0]
        assert (newest == ms("2026-02-28")) == (status == "TRADING"), symbol


def test_generated_supplies_add_up(generated: Sandbox) -> None:
    """Chains sum to their coin and coins to the total of their peg, to the cent."""

    def points(path: str):
        return json.loads(generated.get(f"stablecoins.llama.fi/{path}").text, parse_float=Decimal)

    listed = points("stablecoins?includePrices=true")["peggedAssets"]
    total: dict[tuple[str, int], Decimal] = {}
    for coin in listed:
        body, peg = points(f"stablecoin/{coin['id']}"), coin["pegType"]
        chains: dict[int, Decimal] = {}
        for balance in body["chainBalances"].values():
            for point in balance["tokens"]:
                chains[point["date"]] = chains.get(point["date"], Decimal(0)) + point["circulating"][peg]
        assert chains == {point["date"]: point["circulating"][peg] for point in body["tokens"]}
        for day, value in chains.items():
            total[peg, day] = total.get((peg, day), Decimal(0)) + value
    charts = points("stablecoincharts/all")
    assert total == {(peg, int(p["date"])): v for p in charts for peg, v in p["totalCirculating"].items()}
    assert {peg for peg, _ in total} == {"peggedUSD", "peggedEUR"} and len(total) > 2_500


def test_tomorrow_restates_nothing(generated: Sandbox) -> None:
    """Another process with an earlier now has every common day alike."""
    from orchestration.sandbox.generated import GeneratedMarket

    earlier = GeneratedMarket(date(2022, 5, 20))
    for symbol in [*list(earlier.symbols())[::8], "LUNAUSDT", "USDTTRY"]:
        rows = earlier.klines(symbol, "1d")
        assert rows
        then = json.loads(b"[" + bytes(rows.slice(0, len(rows.times))) + b"]")
        assert generated.klines(symbol, startTime=0, limit=1000)[: len(then)] == then[:1000], symbol
        assert len(then) < 1000 or then[-1] in generated.klines(symbol, startTime=then[-1][0], limit=1)
    query = {"assets": "btc,luna,usdt,sol", "metrics": "CapMrktEstUSD", "page_size": 10_000, "paging_from": "start"}
    answer = generated.get(METRICS, **query, ignore_unsupported_errors="true").json()["data"]
    now = {(row["asset"], row["time"][:10]): row["CapMrktEstUSD"] for row in answer}
    caps = [row for row in earlier.caps().to_pylist() if row["asset"] in ("btc", "usdt", "sol")]
    assert len(caps) > 2_000
    assert {(row["asset"], row["time"]): row["CapMrktEstUSD"] for row in caps}.items() <= now.items()
    for body in earlier.bodies():
        later = generated.get(body.host + body.path, **dict(body.query)).content
        if body.host == "fred.stlouisfed.org":
            assert later.startswith(body.read()) and later != body.read()
        elif body.path == "/stablecoincharts/all":
            then = json.loads(body.read())
            assert then[:-1] == json.loads(later)[: len(then) - 1], "the last point is the day that is not over"


def test_another_seed_is_another_market(generated: Sandbox) -> None:
    from orchestration.sandbox.generated import GeneratedMarket

    now = date.fromisoformat(generated.line["now"])
    for seed, is_same in ((1, True), (2, False)):
        for symbol in ("BTCUSDT", "USDCUSDT"):
            rows = GeneratedMarket(now, seed=seed).klines(symbol, "1d")
            assert rows
            text = b"[" + bytes(rows.slice(len(rows.times) - 500, len(rows.times))) + b"]"
            assert (generated.get(KLINES, symbol=symbol, interval="1d").content == text) is is_same


def test_alts_are_sold_in_2025_and_2026() -> None:
    """The story that the generated market tells; also the cheapest proof that flows are summed with the right sign."""
    from orchestration.sandbox.generated import GeneratedMarket

    market = GeneratedMarket(date(2026, 3, 1))
    net, gross = {}, {}
    for name, asset in market.paths.assets.items():
        if asset.kind != "coin" or name in ("BTC", "ETH"):
            continue
        bars = market.bars("binance", f"{name}/USDT", "1d")
        assert bars
        for year in (2024, 2025):
            kept = (bars.times_ms >= ms(f"{year}-02-01")) & (bars.times_ms < ms(f"{year + 1}-02-01"))
            net[year] = net.get(year, 0) + int((2 * bars.taker_buy_quote - bars.volume_quote)[kept].sum())
            gross[year] = gross.get(year, 0) + int(bars.volume_quote[kept].sum(dtype=float))
    assert abs(net[2024] / gross[2024]) < 0.01
    assert net[2025] / gross[2025] < -0.015


# --- faults ------------------------------------------------------------------------------------

FAULTY = {
    "500": "INJ",
    "429": "SEI",
    "418": "ARB",
    "451": "DOT",
    "403-html": "UNI",
    "html-200": "ADA",
    "truncated": "SOL",
    "empty": "XRP",
    "hang": "TRX",
    "reset": "LTC",
}


@pytest.fixture(scope="module")
def faulty(root: Path) -> Iterator[Sandbox]:
    rules = [argument for kind, coin in FAULTY.items() for argument in ("--faults", f"binance:{kind}:symbol={coin}")]
    with running(root, "--now", "2024-03-01", "--weight-limit", "0", *rules) as sandbox:
        yield sandbox


@pytest.mark.parametrize("kind", FAULTY)
def test_each_fault_happens_and_is_logged(faulty: Sandbox, kind: str) -> None:
    def ask() -> requests.Response:
        return faulty.get(KLINES, symbol=FAULTY[kind] + "USDT", interval="1d", timeout=0.5 if kind == "hang" else 10)

    before = len(faulty.log()["faults_fired"])
    if kind == "hang":
        with pytest.raises(requests.ReadTimeout):
            ask()
    elif kind == "reset":
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            ask()
    else:
        answer = ask()
        expected = {"403-html": 403, "html-200": 200, "truncated": 200, "empty": 200}.get(kind)
        assert answer.status_code == (expected or int(kind))
        assert int(answer.headers["Content-Length"]) == len(answer.content)
        if kind in ("429", "418"):
            assert int(answer.headers["Retry-After"]) >= 1
        if kind in ("403-html", "html-200"):
            assert answer.headers["Content-Type"].startswith("text/html") and answer.text.startswith("<!DOCTYPE")
        if kind in ("truncated", "empty", "html-200"):
            with pytest.raises(requests.JSONDecodeError):
                answer.json()
        assert (kind == "empty") == (answer.content == b"")
    fired = faulty.log()["faults_fired"][before:]
    assert [(f["kind"], f["upstream"]) for f in fired] == [(kind, "data-api.binance.vision")]
    assert len(faulty.klines("BTCUSDT", limit=3)) == 3, "the rest of the upstream is well"


def test_geo_block_has_the_recorded_body(faulty: Sandbox, shared: Path) -> None:
    body = json.loads((shared / "fixtures/binance_rest/error_451_geo_block.json").read_text())
    assert faulty.get(KLINES, symbol="DOTUSDT", interval="1d").json() == body


def test_fault_files_counts_and_probabilities(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "faults.yaml"
    file.write_text(
        "- {upstream: fred, kind: 500, nth: 2}\n"
        "- {upstream: api.alternative.me, kind: 429, from_nth: 2, retry_after: 7}\n"
        "- {upstream: binance, kind: empty, path: time, probability: 0.5}\n"
    )
    with running(root, "--now", "2020-03-01", "--size", "12", "--faults", str(file), "--seed", "3") as sandbox:
        fred = [sandbox.get("fred.stlouisfed.org/graph/fredgraph.csv", id="DFF").status_code for _ in range(3)]
        assert fred == [200, 500, 200]
        moods = [sandbox.get("api.alternative.me/fng/") for _ in range(3)]
        assert [m.status_code for m in moods] == [200, 429, 429] and moods[1].headers["Retry-After"] == "7"
        empty = [not sandbox.get("api.binance.com/api/v3/time").content for _ in range(60)]
        assert 15 < sum(empty) < 45
        assert sandbox.log()["fault_counts"]["binance:empty:time"] == sum(empty)


def test_fault_text_is_read() -> None:
    from orchestration.sandbox.faults import Rule, parse

    assert parse("fred:500") == Rule("fred", "500")
    assert parse("binance:reset:klines:0.1") == Rule("binance", "reset", "klines", probability=0.1)
    assert parse("binance:429:3") == Rule("binance", "429", nth=3)
    assert parse("*:hang:/api/v3:2+") == Rule("*", "hang", "/api/v3", from_nth=2)


# --- the process ---------------------------------------------------------------------------------


def test_it_says_where_it_is_and_ends_with_its_parent(root: Path) -> None:
    with running(root, "--now", "2020-02-01", "--size", "12") as sandbox:
        assert set(sandbox.line) == {"url", "market", "synthetic", "now"}
        assert sandbox.line["url"].startswith("http://127.0.0.1:") and sandbox.line["synthetic"] is True
        assert sandbox.get("api.binance.com/api/v3/ping").json() == {}
        assert sandbox.process.stdin
        sandbox.process.stdin.close()
        assert sandbox.process.wait(5) == 0
        with pytest.raises(requests.ConnectionError):
            sandbox.get("api.binance.com/api/v3/ping")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--faults", "binance:explode"], "fault kind 'explode'"),
        (["--faults", "binanse:500"], "fault upstream 'binanse'"),
        (["--faults", "none.yaml"], "none.yaml"),
        (["--market", "."], "klines_1d.parquet"),
        (["--now", "2019-12-31"], "2020-01-01"),
    ],
)
def test_wrong_use_is_refused_in_words(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from orchestration.sandbox import command

    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    assert command.main(parser.parse_args(arguments)) == 2
    out, err = capsys.readouterr()
    assert words in err and not out
