"""The stand-in exchanges' REST answers: recorded shapes and number texts, paging, exact sums, limits, errors, now."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.sandbox import amounts
from orchestration.sandbox.binance import Binance
from orchestration.sandbox.directory import BY_HOST, ENTRIES
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sandbox.market import Bars, Trades
from orchestration.sandbox.venue import Venue
from orchestration.sandbox.wire import Reply, Request

NOW = date(2026, 3, 1)
DAY, HOUR = 86_400_000, 3_600_000
NOW_MS = int(datetime(NOW.year, NOW.month, NOW.day, tzinfo=UTC).timestamp() * 1000)
COINBASE, KRAKEN, UPBIT = "api.exchange.coinbase.com", "api.kraken.com", "api.upbit.com"
OKX, BYBIT, KUCOIN, GATE = "www.okx.com", "api.bybit.com", "api.kucoin.com", "api.gateio.ws"
SPOT, FUTURES, US, POLONIEX = "data-api.binance.vision", "fapi.binance.com", "api.binance.us", "api.poloniex.com"
HTX, BITGET = "api.huobi.pro", "api.bitget.com"
BITSTAMP, CRYPTO_COM = "www.bitstamp.net", "api.crypto.com"
PAPRIKA, GECKO = "api.coinpaprika.com", "api.coingecko.com"
EXCHANGE = {COINBASE: "coinbase", KRAKEN: "kraken", UPBIT: "upbit", OKX: "okx", BYBIT: "bybit", KUCOIN: "kucoin"}
EXCHANGE |= {GATE: "gate", SPOT: "binance", "api.binance.com": "binance", FUTURES: "binance_usdm", US: "binance_us"}
EXCHANGE |= {POLONIEX: "poloniex", BITSTAMP: "bitstamp", CRYPTO_COM: "crypto_com"}


@dataclass
class Servers:
    """Servers over one market, asked without a network."""

    market: GeneratedMarket
    is_limited: bool = False

    def __post_init__(self) -> None:
        self.made: dict[str, Callable[[Request], Reply]] = {}

    def ask(self, host: str, path: str, **query: Any) -> Reply:
        entry = BY_HOST[host]
        if entry.server not in self.made:
            # The one server whose limit can be set.
            if entry.server == "binance:Binance":
                self.made[entry.server] = Binance(self.market, 6000 if self.is_limited else 0)
            else:
                self.made[entry.server] = entry.make(self.market, self.is_limited)
        texts = {name.rstrip("_"): str(value) for name, value in query.items()}
        return self.made[entry.server](Request(host, path, texts, "http://sandbox"))

    def get(self, host: str, path: str, **query: Any) -> Any:
        reply = self.ask(host, path, **query)
        assert reply.status == 200, reply.body
        return json.loads(reply.body, parse_float=Decimal)


@pytest.fixture(scope="module")
def generated() -> GeneratedMarket:
    return GeneratedMarket(NOW, size=40, start=date(2025, 1, 1))


@pytest.fixture(scope="module")
def servers(generated: GeneratedMarket) -> Servers:
    return Servers(generated)


# --- shapes equal the recorded answers ------------------------------------------------------------


def shape(value: Any, with_order: bool) -> Any:
    """Fields and JSON types all the way down; of a list, the first element."""
    if isinstance(value, dict):
        fields = [(key, shape(inner, with_order)) for key, inner in value.items()]
        return fields if with_order else sorted(fields, key=lambda field: field[0])
    if isinstance(value, list):
        return [shape(value[0], with_order)] if value else []
    return type(value).__name__


def cells(row: list) -> list[str]:
    return [type(cell).__name__ for cell in row]


RUBIK = {"ccy": "BTC", "instType": "SPOT", "period": "1D"}
BTC_DAYS = {"symbol": "BTCUSDT", "interval": "1d"}
THREE_DAYS = {"from": NOW_MS // 1000 - 3 * 86_400, "to": NOW_MS // 1000}
# Fixture, host, path, query. A fixture of binance* has its fields sorted by who recorded it.
SHAPES = [
    ("coinbase_exchange/products.json", COINBASE, "/products", {}),
    ("coinbase_exchange/trades.json", COINBASE, "/products/BTC-USD/trades", {"limit": 100}),
    ("coinbase_exchange/book_l3.json", COINBASE, "/products/BTC-USD/book", {"level": 3}),
    ("coinbase_exchange/ticker.json", COINBASE, "/products/BTC-USD/ticker", {}),
    ("upbit/market_all.json", UPBIT, "/v1/market/all", {}),
    ("bitstamp/transactions_btcusd_hour.json", BITSTAMP, "/api/v2/transactions/btcusd/", {"time": "day"}),
    ("bitstamp/trading-pairs-info.json", BITSTAMP, "/api/v2/trading-pairs-info/", {}),
    ("cryptocom/get-trades.json", CRYPTO_COM, "/exchange/v1/public/get-trades", {"instrument_name": "BTC_USDT"}),
    ("okx/instruments_spot.json", OKX, "/api/v5/public/instruments", {"instType": "SPOT"}),
    ("okx/tickers.json", OKX, "/api/v5/market/tickers", {"instType": "SPOT"}),
    ("okx/history-trades.json", OKX, "/api/v5/market/history-trades", {"instId": "BTC-USDT"}),
    ("okx/history-candles.json", OKX, "/api/v5/market/history-candles", {"instId": "BTC-USDT", "bar": "1Dutc"}),
    ("okx/rubik_taker_volume_spot_1D.json", OKX, "/api/v5/rubik/stat/taker-volume", RUBIK),
    ("bybit/v5_instruments-info_spot.json", BYBIT, "/v5/market/instruments-info", {"category": "spot"}),
    ("bybit/v5_kline.json", BYBIT, "/v5/market/kline", {"category": "spot", "symbol": "BTCUSDT", "interval": "D"}),
    ("bybit/v5_recent-trade_spot.json", BYBIT, "/v5/market/recent-trade", {"category": "spot", "symbol": "BTCUSDT"}),
    ("bybit/v5_orderbook.json", BYBIT, "/v5/market/orderbook", {"category": "spot", "symbol": "BTCUSDT"}),
    ("kucoin/symbols_v1.json", KUCOIN, "/api/v1/symbols", {}),
    ("kucoin/rest_all_tickers.json", KUCOIN, "/api/v1/market/allTickers", {}),
    ("kucoin/rest_klines.json", KUCOIN, "/api/v1/market/candles", {"symbol": "BTC-USDT", "type": "1day"}),
    ("kucoin/histories.json", KUCOIN, "/api/v1/market/histories", {"symbol": "BTC-USDT"}),
    ("kucoin/level2_BCHSV-USDT.json", KUCOIN, "/api/v3/market/orderbook/level2", {"symbol": "BTC-USDT"}),
    ("gate/trades.json", GATE, "/api/v4/spot/trades", {"currency_pair": "BTC_USDT"}),
    ("gate/candlesticks.json", GATE, "/api/v4/spot/candlesticks", {"currency_pair": "BTC_USDT", "interval": "1d"}),
    (
        "gate/order_book_OMG_USDT.json",
        GATE,
        "/api/v4/spot/order_book",
        {"currency_pair": "BTC_USDT", "with_id": "true"},
    ),
    ("binance_futures/fapi_exchangeInfo_25symbols_2025-08.json", FUTURES, "/fapi/v1/exchangeInfo", {}),
    ("binance_futures/fapi_klines_BTCUSDT_1d_2019_116.json", FUTURES, "/fapi/v1/klines", BTC_DAYS),
    ("binance_futures/fundingRate_BTCUSDT_100.json", FUTURES, "/fapi/v1/fundingRate", {"symbol": "BTCUSDT"}),
    (
        "binance_futures/openInterestHist_LTCUSDT_1d_10.json",
        FUTURES,
        "/futures/data/openInterestHist",
        {"symbol": "BTCUSDT", "period": "1d", "limit": 10},
    ),
    (
        "binance_futures/takerlongshortRatio_BTCUSDT_5m_10.json",
        FUTURES,
        "/futures/data/takerlongshortRatio",
        {"symbol": "BTCUSDT", "period": "1h", "limit": 10},
    ),
    ("binance_rest/aggTrades_BTCUSDT_1000.json", SPOT, "/api/v3/aggTrades", {"symbol": "BTCUSDT", "limit": 1000}),
    ("binance_rest/trades_ETHBTC_1000.json", SPOT, "/api/v3/trades", {"symbol": "ETHBTC", "limit": 1000}),
    ("binance_rest/depth_NKNUSDT_1000.json", SPOT, "/api/v3/depth", {"symbol": "ETHUSDT", "limit": 1000}),
    ("binance_rest/ticker24hr_all_6kept.json", SPOT, "/api/v3/ticker/24hr", {}),
    (
        "binance_rest/klines_BTCUSDT_1h_1000_fullpage.json",
        SPOT,
        "/api/v3/klines",
        {"symbol": "BTCUSDT", "interval": "1h", "limit": 1000},
    ),
    ("binance_rest/klines_docs_example.json", US, "/api/v3/klines", BTC_DAYS),
    ("coingecko/coins_markets.json", GECKO, "/api/v3/coins/markets", {"vs_currency": "usd"}),
    (
        "coingecko/market_chart_range.json",
        GECKO,
        "/api/v3/coins/ethereum/market_chart/range",
        {"vs_currency": "usd"} | THREE_DAYS,
    ),
]


@pytest.mark.parametrize(("fixture", "host", "path", "query"), SHAPES, ids=[case[0] for case in SHAPES])
def test_an_answer_has_the_recorded_fields_types_and_order(
    fixture: str, host: str, path: str, query: dict, servers: Servers, shared: Path
) -> None:
    recorded = json.loads((shared / "fixtures" / fixture).read_text())
    answer = json.loads(servers.ask(host, path, **query).body)
    is_sorted = fixture.startswith("binance") and "depth" not in fixture
    ours, theirs = shape(answer, not is_sorted), shape(recorded, not is_sorted)
    if host == GECKO:  # 70187 and 70187.5 are one type to CoinGecko
        ours, theirs = (json.loads(json.dumps(s).replace('"float"', '"int"')) for s in (ours, theirs))
    assert ours == theirs
    rows, like = (first_rows(value) for value in (answer, recorded))
    if rows and like and isinstance(like[0], list):
        assert {tuple(cells(row)) for row in rows} <= {tuple(cells(row)) for row in like} or host == GECKO


def first_rows(answer: Any) -> list:
    """The list of rows in an answer, wherever its envelope keeps it."""
    while isinstance(answer, dict):
        inner = [value for value in answer.values() if isinstance(value, (dict, list)) and value]
        if not inner:
            return []
        answer = inner[0]
    return answer


def test_bitget_wraps_its_pairs_as_recorded(servers: Servers, shared: Path) -> None:
    recorded = json.loads((shared / "fixtures/bitget/fills-history.json").read_text())
    answer = servers.get(BITGET, "/api/v2/spot/public/symbols")
    assert list(answer) == list(recorded) and shape(answer, True)[:3] == shape(recorded, True)[:3]
    assert answer["requestTime"] == NOW_MS
    pairs = {pair["symbol"]: pair for pair in answer["data"]}
    assert len(pairs) == len(servers.market.listings("bitget"))
    assert (pairs["BTCUSDT"]["baseCoin"], pairs["BTCUSDT"]["quoteCoin"]) == ("BTC", "USDT")


def test_htx_wraps_its_pairs_as_recorded(servers: Servers, shared: Path) -> None:
    recorded = json.loads((shared / "fixtures/htx/history_trade.json").read_text())
    clock, answer = (servers.get(HTX, f"/v1/common/{name}") for name in ("timestamp", "symbols"))
    for body in (clock, answer):
        assert [key for key in recorded if key in body] == list(body) and body["status"] == recorded["status"]
    assert clock["data"] == NOW_MS
    pairs = {pair["symbol"]: pair for pair in answer["data"]}
    assert len(pairs) == len(servers.market.listings("htx"))
    assert (pairs["btcusdt"]["base-currency"], pairs["btcusdt"]["quote-currency"]) == ("btc", "usdt")
    assert servers.ask(HTX, "/market/history/trade").status == 404


def test_bitget_and_htx_list_what_trades_no_more() -> None:
    market = GeneratedMarket(date(2024, 9, 20), size=20, start=date(2024, 9, 1), exchanges=("binance", "htx", "bitget"))
    alone = Servers(market)
    pairs = alone.get(BITGET, "/api/v2/spot/public/symbols")["data"]
    assert [pair["symbol"] for pair in pairs if pair["status"] != "online"] == ["MATICUSDT"]
    pairs = alone.get(HTX, "/v1/common/symbols")["data"]
    assert [pair["symbol"] for pair in pairs if pair["state"] != "online"] == ["maticusdt"]


def test_kraken_wraps_its_answers_as_recorded(servers: Servers, shared: Path) -> None:
    for name, query in {"Trades": {"count": 3}, "OHLC": {"interval": 1440}}.items():
        recorded = json.loads((shared / f"fixtures/kraken/{name}.json").read_text())
        answer = json.loads(servers.ask(KRAKEN, f"/0/public/{name}", pair="XBTUSD", **query).body)
        assert shape(answer, True) == shape(recorded, True)
        assert {tuple(cells(row)) for row in answer["result"]["XXBTZUSD"]} == {
            tuple(cells(row)) for row in recorded["result"]["XXBTZUSD"]
        }


def test_kraken_names_assets_and_pairs_as_recorded(servers: Servers, shared: Path) -> None:
    body = servers.ask(KRAKEN, "/0/public/AssetPairs").body
    ours = json.loads(body)["result"]
    theirs = json.loads((shared / "fixtures/kraken/AssetPairs_2021.json").read_text())["result"]
    assert {"XXBTZUSD", "XETHZUSD", "XDGUSD", "ADAUSD", "XXBTZEUR", "XXRPZUSD"} <= set(ours)
    assert b'"wsname":"XBT\\/USD"' in body, "slashes are escaped"
    names = ("altname", "wsname", "base", "quote", "aclass_base", "lot", "lot_decimals")
    known = set(ours) & set(theirs)
    assert len(known) > 15
    for key in known:
        assert list(ours[key]) == list(theirs[key])
        assert [ours[key][name] for name in names] == [theirs[key][name] for name in names]
    assert shape(ours["XXBTZUSD"]["fees_maker"], True) == shape(theirs["XXBTZUSD"]["fees_maker"], True)


def test_upbit_ticks_have_the_recorded_fields_and_numbers(servers: Servers, shared: Path) -> None:
    recorded = json.loads((shared / "fixtures/upbit/trades_ticks.json").read_text())
    body = servers.ask(UPBIT, "/v1/trades/ticks", market="KRW-BTC", count=500).body.decode()
    rows = json.loads(body)
    assert [list(row) for row in rows[:1]] == [list(row) for row in recorded]
    older = json.loads((shared / "fixtures/upbit/trades_ticks_BTC-ETH_2018.json").read_text())
    assert list(rows[0])[:-1] == list(older[0]), "only sequential_id came later"
    for row, like in ((rows[0], recorded[0]), (rows[0], older[0])):
        texts = [key for key, value in like.items() if isinstance(value, str)]
        assert all(isinstance(row[key], str) == (key in texts) for key in like)
    assert re.fullmatch(r"\d{17}", str(rows[0]["sequential_id"])) and recorded[0]["sequential_id"] > 10**16
    assert all(row["sequential_id"] // 10_000 == row["timestamp"] for row in [*rows, *recorded])


SHORT, EIGHT, FOUR = r"\d+(\.\d*[1-9])?", r"\d+\.\d{8}", r"\d+\.\d{4}"
# Fixture, where numbers stand in it (`*`: in every element), the text that all of them and all of ours have.
TEXTS = [
    ("coinbase_exchange/trades.json", "*.price *.size", EIGHT),
    ("coinbase_exchange/trades.json", "*.time", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"),
    ("coinbase_exchange/book_l3.json", "bids.*.0 bids.*.1 asks.*.0 asks.*.1", SHORT),
    ("bitstamp/transactions_btcusd_hour.json", "*.price", r"\d+\.\d\d"),
    ("bitstamp/transactions_btcusd_hour.json", "*.amount", EIGHT),
    ("bitstamp/transactions_btcusd_hour.json", "*.date", r"1\d{9}"),
    ("bitstamp/transactions_btcusd_hour.json", "*.type", "[01]"),
    ("bitstamp/trading-pairs-info.json", "*.url_symbol", "[a-z0-9]+"),
    ("bitstamp/trading-pairs-info.json", "*.trading", "Enabled|Disabled"),
    ("cryptocom/get-trades.json", "result.data.*.p result.data.*.q", r"\d+\.\d{6}"),
    ("cryptocom/get-trades.json", "result.data.*.t", r"1\d{12}"),
    ("cryptocom/get-trades.json", "result.data.*.tn", r"1\d{18}"),
    ("cryptocom/get-trades.json", "result.data.*.s", "BUY|SELL"),
    ("kraken/Trades.json", "result.XXBTZUSD.*.0", r"\d+\.\d{5}"),
    ("kraken/Trades.json", "result.XXBTZUSD.*.1", EIGHT),
    ("kraken/Trades.json", "result.XXBTZUSD.*.2", r"1\d{9}(\.\d{1,6}[1-9])?"),
    ("kraken/Trades.json", "result.last", r"1\d{18}"),
    ("okx/history-trades.json", "data.*.sz data.*.px data.*.ts data.*.tradeId", SHORT),
    ("okx/history-candles.json", "data.*.0", r"\d{13}"),
    ("okx/history-candles.json", "data.*.1 data.*.4 data.*.5 data.*.6 data.*.7", SHORT),
    ("okx/rubik_taker_volume_spot_1D.json", "data.*.1 data.*.2", FOUR),
    ("bybit/v5_recent-trade_spot.json", "result.list.*.price result.list.*.size", SHORT),
    ("bybit/v5_recent-trade_spot.json", "result.list.*.execId", r"\d{19}"),
    ("bybit/v5_recent-trade_spot.json", "result.list.*.side", "Buy|Sell"),
    ("bybit/v5_kline.json", "result.list.*.1 result.list.*.5 result.list.*.6", SHORT),
    ("kucoin/histories.json", "data.*.price data.*.size", SHORT),
    ("kucoin/histories.json", "data.*.time", r"1\d{18}"),
    ("kucoin/histories.json", "data.*.side", "buy|sell"),
    ("kucoin/rest_klines.json", "data.*.0", r"\d{10}"),
    ("kucoin/rest_klines.json", "data.*.1 data.*.3 data.*.5 data.*.6", SHORT),
    ("gate/trades.json", "*.price *.amount", SHORT),
    ("gate/trades.json", "*.create_time_ms", r"\d{13}\.\d{3}"),
    ("gate/candlesticks.json", "*.1 *.6", EIGHT),
    ("gate/candlesticks.json", "*.2 *.3 *.4 *.5", SHORT),
    ("binance_futures/fapi_klines_BTCUSDT_1d_2019_116.json", "*.1 *.2 *.3 *.4", r"\d+(\.\d\d)?"),
    ("binance_futures/fundingRate_BTCUSDT_100.json", "*.fundingRate", r"-?0\.\d{8}"),
    ("binance_futures/openInterestHist_LTCUSDT_1d_10.json", "*.sumOpenInterest *.sumOpenInterestValue", EIGHT),
    ("binance_futures/takerlongshortRatio_BTCUSDT_5m_10.json", "*.buySellRatio *.buyVol *.sellVol", FOUR),
    ("binance_rest/aggTrades_BTCUSDT_1000.json", "*.p *.q", EIGHT),
    ("binance_rest/trades_ETHBTC_1000.json", "*.price *.qty *.quoteQty", EIGHT),
    ("binance_rest/ticker24hr_all_6kept.json", "*.volume *.quoteVolume *.weightedAvgPrice", EIGHT),
    ("binance_rest/ticker24hr_all_6kept.json", "*.priceChangePercent", r"-?\d+\.\d{3}"),
    ("binance_rest/klines_docs_example.json", "*.1 *.5 *.7 *.9 *.10", EIGHT),
]


def pick(answer: Any, path: str) -> list:
    """The values at `path`: keys and indices between points, `*` for every element."""
    found = [answer]
    for key in path.split("."):
        if key == "*":
            found = [inner for value in found for inner in value]
        else:
            found = [value[int(key)] if isinstance(value, list) else value[key] for value in found]
    return found


@pytest.mark.parametrize(("fixture", "paths", "pattern"), TEXTS, ids=[f"{case[0]}-{case[1]}" for case in TEXTS])
def test_numbers_have_the_recorded_text(fixture: str, paths: str, pattern: str, servers: Servers, shared: Path) -> None:
    kraken = (KRAKEN, "/0/public/Trades", {"pair": "XBTUSD"})
    host, path, query = next((case[1:] for case in SHAPES if case[0] == fixture), kraken)
    recorded = json.loads((shared / "fixtures" / fixture).read_text(), parse_float=str)
    ours = json.loads(servers.ask(host, path, **query).body, parse_float=str)
    for answer in (recorded, ours):
        texts = [str(value) for where in paths.split() for value in pick(answer, where)]
        assert texts and all(re.fullmatch(pattern, text) for text in texts)


# --- a day's trades, paged: each once, and their sums are the day's bar ------------------------------


@dataclass(frozen=True)
class Seen:
    trade_id: int
    time_us: int
    price: Decimal
    size: Decimal
    taker_bought: bool


def micros(text: str) -> int:
    whole, _, part = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp()) * 1_000_000 + int(part)


PAGES = 60  # of seven trades: more than any day has


def coinbase_day(servers: Servers, name: str, day_ms: int) -> list[Seen]:
    """Backwards by `after`. The side is the maker's."""
    product, after, found = name.replace("/", "-"), {}, []
    for _ in range(PAGES):
        reply = servers.ask(COINBASE, f"/products/{product}/trades", limit=7, **after)
        rows, headers = json.loads(reply.body, parse_float=Decimal), dict(reply.headers)
        seen = [
            Seen(r["trade_id"], micros(r["time"]), Decimal(r["price"]), Decimal(r["size"]), r["side"] == "sell")
            for r in rows
        ]
        found += [trade for trade in seen if day_ms * 1000 <= trade.time_us < (day_ms + DAY) * 1000]
        if not rows or seen[-1].time_us < day_ms * 1000:
            return found[::-1]
        assert headers["CB-BEFORE"] == str(rows[0]["trade_id"]) and headers["CB-AFTER"] == str(rows[-1]["trade_id"])
        after = {"after": headers["CB-AFTER"]}
    raise AssertionError("the pages do not end")


def kraken_day(servers: Servers, name: str, day_ms: int) -> list[Seen]:
    """Forwards by `since`, which is passed back as it came."""
    pair, since, found = name.replace("BTC", "XBT").replace("DOGE", "XDG"), str(day_ms * 10**6 - 1), []
    for _ in range(PAGES):
        answer = servers.get(KRAKEN, "/0/public/Trades", pair=pair, since=since, count=7)
        assert answer["error"] == []
        rows = next(value for key, value in answer["result"].items() if key != "last")
        for row in rows:
            assert row[3] in "bs" and row[4] in "ml" and row[5] == ""
            seen = Seen(row[6], int(row[2] * 10**6), Decimal(row[0]), Decimal(row[1]), row[3] == "b")
            if seen.time_us >= (day_ms + DAY) * 1000:
                return found
            found.append(seen)
        if not rows:
            assert answer["result"]["last"] == since
            return found
        since = answer["result"]["last"]
    raise AssertionError("the pages do not end")


def upbit_day(servers: Servers, name: str, day_ms: int) -> list[Seen]:
    """Backwards by `cursor` within the day that is so many days ago."""
    base, quote = name.split("/")
    query: dict[str, Any] = {"market": f"{quote}-{base}", "days_ago": (NOW_MS - day_ms) // DAY, "count": 7}
    found = []
    while rows := servers.get(UPBIT, "/v1/trades/ticks", **query):
        assert len(found) < 7 * PAGES, "the pages do not end"
        for row in rows:
            assert row["trade_price"] - row["prev_closing_price"] == row["change_price"]
            at = datetime.fromtimestamp(row["timestamp"] // 1000, UTC)
            assert f"{at:%Y-%m-%d %H:%M:%S}" == f"{row['trade_date_utc']} {row['trade_time_utc']}"
            price, size = Decimal(row["trade_price"]), Decimal(row["trade_volume"])
            found.append(Seen(row["sequential_id"], row["timestamp"] * 1000, price, size, row["ask_bid"] == "BID"))
        query["cursor"] = rows[-1]["sequential_id"]
    return found[::-1]


def okx_day(servers: Servers, name: str, day_ms: int) -> list[Seen]:
    """The first page by time, then backwards by trade id."""
    query: dict[str, Any] = {"instId": name.replace("/", "-"), "limit": 7, "type": 2, "after": day_ms + DAY}
    found = []
    while rows := servers.get(OKX, "/api/v5/market/history-trades", **query)["data"]:
        assert len(found) < 7 * PAGES, "the pages do not end"
        for row in rows:
            if int(row["ts"]) < day_ms:
                return found[::-1]
            price, size = Decimal(row["px"]), Decimal(row["sz"])
            found.append(Seen(int(row["tradeId"]), int(row["ts"]) * 1000, price, size, row["side"] == "buy"))
        query |= {"type": 1, "after": rows[-1]["tradeId"]}
    return found[::-1]


def bitstamp_day(servers: Servers, name: str, day_ms: int) -> list[Seen]:
    """One page of the last day, which is all there is. Whole seconds."""
    rows = servers.get(BITSTAMP, f"/api/v2/transactions/{name.replace('/', '').lower()}/", time="day")
    assert day_ms == NOW_MS - DAY
    return [
        Seen(int(r["tid"]), int(r["date"]) * 10**6, Decimal(r["price"]), Decimal(r["amount"]), r["type"] == "0")
        for r in rows[::-1]
    ]


def crypto_com_day(servers: Servers, name: str, day_ms: int) -> list[Seen]:
    """Backwards by `end_ts` in nanoseconds, of which no two trades share one."""
    symbol, end, found = name.replace("/", "_"), (day_ms + DAY) * 10**6, []
    query = {"instrument_name": symbol, "count": 7, "start_ts": day_ms * 10**6}
    while rows := servers.get(CRYPTO_COM, "/exchange/v1/public/get-trades", **query, end_ts=end)["result"]["data"]:
        assert len(found) < 7 * PAGES, "the pages do not end"
        for row in rows:
            assert row["t"] == int(row["tn"]) // 10**6 and row["i"] == symbol
            price, size = Decimal(row["p"]), Decimal(row["q"])
            found.append(Seen(int(row["d"]), int(row["tn"]) // 1000, price, size, row["s"] == "BUY"))
        end = int(rows[-1]["tn"])
    return found[::-1]


def gate_rows(rows: list[dict]) -> list[Seen]:
    found = []
    for row in rows:
        time_us = int(Decimal(row["create_time_ms"]) * 1000)
        price, size = Decimal(row["price"]), Decimal(row["amount"])
        found.append(Seen(int(row["id"]), time_us, price, size, row["side"] == "buy"))
    return found


def gate_day(servers: Servers, name: str, day_ms: int) -> list[Seen]:
    """Numbered pages of a span of seconds, both ends included."""
    query = {"currency_pair": name.replace("/", "_"), "from_": day_ms // 1000, "to": (day_ms + DAY) // 1000 - 1}
    found, page = [], 1
    while rows := servers.get(GATE, "/api/v4/spot/trades", **query, limit=7, page=page):
        assert len(found) < 7 * PAGES, "the pages do not end"
        found, page = found + gate_rows(rows), page + 1
    # The last second of the day is not covered by whole seconds.
    query |= {"from_": (day_ms + DAY) // 1000 - 1, "to": (day_ms + DAY) // 1000}
    known = {trade.trade_id for trade in found}
    late = gate_rows(servers.get(GATE, "/api/v4/spot/trades", **query))
    late = [t for t in late if t.trade_id not in known and t.time_us < (day_ms + DAY) * 1000]
    return (late + found)[::-1]


def binance_row(row: dict) -> Seen:
    return Seen(row["a"], row["T"] * 1000, Decimal(row["p"]), Decimal(row["q"]), not row["m"])


def binance_day(servers: Servers, name: str, day_ms: int) -> list[Seen]:
    """The first page by time, then forwards by id."""
    symbol, found = name.replace("/", ""), []
    query: dict[str, Any] = {"symbol": symbol, "limit": 7, "startTime": day_ms}
    while rows := servers.get(SPOT, "/api/v3/aggTrades", **query):
        assert len(found) < 7 * PAGES, "the pages do not end"
        for row in rows:
            if row["T"] >= day_ms + DAY:
                return found
            found.append(binance_row(row))
        query = {"symbol": symbol, "limit": 7, "fromId": rows[-1]["a"] + 1}
    return found


def binance_history(servers: Servers, name: str, day_ms: int) -> list[Seen]:
    symbol = name.replace("/", "")
    first = binance_day(servers, name, day_ms)[0].trade_id
    rows = servers.get("api.binance.com", "/api/v3/historicalTrades", symbol=symbol, fromId=first, limit=1000)
    found = []
    for row in rows:
        seen = Seen(row["id"], row["time"] * 1000, Decimal(row["price"]), Decimal(row["qty"]), not row["isBuyerMaker"])
        assert Decimal(row["quoteQty"]) == seen.price * seen.size and row["isBestMatch"] is True
        found += [seen] if row["time"] < day_ms + DAY else []
    return found


def whole(units: Any, decimals: int) -> Decimal:
    return Decimal(int(units)).scaleb(-decimals)


def bar_of(bars: Bars | None, open_ms: int) -> dict[str, Decimal]:
    assert bars is not None
    at = int(np.searchsorted(bars.times_ms, open_ms))
    assert bars.times_ms[at] == open_ms
    return {
        "trades": Decimal(int(bars.trades[at])),
        "base": whole(bars.volume_base[at], bars.base_decimals),
        "quote": whole(bars.volume_quote[at], bars.quote_decimals),
        "buy_base": whole(bars.taker_buy_base[at], bars.base_decimals),
        "buy_quote": whole(bars.taker_buy_quote[at], bars.quote_decimals),
    }


def sums_of(trades: list[Seen]) -> dict[str, Decimal]:
    bought = [trade for trade in trades if trade.taker_bought]
    return {
        "trades": Decimal(len(trades)),
        "base": sum((trade.size for trade in trades), Decimal()),
        "quote": sum((trade.price * trade.size for trade in trades), Decimal()),
        "buy_base": sum((trade.size for trade in bought), Decimal()),
        "buy_quote": sum((trade.price * trade.size for trade in bought), Decimal()),
    }


DAYS = [
    ("coinbase", coinbase_day, ["BTC/USD", "SOL/USD"]),
    ("kraken", kraken_day, ["BTC/USD", "DOGE/USD", "ETH/EUR"]),
    ("upbit", upbit_day, ["BTC/KRW", "XRP/KRW"]),
    ("crypto_com", crypto_com_day, ["BTC/USDT", "SOL/USDT"]),
    ("okx", okx_day, ["BTC/USDT", "DOGE/USDT"]),
    ("gate", gate_day, ["BTC/USDT", "ADA/USDT"]),
    ("binance", binance_day, ["BTC/USDT", "ETH/BTC"]),
    ("binance", binance_history, ["BTC/USDT"]),
]


@pytest.mark.parametrize(("exchange", "fetch", "names"), DAYS, ids=[fetch.__name__ for _, fetch, _ in DAYS])
def test_pages_of_a_day_hold_each_trade_once_and_sum_to_the_bar(
    exchange: str, fetch: Callable, names: list[str], servers: Servers
) -> None:
    market = servers.market
    for name, day_ms in [(name, NOW_MS - ago * DAY) for name in names for ago in (1, 3)]:
        found: list[Seen] = fetch(servers, name, day_ms)
        truth = market.trades(exchange, name, day_ms, day_ms + DAY)
        assert len({trade.trade_id for trade in found}) == len(found) == len(truth.ids) > 0
        assert [trade.trade_id for trade in found] == sorted(trade.trade_id for trade in found)
        assert [trade.taker_bought for trade in found] == truth.labelled_buys.tolist()
        assert [trade.time_us // 1000 for trade in found] == (truth.times_us // 1000).tolist()
        assert sums_of(found) == bar_of(market.bars(exchange, name, "1d"), day_ms)


def test_bitstamp_has_the_trades_of_the_last_day_and_no_others(servers: Servers) -> None:
    for name in ("BTC/USD", "SOL/USD"):
        found = bitstamp_day(servers, name, NOW_MS - DAY)
        truth = servers.market.trades("bitstamp", name, NOW_MS - DAY, NOW_MS)
        assert [trade.trade_id for trade in found] == truth.ids.tolist() and found
        assert [trade.time_us // 10**6 for trade in found] == (truth.times_us // 10**6).tolist()
        assert sums_of(found) == bar_of(servers.market.bars("bitstamp", name, "1d"), NOW_MS - DAY)
    day, hour, minute = (
        servers.get(BITSTAMP, "/api/v2/transactions/btcusd/", time=time) for time in ("day", "hour", "minute")
    )
    assert day[: len(hour)] == hour and hour[: len(minute)] == minute
    assert len(day) > len(hour) and all(int(row["date"]) >= NOW_MS // 1000 - 3600 for row in hour)
    assert servers.get(BITSTAMP, "/api/v2/transactions/btcusd/") == hour, "an hour, where nothing is said"


def test_crypto_com_has_times_in_any_unit_and_a_week_at_most(servers: Servers) -> None:
    def trades(**query: Any) -> Any:
        return servers.get(CRYPTO_COM, "/exchange/v1/public/get-trades", instrument_name="ETH_USDT", **query)

    rows = trades(count=150, start_ts=(NOW_MS - 7 * DAY) * 10**6, end_ts=NOW_MS * 10**6)["result"]["data"]
    assert len(rows) == 150 and rows == trades(count=999, start_ts=NOW_MS - 7 * DAY)["result"]["data"]
    assert trades()["result"]["data"] == rows[:25], "25 of the last day, where nothing is said"
    third = int(rows[3]["tn"])
    assert trades(end_ts=third)["result"]["data"][0] == rows[4], "the end is excluded"
    assert trades(end_ts=third + 1, count=1)["result"]["data"] == [rows[3]]
    assert trades(start_ts=third, count=150)["result"]["data"] == rows[:4], "the start is included"
    assert trades(start_ts=NOW_MS - 8 * DAY)["code"] == 40005
    candles = servers.get(
        CRYPTO_COM, "/exchange/v1/public/get-candlestick", instrument_name="ETH_USDT", timeframe="1D", count=3
    )["result"]["data"]
    assert [row["t"] for row in candles] == [NOW_MS - i * DAY for i in (3, 2, 1)]
    bars = servers.market.bars("crypto_com", "ETH/USDT", "1d")
    assert [Decimal(row["v"]) for row in candles] == [bar_of(bars, row["t"])["base"] for row in candles]


@pytest.mark.parametrize(("exchange", "name"), [("binance", "ETH/BTC"), ("upbit", "BTC/KRW"), ("kraken", "BTC/USD")])
def test_a_day_made_of_trades_is_the_daily_bar(exchange: str, name: str, generated: GeneratedMarket) -> None:
    venue, bars = Venue(generated, exchange), generated.bars(exchange, name, "1d")
    for days_ago in (1, 2, 30):
        day = venue.day(name, days_ago)
        assert day is not None and bars is not None
        at = int(np.searchsorted(bars.times_ms, NOW_MS - days_ago * DAY))
        assert bar_of(day, NOW_MS - days_ago * DAY) == bar_of(bars, NOW_MS - days_ago * DAY)
        for column in ("times_ms", "open", "high", "low", "close"):
            assert getattr(day, column)[0] == getattr(bars, column)[at], column


def test_recent_trades_are_the_newest_and_few(servers: Servers) -> None:
    bybit = servers.get(BYBIT, "/v5/market/recent-trade", category="spot", symbol="ETHUSDT", limit=1000)["result"]
    kucoin = servers.get(KUCOIN, "/api/v1/market/histories", symbol="ETH-USDT")["data"]
    for exchange, rows, count, oldest_first, side in (
        ("bybit", bybit["list"], 60, False, "Buy"),
        ("kucoin", kucoin, 100, True, "buy"),
    ):
        truth = servers.market.trades(exchange, "ETH/USDT", NOW_MS - 30 * DAY, NOW_MS)
        rows = rows if oldest_first else rows[::-1]
        assert len(rows) == count
        assert [row["side"] == side for row in rows] == truth.labelled_buys[-count:].tolist()
        expected = [whole(size, truth.base_decimals) for size in truth.size[-count:]]
        assert [Decimal(row["size"]) for row in rows] == expected
    assert kucoin[-1]["time"] < NOW_MS * 10**6


def test_a_side_is_what_the_exchange_labels_not_what_happened() -> None:
    """KuCoin labels the wrong way round in the spring of 2023."""
    market = GeneratedMarket(date(2023, 3, 1), size=12, start=date(2023, 2, 1), exchanges=("binance", "kucoin"))
    rows = Servers(market).get(KUCOIN, "/api/v1/market/histories", symbol="BTC-USDT")["data"]
    end_ms = rows[-1]["time"] // 10**6 + 1
    truth = market.trades("kucoin", "BTC/USDT", end_ms - 30 * DAY, end_ms)
    written = [row["side"] == "buy" for row in rows]
    assert written == truth.labelled_buys[-100:].tolist()
    assert written == (~truth.taker_buys[-100:]).tolist()


def test_coinbase_pages_forward_with_before(servers: Servers) -> None:
    path = "/products/ETH-USD/trades"
    newest = servers.get(COINBASE, path, limit=5)
    between = servers.get(COINBASE, path, before=newest[-1]["trade_id"], after=newest[0]["trade_id"])
    assert between == newest[1:-1]
    assert servers.get(COINBASE, path, before=newest[2]["trade_id"]) == newest[:2]
    first = servers.get(COINBASE, path, after=3)
    assert [row["trade_id"] for row in first] == [2, 1]
    end = servers.ask(COINBASE, path, after=1)
    assert (end.body, tuple(end.headers)) == (b"[]", ())
    assert len(servers.get(COINBASE, path, limit=5000)) == 1000


def test_gate_and_okx_lead_back_by_id(servers: Servers) -> None:
    newest = servers.get(GATE, "/api/v4/spot/trades", currency_pair="ETH_USDT", limit=6)
    older = servers.get(
        GATE, "/api/v4/spot/trades", currency_pair="ETH_USDT", limit=3, last_id=newest[2]["id"], reverse="true"
    )
    assert older == newest[3:6]
    newer = servers.get(GATE, "/api/v4/spot/trades", currency_pair="ETH_USDT", last_id=newest[2]["id"])
    assert newer == newest[:2]
    path = "/api/v5/market/history-trades"
    rows = servers.get(OKX, path, instId="ETH-USDT", limit=6)["data"]
    assert servers.get(OKX, path, instId="ETH-USDT", before=rows[2]["tradeId"])["data"] == rows[:2]


def test_bounds_of_binance_trades_are_inclusive(servers: Servers) -> None:
    def rows(**query: Any) -> list[dict]:
        return servers.get(SPOT, "/api/v3/aggTrades", symbol="ETHUSDT", **query)

    day = rows(startTime=NOW_MS - DAY)
    times = [row["T"] for row in day]
    assert rows(startTime=times[3], endTime=times[9]) == day[3:10]
    assert rows(startTime=times[3] + 1, endTime=times[9] - 1) == day[4:9]
    assert rows(endTime=times[9], limit=2) == day[8:10], "without a start the newest"
    assert rows(limit=2) == day[-2:] and rows(fromId=day[5]["a"], limit=2) == day[5:7]


def test_okx_trades_reach_back_three_months(servers: Servers) -> None:
    path = "/api/v5/market/history-trades"
    edge = NOW_MS - 90 * DAY
    assert servers.get(OKX, path, instId="BTC-USDT", type=2, after=edge)["data"] == []
    rows = servers.get(OKX, path, instId="BTC-USDT", type=2, after=edge + DAY)["data"]
    assert rows and all(int(row["ts"]) >= edge for row in rows)


def test_upbit_trades_reach_back_seven_days_and_stop_at_to(servers: Servers) -> None:
    assert servers.ask(UPBIT, "/v1/trades/ticks", market="KRW-BTC", days_ago=8).status == 400
    assert servers.get(UPBIT, "/v1/trades/ticks", market="KRW-BTC", days_ago=7)
    rows = servers.get(UPBIT, "/v1/trades/ticks", market="KRW-BTC", days_ago=1, count=500, to="12:00:00")
    assert rows and all(row["trade_time_utc"] < "12:00:00" for row in rows)
    assert rows == servers.get(UPBIT, "/v1/trades/ticks", market="KRW-BTC", count=500, to="120000"), "the last day"


def test_pages_cross_the_days_on_which_a_ticker_belonged_to_nobody() -> None:
    """LUNA stops in 2022-05 and is another coin later; trade ids count the days in between."""
    market = GeneratedMarket(date(2022, 8, 1), size=20, start=date(2022, 4, 1), exchanges=("binance",))
    venue = Venue(market, "binance")
    bars = market.bars("binance", "LUNA/USDT", "1d")
    assert bars is not None
    gap = int(np.argmax(np.diff(bars.times_ms)))
    assert np.diff(bars.times_ms)[gap] > 7 * DAY
    back = int(bars.times_ms[gap + 1])
    newest = venue.newest("LUNA/USDT", 500, before_us=(back + DAY) * 1000)
    oldest = venue.oldest("LUNA/USDT", 500, from_us=int(bars.times_ms[gap]) * 1000)
    for found in (newest, oldest):
        assert len(found.ids) == 500 and (np.diff(found.times_us) > 0).all()
        assert (found.times_us < back * 1000).any() and (found.times_us >= back * 1000).any()
    whole_life = market.trades("binance", "LUNA/USDT", 0, NOW_MS)
    ids = whole_life.ids.tolist()
    assert newest.ids.tolist() == [i for i in ids if i <= newest.ids[-1]][-500:]
    assert oldest.ids.tolist() == [i for i in ids if i >= oldest.ids[0]][:500]
    by_id = venue.newest("LUNA/USDT", 30, before_id=int(newest.ids[-1]))
    assert by_id.ids.tolist() == newest.ids[-31:-1].tolist()


# --- candles and statistics --------------------------------------------------------------------------


def test_poloniex_candles_hold_what_takers_bought(servers: Servers) -> None:
    market = GeneratedMarket(date(2023, 1, 1), size=20, start=date(2022, 10, 1))
    own = Servers(market)
    rows = own.get(POLONIEX, "/markets/BTC_USDT/candles", interval="DAY_1", limit=10)
    bars = market.bars("poloniex", "BTC/USDT", "1d")
    assert len(rows) == 10 and len(rows[0]) == 14
    for row in rows:
        expected = bar_of(bars, row[12])
        assert (Decimal(row[4]), Decimal(row[5])) == (expected["quote"], expected["base"])
        assert (Decimal(row[6]), Decimal(row[7])) == (expected["buy_quote"], expected["buy_base"])
        assert row[8] == expected["trades"] and row[11] == "DAY_1" and row[13] == row[12] + DAY - 1
        assert Decimal(row[0]) <= min(Decimal(row[2]), Decimal(row[3])) and Decimal(row[0]) <= Decimal(row[10])
    states = {row["symbol"]: row["state"] for row in own.get(POLONIEX, "/markets")}
    assert states["BTC_USDT"] in ("NORMAL", "PAUSE")


@pytest.mark.parametrize(("host", "path"), [(FUTURES, "/fapi/v1/klines"), (US, "/api/v3/klines")])
@pytest.mark.parametrize(("interval", "length"), [("1d", DAY), ("1h", HOUR)])
def test_klines_of_the_family_are_the_bars(host: str, path: str, interval: str, length: int, servers: Servers) -> None:
    start = NOW_MS - 40 * length
    rows = servers.get(host, path, symbol="ETHUSDT", interval=interval, startTime=start, limit=1000)
    bars = servers.market.bars(EXCHANGE[host], "ETH/USDT", interval)
    assert [row[0] for row in rows] == [start + i * length for i in range(40)]
    for row in rows:
        expected = bar_of(bars, row[0])
        amounts_of = [Decimal(row[i]) for i in (8, 5, 7, 9, 10)]
        assert amounts_of == list(expected.values()) and row[6] == row[0] + length - 1 and row[11] == "0"
    pages = [
        servers.get(host, path, symbol="ETHUSDT", interval=interval, startTime=start + i * length, limit=8)
        for i in range(0, 40, 8)
    ]
    assert sum(pages, []) == rows
    assert servers.get(host, path, symbol="ETHUSDT", interval=interval, limit=3) == rows[-3:]


def test_other_exchanges_candles_are_the_bars(servers: Servers) -> None:
    """Each with its own order of columns and rows, over ten days."""
    first = NOW_MS - 10 * DAY
    named = {
        "okx": ("okx", "ETH/USDT", "ts open high low close base quote quote2 closed"),
        "bybit": ("bybit", "ETH/USDT", "ts open high low close base quote"),
        "kucoin": ("kucoin", "ETH/USDT", "s open close high low base quote"),
        "gate": ("gate", "ETH/USDT", "s quote close high low open base closed"),
        "coinbase": ("coinbase", "ETH/USD", "s low high open close base"),
        "kraken": ("kraken", "ETH/USD", "s open high low close vwap base trades"),
    }
    since, until = first // 1000, NOW_MS // 1000
    answers = {
        "okx": servers.get(OKX, "/api/v5/market/history-candles", instId="ETH-USDT", bar="1Dutc", limit=10)["data"],
        "bybit": servers.get(
            BYBIT, "/v5/market/kline", category="spot", symbol="ETHUSDT", interval="D", start=first, end=NOW_MS
        )["result"]["list"],
        "kucoin": servers.get(
            KUCOIN, "/api/v1/market/candles", symbol="ETH-USDT", type="1day", startAt=since, endAt=until
        )["data"],
        "gate": servers.get(
            GATE, "/api/v4/spot/candlesticks", currency_pair="ETH_USDT", interval="1d", from_=since, to=until
        ),
        "coinbase": servers.get(
            COINBASE, "/products/ETH-USD/candles", granularity=86400, start=since, end="2026-03-01T00:00:00Z"
        ),
        "kraken": servers.get(KRAKEN, "/0/public/OHLC", pair="ETHUSD", interval=1440, since=since - 1)["result"][
            "XETHZUSD"
        ],
    }
    for key, rows in answers.items():
        exchange, name, order = named[key]
        bars = servers.market.bars(exchange, name, "1d")
        assert bars is not None and len(rows) == 10, key
        is_descending = key in ("okx", "bybit", "kucoin", "coinbase")
        for row, i in zip(rows[::-1] if is_descending else rows, range(len(bars.times_ms) - 10, 10**6), strict=False):
            cell = dict(zip(order.split(), row, strict=True))
            opened = int(cell["ts"]) if "ts" in cell else int(cell["s"]) * 1000
            assert opened == bars.times_ms[i]
            for price in ("open", "high", "low", "close"):
                assert Decimal(cell[price]) == whole(getattr(bars, price)[i], bars.price_decimals), key
            assert Decimal(cell["base"]) == whole(bars.volume_base[i], bars.base_decimals)
            if "quote" in cell:
                assert Decimal(cell["quote"]) == whole(bars.volume_quote[i], bars.quote_decimals)
            if "vwap" in cell:
                assert Decimal(cell["low"]) <= Decimal(cell["vwap"]) <= Decimal(cell["high"])


def test_upbit_candles_are_the_bars_and_hours_without_a_trade_are_left_out(servers: Servers) -> None:
    bars = servers.market.bars("upbit", "ETH/KRW", "1d")
    for row in servers.get(UPBIT, "/v1/candles/days", market="KRW-ETH", count=20):
        opened = int(datetime.fromisoformat(row["candle_date_time_utc"]).replace(tzinfo=UTC).timestamp() * 1000)
        expected = bar_of(bars, opened)
        assert Decimal(row["candle_acc_trade_volume"]) == expected["base"]
        assert Decimal(row["candle_acc_trade_price"]) == expected["quote"]
        assert row["candle_date_time_kst"].endswith("T09:00:00")
        assert row["trade_price"] - row["prev_closing_price"] == row["change_price"]
    hours = servers.get(UPBIT, "/v1/candles/minutes/60", market="KRW-ETH", count=200)
    assert all(Decimal(row["candle_acc_trade_volume"]) > 0 for row in hours)


def test_rubik_sums_all_pairs_of_a_currency_by_days_of_utc_plus_8_sold_first(servers: Servers) -> None:
    path = "/api/v5/rubik/stat/taker-volume"
    market = servers.market
    rows = servers.get(OKX, path, ccy="ETH", instType="SPOT", period="1D")["data"]
    assert len(rows) == 180 and [row[0] for row in rows] == sorted((row[0] for row in rows), reverse=True)
    assert all(int(row[0]) % DAY == 16 * HOUR for row in rows)
    names = [name for name in market.listings("okx") if name.startswith("ETH/")]
    assert len(names) > 1
    for row in rows[1:4]:
        bought = sold = Decimal()
        for name in names:
            found = market.trades("okx", name, int(row[0]), int(row[0]) + DAY)
            sizes = [whole(size, found.base_decimals) for size in found.size]
            for size, buys in zip(sizes, found.labelled_buys.tolist(), strict=True):
                bought, sold = (bought + size, sold) if buys else (bought, sold + size)
        assert [Decimal(cell) for cell in row[1:]] == [amount.quantize(Decimal("0.0001")) for amount in (sold, bought)]
    assert int(rows[0][0]) == NOW_MS - 8 * HOUR, "the day that is not over comes first"
    hours = servers.get(OKX, path, ccy="ETH", instType="SPOT", period="1H")["data"]
    assert len(hours) == 720
    coins = servers.get(OKX, "/api/v5/rubik/stat/trading-data/support-coin")["data"]
    assert "ETH" in coins["spot"] and "USDT" not in coins["spot"]


def test_okx_candles_of_utc_plus_8_are_made_of_hours_and_the_open_one_says_so(servers: Servers) -> None:
    asked = {"instId": "BTC-USDT", "bar": "1D", "limit": 3}
    open_day, *closed = servers.get(OKX, "/api/v5/market/candles", **asked)["data"]
    assert (int(open_day[0]), open_day[8]) == (NOW_MS - 8 * HOUR, "0")
    assert [row[8] for row in closed] == ["1", "1"]
    assert servers.get(OKX, "/api/v5/market/history-candles", **asked)["data"][:2] == closed
    found = servers.market.trades("okx", "BTC/USDT", int(closed[0][0]), int(closed[0][0]) + DAY)
    assert Decimal(closed[0][5]) == whole(found.size.sum(), found.base_decimals)


def test_funding_and_open_interest_of_perpetuals(servers: Servers) -> None:
    market = servers.market
    found = market.funding("ETH/USDT")
    assert found is not None
    rows = servers.get(FUTURES, "/fapi/v1/fundingRate", symbol="ETHUSDT", startTime=NOW_MS - 10 * DAY, limit=1000)
    assert [row["fundingTime"] for row in rows] == found[0][-30:].tolist()
    assert [Decimal(row["fundingRate"]) for row in rows] == [whole(rate, 8) for rate in found[1][-30:]]
    everybody = servers.get(FUTURES, "/fapi/v1/fundingRate", limit=1000)
    assert len(everybody) == 1000 and len({row["symbol"] for row in everybody}) > 10
    path = "/futures/data/openInterestHist"
    interest = servers.get(FUTURES, path, symbol="ETHUSDT", period="1d", limit=500)
    assert len(interest) == 31 and interest[-1]["timestamp"] == NOW_MS
    opened = market.open_interest("ETH/USDT")
    bars = market.bars("binance_usdm", "ETH/USDT", "1d")
    assert opened is not None and bars is not None
    assert Decimal(interest[-1]["sumOpenInterest"]) == whole(opened[1][-1], bars.base_decimals)
    value = Decimal(interest[-1]["sumOpenInterest"]) * whole(bars.close[-1], bars.price_decimals)
    assert Decimal(interest[-1]["sumOpenInterestValue"]) == value
    late = servers.ask(FUTURES, path, symbol="ETHUSDT", period="1d", startTime=NOW_MS - 31 * DAY)
    assert late.status == 400 and b"startTime" in late.body, "only the last thirty days"
    ratios = servers.get(FUTURES, "/futures/data/takerlongshortRatio", symbol="ETHUSDT", period="1d", limit=5)
    for row in ratios:
        expected = bar_of(bars, row["timestamp"])
        assert Decimal(row["buyVol"]) == expected["buy_base"].quantize(Decimal("0.0001"))
        assert abs(Decimal(row["buyVol"]) / Decimal(row["sellVol"]) - Decimal(row["buySellRatio"])) < Decimal("0.0001")


def test_binance_tickers_are_of_the_last_day(servers: Servers) -> None:
    ticker = servers.get(SPOT, "/api/v3/ticker/24hr", symbol="ETHUSDT")
    expected = bar_of(servers.market.bars("binance", "ETH/USDT", "1d"), NOW_MS - DAY)
    assert Decimal(ticker["volume"]) == expected["base"] and Decimal(ticker["quoteVolume"]) == expected["quote"]
    assert ticker["count"] == ticker["lastId"] - ticker["firstId"] + 1 == expected["trades"]
    assert Decimal(ticker["bidPrice"]) < Decimal(ticker["lastPrice"]) < Decimal(ticker["askPrice"])
    assert ticker["closeTime"] == NOW_MS
    mini = servers.get(SPOT, "/api/v3/ticker/24hr", symbols='["ETHUSDT","BTCUSDT"]', type="MINI")
    assert [row["symbol"] for row in mini] == ["ETHUSDT", "BTCUSDT"]
    assert {key: ticker[key] for key in mini[0]} == mini[0]
    price = servers.get(SPOT, "/api/v3/ticker/price", symbol="ETHUSDT")
    assert price == {"symbol": "ETHUSDT", "price": ticker["lastPrice"]}
    trading = {s["symbol"] for s in servers.get(SPOT, "/api/v3/exchangeInfo")["symbols"] if s["status"] == "TRADING"}
    assert {row["symbol"] for row in servers.get(SPOT, "/api/v3/ticker/price")} == trading


def test_caps_agree_between_snapshot_history_and_total(servers: Servers) -> None:
    coins = {coin["id"]: coin for coin in servers.get(GECKO, "/api/v3/coins/markets", vs_currency="usd", per_page=250)}
    total = servers.get(GECKO, "/api/v3/global")["data"]
    assert total["total_market_cap"]["usd"] == sum(coin["market_cap"] for coin in coins.values())
    share = Decimal(100 * coins["bitcoin"]["market_cap"]) / total["total_market_cap"]["usd"]
    assert float(total["market_cap_percentage"]["btc"]) == pytest.approx(float(share))
    chart = servers.get(GECKO, "/api/v3/coins/ethereum/market_chart", vs_currency="usd", days=365, interval="daily")
    assert list(chart) == ["prices", "market_caps", "total_volumes"]
    assert [point[0] for point in chart["prices"]] == [NOW_MS - i * DAY for i in range(365, -1, -1)]
    assert float(chart["market_caps"][-1][1]) == pytest.approx(float(coins["ethereum"]["market_cap"]), rel=1e-9)
    assert float(chart["prices"][-1][1]) == float(coins["ethereum"]["current_price"])
    tickers = {row["id"]: row for row in servers.get(PAPRIKA, "/v1/tickers")}
    bitcoin = tickers["btc-bitcoin"]
    assert bitcoin["quotes"]["USD"]["market_cap"] == coins["bitcoin"]["market_cap"]
    assert (bitcoin["symbol"], bitcoin["rank"]) == ("BTC", 1)
    assert bitcoin["circulating_supply"] == round(coins["bitcoin"]["circulating_supply"])
    assert servers.get(PAPRIKA, "/v1/tickers/btc-bitcoin") == bitcoin
    assert servers.get(PAPRIKA, "/v1/global")["bitcoin_dominance_percentage"] == round(share, 2)


# --- order books ---------------------------------------------------------------------------------------


# Where bids and asks stand, and how many there are at most.
BOOKS = [
    (SPOT, "/api/v3/depth", {"symbol": "ETHUSDT", "limit": 1000}, "bids asks", 1000),
    (COINBASE, "/products/ETH-USD/book", {"level": 2}, "bids asks", 5000),
    (COINBASE, "/products/ETH-USD/book", {}, "bids asks", 1),
    (OKX, "/api/v5/market/books", {"instId": "ETH-USDT", "sz": 999}, "data.0.bids data.0.asks", 400),
    (BYBIT, "/v5/market/orderbook", {"category": "spot", "symbol": "ETHUSDT", "limit": 999}, "result.b result.a", 200),
    (KRAKEN, "/0/public/Depth", {"pair": "ETHUSD", "count": 999}, "result.XETHZUSD.bids result.XETHZUSD.asks", 500),
    (KUCOIN, "/api/v1/market/orderbook/level2_20", {"symbol": "ETH-USDT"}, "data.bids data.asks", 20),
    (GATE, "/api/v4/spot/order_book", {"currency_pair": "ETH_USDT"}, "bids asks", 10),
]


@pytest.mark.parametrize(("host", "path", "query", "sides", "levels"), BOOKS, ids=[f"{b[0]}-{b[4]}" for b in BOOKS])
def test_a_book_stands_around_the_last_close(
    host: str, path: str, query: dict, sides: str, levels: int, servers: Servers
) -> None:
    exchange = EXCHANGE[host]
    quote = "USD" if exchange in ("coinbase", "kraken") else "USDT"
    bars = servers.market.bars(exchange, f"ETH/{quote}", "1d")
    assert bars is not None
    close = whole(bars.close[-1], bars.price_decimals)
    answer = servers.get(host, path, **query)
    bids, asks = (pick(answer, side)[0] for side in sides.split())
    assert len(bids) == len(asks) == levels
    down, up = [Decimal(level[0]) for level in bids], [Decimal(level[0]) for level in asks]
    assert down == sorted(down, reverse=True) and up == sorted(up) and down[0] < close < up[0]
    assert len({*down, *up}) == 2 * levels
    assert all(Decimal(level[1]) > 0 for level in [*bids, *asks])
    assert servers.get(host, path, **query) == answer, "the same for everybody"


def test_upbit_writes_a_book_as_units_of_both_sides(servers: Servers) -> None:
    [book] = servers.get(UPBIT, "/v1/orderbook", markets="KRW-ETH")
    units = book["orderbook_units"]
    assert len(units) == 15 and all(unit["bid_price"] < unit["ask_price"] for unit in units)
    assert book["total_bid_size"] == sum(unit["bid_size"] for unit in units)
    assert [unit["ask_price"] for unit in units] == sorted(unit["ask_price"] for unit in units)


def test_a_deeper_book_begins_with_the_shallow_one(servers: Servers) -> None:
    few, many = (servers.get(SPOT, "/api/v3/depth", symbol="BTCUSDT", limit=limit) for limit in (10, 5000))
    assert many["bids"][:10] == few["bids"] and many["asks"][:10] == few["asks"]


# --- errors, limits, now ---------------------------------------------------------------------------------


ERRORS = [
    (COINBASE, "/products/NOPE-USD/trades", {}, 404, '{"message":"NotFound"}'),
    (COINBASE, "/products/BTC-USD/trades", {"after": "x"}, 400, '{"message":"Invalid after"}'),
    (COINBASE, "/products/BTC-USD/candles", {"granularity": 77}, 400, '{"message":"Unsupported granularity"}'),
    (KRAKEN, "/0/public/Trades", {"pair": "NOPE"}, 200, '{"error":["EQuery:Unknown asset pair"]}'),
    (KRAKEN, "/0/public/Trades", {}, 200, '{"error":["EGeneral:Invalid arguments"]}'),
    (UPBIT, "/v1/trades/ticks", {"market": "KRW-NOPE"}, 404, '{"error":{"name":404,"message":"Code not found"}}'),
    (BITSTAMP, "/api/v2/transactions/nopeusd/", {}, 404, '{"status":"error","reason":"Market not found."'),
    (BITSTAMP, "/api/v2/transactions/btcusd/", {"time": "year"}, 400, '{"status":"error","reason":"Invalid time."'),
    (CRYPTO_COM, "/exchange/v1/public/get-trades", {"instrument_name": "NOPE_USDT"}, 200, '"code":40004,'),
    (CRYPTO_COM, "/exchange/v1/public/get-trades", {"instrument_name": "BTC_USDT", "count": "x"}, 200, '"code":40004,'),
    (OKX, "/api/v5/market/history-trades", {"instId": "NOPE-USDT"}, 200, '"code":"51001"'),
    (OKX, "/api/v5/public/instruments", {}, 400, '{"code":"50014","msg":"Parameter instType can not be empty."'),
    (BYBIT, "/v5/market/recent-trade", {"category": "spot", "symbol": "NOPE"}, 200, '{"retCode":10001,"retMsg":"Not'),
    (BYBIT, "/v5/market/recent-trade", {"symbol": "BTCUSDT"}, 200, '{"retCode":10001,"retMsg":"Illegal category"'),
    (KUCOIN, "/api/v1/market/histories", {"symbol": "NOPE-USDT"}, 200, '{"code":"400100","msg":'),
    (GATE, "/api/v4/spot/trades", {"currency_pair": "NOPE_USDT"}, 400, '{"label":"INVALID_CURRENCY_PAIR","message":'),
    (
        GATE,
        "/api/v4/spot/trades",
        {"currency_pair": "BTC_USDT", "page": 101, "limit": 1000},
        400,
        "INVALID_PARAM_VALUE",
    ),
    (FUTURES, "/fapi/v1/klines", {"symbol": "NOPE", "interval": "1d"}, 400, '{"code":-1121,"msg":"Invalid symbol."}'),
    (US, "/api/v3/klines", {"symbol": "NOPE", "interval": "1d"}, 400, '{"code":-1121,"msg":"Invalid symbol."}'),
    (SPOT, "/api/v3/aggTrades", {"symbol": "BTCUSDT", "fromId": 1, "startTime": 1}, 400, '{"code":-1128,'),
    (SPOT, "/api/v3/depth", {}, 400, '{"code":-1102,'),
    (POLONIEX, "/markets/NOPE_USDT/candles", {"interval": "DAY_1"}, 400, '{"code":24101,"message":"Invalid symbol"}'),
    (PAPRIKA, "/v1/tickers/nope", {}, 404, '{"error":"id not found"}'),
    (PAPRIKA, "/v1/tickers/btc-bitcoin/historical", {"start": "2020-01-01"}, 402, '{"error":'),
    (GECKO, "/api/v3/coins/bitcoin/market_chart", {"vs_currency": "usd", "days": 366}, 401, '"error_code":10012,'),
    (GECKO, "/api/v3/coins/bitcoin/market_chart", {"vs_currency": "usd", "days": "max"}, 401, "the past 365 days"),
    (GECKO, "/api/v3/coins/nope/market_chart", {"vs_currency": "usd", "days": 1}, 404, '{"error":"coin not found"}'),
]


@pytest.mark.parametrize(("host", "path", "query", "status", "body"), ERRORS)
def test_bad_requests_get_the_exchanges_own_errors(
    host: str, path: str, query: dict, status: int, body: str, servers: Servers
) -> None:
    reply = servers.ask(host, path, **query)
    assert reply.status == status and body in reply.body.decode(), reply.body
    json.loads(reply.body)


EMPTY = {"symbol": "BTCUSDT", "startTime": NOW_MS}
# Requests that pass, then the status and the body of the next.
LIMITS = [
    (COINBASE, "/time", {}, 15, 429, '{"message":"Public rate limit exceeded"}'),
    (KRAKEN, "/0/public/Time", {}, 15, 200, '{"error":["EGeneral:Too many requests"]}'),
    (UPBIT, "/v1/orderbook", {"markets": "KRW-BTC"}, 10, 429, '{"error":{"name":"too_many_requests"'),
    (BITSTAMP, "/api/v2/transactions/btcusd/", {"time": "minute"}, 400, 429, '{"status":"error","reason":"Request'),
    (CRYPTO_COM, "/exchange/v1/public/get-instruments", {}, 100, 429, '{"id":-1,"method":"public/get-instruments",'),
    (OKX, "/api/v5/market/history-trades", {"instId": "BTC-USDT", "limit": 1}, 20, 429, None),
    (OKX, "/api/v5/rubik/stat/taker-volume", RUBIK, 5, 429, None),
    (BYBIT, "/v5/market/time", {}, 600, 403, "403, access too frequent"),
    (KUCOIN, "/api/v1/timestamp", {}, 666, 429, '{"code":"429000","msg":"Too Many Requests"}'),
    (GATE, "/api/v4/spot/time", {}, 200, 429, '{"label":"TOO_MANY_REQUESTS","message":'),
    (FUTURES, "/fapi/v1/klines", EMPTY | {"interval": "1d", "limit": 1500}, 240, 429, '{"code":-1003,"msg":"Too many'),
    (FUTURES, "/fapi/v1/fundingRate", EMPTY, 500, 429, '{"code":-1003,"msg":"Too many'),
    (US, "/api/v3/exchangeInfo", {"symbol": "BTCUSDT"}, 60, 429, '{"code":-1003,"msg":"Too much request weight used'),
    (POLONIEX, "/timestamp", {}, 200, 429, '{"code":429,'),
    (PAPRIKA, "/v1/tickers/nope", {}, 10, 429, '{"error":'),
    (GECKO, "/api/v3/ping", {}, 10, 429, '{"status":{"error_code":429,'),
]


@pytest.mark.parametrize(("host", "path", "query", "passing", "status", "body"), LIMITS)
def test_a_rate_limit_is_answered_in_the_exchanges_own_form(
    host: str, path: str, query: dict, passing: int, status: int, body: str | None, generated, shared, monkeypatch
) -> None:
    # Clocks stand still, so that a slow machine meets the limit too.
    monkeypatch.setattr("time.monotonic", lambda: 1000.0)
    monkeypatch.setattr("time.time", lambda: 6000.0)
    limited = Servers(generated, is_limited=True)
    replies = [limited.ask(host, path, **query) for _ in range(passing + 1)]
    expected = replies[0]
    assert all(reply.status == expected.status and b"too many" not in reply.body.lower() for reply in replies[:-1])
    refused = replies[-1]
    if body is None:
        body = json.dumps(
            json.loads((shared / "fixtures/okx/error_50011_rate_limit.json").read_text()), separators=(",", ":")
        )
    assert refused.status == status and refused.body.decode().startswith(body), refused.body
    assert limited.ask(host, path, **query).status == status, "still refused"
    free = Servers(generated)
    assert all(free.ask(host, path, **query).status == expected.status for _ in range(passing + 2))


def test_limits_are_told_in_headers(generated: GeneratedMarket) -> None:
    limited = Servers(generated, is_limited=True)

    def headers(host: str, path: str, **query: Any) -> dict[str, str]:
        return dict(limited.ask(host, path, **query).headers)

    assert headers(UPBIT, "/v1/market/all")["Remaining-Req"] == "group=market; min=600; sec=9"
    assert headers(UPBIT, "/v1/trades/ticks", market="KRW-BTC")["Remaining-Req"].endswith("sec=9"), "groups are apart"
    assert headers(UPBIT, "/v1/market/all")["Remaining-Req"].endswith("sec=8")
    kucoin = headers(KUCOIN, "/api/v1/symbols")
    assert (kucoin["gw-ratelimit-limit"], kucoin["gw-ratelimit-remaining"]) == ("2000", "1996")
    assert 0 < int(kucoin["gw-ratelimit-reset"]) <= 30_000
    assert headers(GATE, "/api/v4/spot/time")["X-Gate-RateLimit-Requests-Remain"] == "199"
    assert headers(BYBIT, "/v5/market/time")["X-Bapi-Limit-Status"] == "599"
    used = [
        int(headers(FUTURES, "/fapi/v1/klines", symbol="BTCUSDT", interval="1d", limit=limit)["X-MBX-USED-WEIGHT-1M"])
        for limit in (99, 100, 500, 1500)
    ]
    assert used == [1, 3, 8, 18]
    assert "X-MBX-USED-WEIGHT-1M" not in headers(FUTURES, "/fapi/v1/fundingRate", symbol="BTCUSDT")


@pytest.mark.parametrize(
    ("path", "query", "weight"),
    [
        ("aggTrades", {"symbol": "BTCUSDT"}, 4),
        ("trades", {"symbol": "BTCUSDT"}, 25),
        ("depth", {"symbol": "BTCUSDT", "limit": 100}, 5),
        ("depth", {"symbol": "BTCUSDT", "limit": 101}, 25),
        ("depth", {"symbol": "BTCUSDT", "limit": 1000}, 50),
        ("depth", {"symbol": "BTCUSDT", "limit": 5000}, 250),
        ("ticker/24hr", {"symbol": "BTCUSDT"}, 2),
        ("ticker/24hr", {"symbols": json.dumps(["BTCUSDT"] * 21)}, 40),
        ("ticker/24hr", {}, 80),
        ("ticker/price", {}, 4),
        ("klines", {"symbol": "BTCUSDT", "interval": "1h"}, 2),
    ],
)
def test_binance_charges_the_documented_weight(path: str, query: dict, weight: int, generated: GeneratedMarket) -> None:
    reply = Servers(generated, is_limited=True).ask(SPOT, f"/api/v3/{path}", **query)
    assert reply.status == 200
    assert dict(reply.headers)["X-MBX-USED-WEIGHT-1M"] == str(weight)


def test_nothing_is_later_than_now(servers: Servers) -> None:
    later = {"limit": 5, "startTime": NOW_MS - DAY, "endTime": NOW_MS + 9 * DAY}
    newest = {
        "coinbase trades": micros(servers.get(COINBASE, "/products/BTC-USD/trades", limit=1)[0]["time"]) // 1000,
        "coinbase candles": 1000
        * servers.get(
            COINBASE, "/products/BTC-USD/candles", granularity=3600, start=NOW_MS // 1000 - 86_400, end="2026-03-09"
        )[0][0],
        "kraken trades": int(servers.get(KRAKEN, "/0/public/Trades", pair="XBTUSD")["result"]["last"]) // 10**6,
        "kraken bars": servers.get(KRAKEN, "/0/public/OHLC", pair="XBTUSD", interval=60)["result"]["last"] * 1000,
        "upbit": servers.get(UPBIT, "/v1/trades/ticks", market="KRW-BTC")[0]["timestamp"],
        "bitstamp": int(servers.get(BITSTAMP, "/api/v2/transactions/btcusd/", time="day")[0]["date"]) * 1000,
        "crypto.com": servers.get(
            CRYPTO_COM,
            "/exchange/v1/public/get-trades",
            instrument_name="BTC_USDT",
            start_ts=NOW_MS - DAY,
            end_ts=NOW_MS + DAY,
        )["result"]["data"][0]["t"],
        "okx": int(servers.get(OKX, "/api/v5/market/trades", instId="BTC-USDT")["data"][0]["ts"]),
        "okx candles": int(
            servers.get(OKX, "/api/v5/market/candles", instId="BTC-USDT", bar="1H", after=NOW_MS + DAY)["data"][0][0]
        ),
        "bybit": int(
            servers.get(BYBIT, "/v5/market/kline", category="spot", symbol="BTCUSDT", interval="60")["result"]["list"][
                0
            ][0]
        ),
        "kucoin": int(
            servers.get(KUCOIN, "/api/v1/market/candles", symbol="BTC-USDT", type="1hour", endAt=NOW_MS)["data"][0][0]
        )
        * 1000,
        "gate": int(
            servers.get(GATE, "/api/v4/spot/trades", currency_pair="BTC_USDT", to=NOW_MS // 1000 + 999)[0][
                "create_time"
            ]
        )
        * 1000,
        "binance": servers.get(SPOT, "/api/v3/aggTrades", symbol="BTCUSDT", **(later | {"limit": 1000}))[-1]["T"],
        "funding": servers.get(FUTURES, "/fapi/v1/fundingRate", symbol="BTCUSDT", **later)[-1]["fundingTime"],
        "us": servers.get(US, "/api/v3/klines", symbol="BTCUSDT", interval="1h", **(later | {"limit": 99}))[-1][0],
    }
    for what, time in newest.items():
        assert NOW_MS - DAY <= time < NOW_MS, what
    assert (
        servers.get(KRAKEN, "/0/public/Trades", pair="XBTUSD", since=(NOW_MS + DAY) * 10**6)["result"]["XXBTZUSD"] == []
    )
    for host, path in ((SPOT, "/api/v3/time"), (FUTURES, "/fapi/v1/time"), (POLONIEX, "/timestamp")):
        assert servers.get(host, path)["serverTime"] == NOW_MS


def test_a_later_now_restates_no_trade(generated: GeneratedMarket, servers: Servers) -> None:
    later = Servers(GeneratedMarket(NOW + timedelta(days=30), size=40, start=date(2025, 1, 1)))
    asked = [
        (KRAKEN, "/0/public/Trades", {"pair": "ETHUSD", "since": (NOW_MS - 5 * DAY) * 10**6, "count": 100}),
        (GATE, "/api/v4/spot/trades", {"currency_pair": "ETH_USDT", "to": NOW_MS // 1000 - 1}),
        (SPOT, "/api/v3/aggTrades", {"symbol": "ETHUSDT", "startTime": NOW_MS - 2 * DAY, "limit": 20}),
        (FUTURES, "/fapi/v1/klines", {"symbol": "ETHUSDT", "interval": "1d", "endTime": NOW_MS - 1}),
    ]
    for host, path, query in asked:
        assert later.ask(host, path, **query).body == servers.ask(host, path, **query).body


def test_delisted_pairs_vanish_where_the_exchange_hides_them(generated: GeneratedMarket, servers: Servers) -> None:
    def ended(exchange: str) -> list[str]:
        return [name for name, listing in generated.listings(exchange).items() if listing.end]

    bitstamp = {row["name"]: row["trading"] for row in servers.get(BITSTAMP, "/api/v2/trading-pairs-info/")}
    assert {name for name, trading in bitstamp.items() if trading == "Disabled"} == set(ended("bitstamp"))
    crypto_com = servers.get(CRYPTO_COM, "/exchange/v1/public/get-instruments")["result"]["data"]
    names = {row["display_name"] for row in crypto_com}
    assert names and not names & set(ended("crypto_com"))
    coinbase = {row["id"]: row["status"] for row in servers.get(COINBASE, "/products")}
    for name in ended("coinbase"):
        assert coinbase[name.replace("/", "-")] == "delisted"
    okx = {row["instId"] for row in servers.get(OKX, "/api/v5/public/instruments", instType="SPOT")["data"]}
    gate = {row["id"] for row in servers.get(GATE, "/api/v4/spot/currency_pairs")}
    assert okx and gate
    assert not okx & {name.replace("/", "-") for name in ended("okx")}
    assert not gate & {name.replace("/", "_") for name in ended("gate")}
    contracts = {row["symbol"] for row in servers.get(FUTURES, "/fapi/v1/exchangeInfo")["symbols"]}
    assert not contracts & {name.replace("/", "") for name in ended("binance_usdm")}


def test_a_market_without_an_exchange_names_it_absent() -> None:
    market = GeneratedMarket(date(2025, 3, 1), size=12, start=date(2025, 2, 1), exchanges=("binance",))
    alone = Servers(market)
    for host in EXCHANGE.keys() - {SPOT, "api.binance.com"}:
        path = {KUCOIN: "/api/v1/symbols", US: "/api/v3/klines"}.get(host, "/time")
        reply = alone.ask(host, path, symbol="BTCUSDT", interval="1d")
        assert reply.status in (404, 400) and (host == US or b"does not serve" in reply.body), host
    assert alone.ask(SPOT, "/api/v3/aggTrades", symbol="BTCUSDT").status == 200


@pytest.mark.recorded
def test_the_recorded_market_has_klines_and_nothing_invented(market: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    from orchestration.sandbox.recorded import RecordedMarket

    (tmp_path / "binance/spot").mkdir(parents=True)
    bars = pq.read_table(market / "binance/spot/klines_1d.parquet", filters=[("symbol", "=", "BTCUSDT")])
    pq.write_table(bars, tmp_path / "binance/spot/klines_1d.parquet")
    for name in ("coinmetrics", "coingecko"):
        if (market / name).exists():
            (tmp_path / name).symlink_to(market / name)
    recorded = Servers(RecordedMarket(tmp_path))  # type: ignore[arg-type]
    assert recorded.get(SPOT, "/api/v3/klines", symbol="BTCUSDT", interval="1d", limit=1)
    for path in ("aggTrades", "trades", "depth", "ticker/24hr", "ticker/price"):
        reply = recorded.ask(SPOT, f"/api/v3/{path}", symbol="BTCUSDT")
        assert reply.status == 404 and b"does not serve" in reply.body, path
    for host, path in ((OKX, "/api/v5/market/tickers"), (FUTURES, "/fapi/v1/klines"), (PAPRIKA, "/v1/tickers")):
        assert recorded.ask(host, path).status == 404
    assert recorded.ask(GECKO, "/api/v3/global").status == 404


def test_every_server_knows_its_hosts_as_the_directory_does() -> None:
    from importlib import import_module

    for entry in ENTRIES:
        module = import_module(f"orchestration.sandbox.{entry.server.partition(':')[0]}")
        if set(entry.hosts) & set(EXCHANGE) or entry.upstream in ("coingecko", "coinpaprika"):
            assert entry.hosts == module.HOSTS, entry.server


# --- numbers ---------------------------------------------------------------------------------------------

UNITS = st.integers(-(10**20), 10**20)
PLACES = st.integers(0, 12)


@given(UNITS, PLACES, PLACES)
def test_fixed_text_is_exact_with_at_least_the_places_asked_for(units: int, decimals: int, places: int) -> None:
    text = amounts.fixed(units, decimals, places)
    assert Decimal(text) == Decimal(units).scaleb(-decimals)
    shown = len(text.partition(".")[2])
    assert shown == places or (shown == decimals > places)


@given(UNITS, PLACES)
def test_short_text_is_exact_and_has_no_zero_to_spare(units: int, decimals: int) -> None:
    text = amounts.short(units, decimals)
    assert Decimal(text) == Decimal(units).scaleb(-decimals)
    assert "." not in text or text[-1] not in "0."


@given(st.integers(0, 10**18), st.integers(1, 10**12), st.integers(0, 8))
def test_a_quotient_is_rounded_half_up(dividend: int, divisor: int, places: int) -> None:
    from fractions import Fraction

    error = Fraction(amounts.quotient(dividend, divisor, places), 10**places) - Fraction(dividend, divisor)
    assert Fraction(-1, 2 * 10**places) < error <= Fraction(1, 2 * 10**places)


def test_upbit_writes_small_numbers_with_an_exponent() -> None:
    from orchestration.sandbox.upbit import number

    assert number(6043, 8) == "6.043e-05" and json.loads(number(6043, 8)) == 6.043e-05
    assert [number(1, 8), number(1, 4), number(-500, 3), number(10, 6)] == ["1e-08", "0.0001", "-0.5", "1e-05"]


def test_cut_trades_keep_their_places() -> None:
    from orchestration.sandbox.venue import joined, part

    column = np.arange(4)
    trades = Trades(column, column, column, column, column > 1, column > 1, 2, 5)
    again = joined([part(trades, slice(0, 1)), part(trades, column > 0)])
    assert again.ids.tolist() == [0, 1, 2, 3] and (again.price_decimals, again.base_decimals) == (2, 5)
