"""Every parser on rows typed anew, on recorded answers where they are, and on bodies gone wrong."""

import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.records import RECORDS
from orchestration.sources import alternative_me, binance, coingecko, coinmetrics, defillama, fred
from orchestration.sources.binance import DAY_MS
from orchestration.sources.body import Body, Parsed, SourceError, Window
from orchestration.sources.http import Answer
from orchestration.sources.registry import DATASETS, EXCHANGES, parse

NOON = datetime(2026, 3, 8, 12)


def ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def body(upstream: str, dataset: str, content: object, **context: str) -> Body:
    """A body as fetched; anything but bytes is written as JSON."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Body(upstream, dataset, f"https://{upstream}.example/x", 200, NOON, raw, context)


def rows(parsed: Parsed, table: str) -> list[dict]:
    assert parsed.tables[table].schema.equals(RECORDS[table].schema)
    return parsed.tables[table].to_pylist()


class Script:
    """Stands for `Http`: answers with the given contents, one after the other, and keeps what was asked."""

    def __init__(self, *contents: object):
        self.contents = list(contents)
        self.asked: list[dict] = []

    def get(self, host, path, params=None, weight=1, wrong=None) -> Answer:
        self.asked.append({"path": path, **(params or {})})
        content = self.contents.pop(0) if len(self.contents) > 1 else self.contents[0]
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        return Answer(f"https://{host.hosts[0]}{path}", 200, raw, NOON)


def fetched(bodies: Iterator[Body], parse: Callable[[Body], Parsed]) -> list[Parsed]:
    """What a run makes of a fetch: every body is parsed before the next one is asked for."""
    return [parse(each) for each in bodies]


# --- Binance


def kline(day: int = 0, **changes) -> list:
    """One bar of SOLUSDT, `day` days after 2026-03-01; changes by the name of a field."""
    opened = ms(date(2026, 3, 1)) + day * DAY_MS
    bar = {
        "opened": opened,
        "open": "148.97000000",
        "high": "151.20000000",
        "low": "147.01000000",
        "close": "150.50000000",
        "base": "1000.50000000",
        "closed": opened + DAY_MS - 1,
        "quote": "149074.50000000",
        "trades": 1234,
        "taker_base": "400.25000000",
        "taker_quote": "59637.25000000",
        "ignore": "0",
    }
    return list((bar | changes).values())


def page(content: object, now: str = "2026-04-01T00:00:00", start: str = "2026-03-01", end: str = "2026-03-08") -> Body:
    return body("binance", "spot_flows", content, symbol="SOLUSDT", start=start, end=end, now=now)


def flows(content: object, **options: str) -> list[dict]:
    parsed = binance.parse_flows(page(content, **options))
    assert parsed.refused == []
    return rows(parsed, "spot_flows")


def test_binance_klines_field_by_field():
    first, second = flows([kline(0), kline(1)])
    assert first == {
        "exchange": "binance",
        "symbol": "SOLUSDT",
        "utc_date": date(2026, 3, 1),
        "open_price": 148.97,
        "high_price": 151.2,
        "low_price": 147.01,
        "close_price": 150.5,
        "open_price_text": "148.97000000",
        "high_price_text": "151.20000000",
        "low_price_text": "147.01000000",
        "close_price_text": "150.50000000",
        "volume_base": Decimal("1000.5"),
        "volume_quote": Decimal("149074.5"),
        "taker_buy_base": Decimal("400.25"),
        "taker_buy_quote": Decimal("59637.25"),
        "trade_count": 1234,
        "source_kind": "klines",
        "body_sha256": page([kline(0), kline(1)]).sha256,
    }
    assert second["utc_date"] == date(2026, 3, 2)


def test_binance_no_data_in_the_range_is_no_rows():
    assert flows([]) == []


@pytest.mark.parametrize(
    ("now", "days"),
    [
        ("2026-03-03T12:00:00", 2),
        ("2026-03-03T23:59:59.999000", 2),
        ("2026-03-04T00:00:00", 3),
        ("2026-03-01T00:00:01", 0),
    ],
)
def test_binance_a_bar_still_open_by_the_servers_clock_is_left_out(now: str, days: int):
    assert len(flows([kline(day) for day in range(3)], now=now)) == days


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (kline(1, quote="NaN"), "volume_quote 'NaN' is not a finite number"),
        (kline(1, taker_quote="Infinity"), "taker_buy_quote 'Infinity' is not a finite number"),
        (kline(1, base="1e308"), "volume_base '1e308' has more than 26 digits before the point"),
        (kline(1, taker_base="9" * 40), f"taker_buy_base '{'9' * 40}' has more than 26 digits before the point"),
        (kline(1, quote=""), "volume_quote '' is not a number"),
        (kline(1, quote=None), "volume_quote is missing"),
        (kline(1, opened=ms(date(2026, 3, 2)) + 1), "which is not 00:00 UTC of a day in milliseconds"),
        (kline(1, opened=ms(date(2026, 3, 2)) * 1000), "outside of the days that were asked for"),
        (kline(1, opened=ms(date(2026, 3, 2)) // 1000), "which is not 00:00 UTC of a day in milliseconds"),
        (kline(8), "outside of the days that were asked for"),
        (kline(-1), "outside of the days that were asked for"),
    ],
)
def test_binance_one_bad_row_is_refused_with_its_reason_and_the_others_stay(bad: list, why: str):
    parsed = binance.parse_flows(page([kline(0), bad, kline(2)]))
    assert [row["utc_date"].day for row in rows(parsed, "spot_flows")] == [1, 3]
    (refused,) = parsed.refused
    assert refused.table == "spot_flows" and why in refused.reason
    assert refused.key == f"binance SOLUSDT {bad[0]}" and json.loads(refused.row) == bad


def test_binance_microseconds_are_never_taken_for_open_bars():
    """A whole page in the other unit: refused row by row, not left out in silence."""
    page_us = [kline(d, opened=(ms(date(2026, 3, 1)) + d * DAY_MS) * 1000, closed=1 << 60) for d in range(3)]
    parsed = binance.parse_flows(page(page_us))
    assert rows(parsed, "spot_flows") == [] and len(parsed.refused) == 3


def test_binance_a_negative_volume_reaches_the_suite_that_refuses_it():
    assert flows([kline(0, quote="-5.5")])[0]["volume_quote"] == Decimal("-5.5")


def test_binance_numbers_at_the_edge_keep_every_digit():
    (row,) = flows([kline(0, base="3402823703237621667.009962744418", quote="1.5e+3", taker_quote="0.0000000000025")])
    assert row["volume_base"] == Decimal("3402823703237621667.009962744418")
    assert (row["volume_quote"], row["taker_buy_quote"]) == (Decimal(1500), Decimal("2e-12"))
    assert binance.parse_flows(page([kline(0, taker_quote="0.0000000000025")])).rounded_count == 1


def test_binance_a_price_that_is_no_number_refuses_its_row():
    parsed = binance.parse_flows(page([kline(0), kline(1, close="NaN", high="1e400")]))
    assert parsed.tables["spot_flows"].num_rows == 1
    (refused,) = parsed.refused
    assert refused.reason in ("high_price '1e400' is not a finite number", "close_price 'NaN' is not a finite number")
    assert refused.day == date(2026, 3, 2)


def test_binance_rows_repeated_to_the_letter_count_once():
    assert [r["utc_date"].day for r in flows([kline(0), kline(1), kline(0), kline(1), kline(1)])] == [1, 2]


def test_binance_two_values_for_one_day_are_both_kept_for_the_suite():
    assert len(flows([kline(0), kline(0, quote="149074.60000000")])) == 2


def test_binance_order_does_not_matter():
    assert sorted(r["utc_date"].day for r in flows([kline(2), kline(0), kline(1)])) == [1, 2, 3]


KLINES_GONE_WRONG = {
    "an error body": {"code": -1121, "msg": "Invalid symbol."},
    "a geo-block": {"code": 0, "msg": "Service unavailable from a restricted location"},
    "rows of 11 fields": [kline()[:11]],
    "rows of 13 fields": [[*kline(), "1"]],
    "rows as objects": [{"t": 1}],
    "text": "klines",
    "null": None,
    "numbers instead of text": [kline(0, quote=149074.5)],
    "text instead of a time": [kline(0, opened="1772323200000")],
    "a time with decimals": [kline(0, opened=1772323200000.0)],
    "text instead of a count": [kline(0, trades="1234")],
    "a count with decimals": [kline(0, trades=1.5)],
    "no count": [kline(0, trades=None)],
    "no time of closing": [kline(0, closed=None)],
    "true": [kline(0, trades=True)],
    "a price that is a list": [kline(0, open=["1"])],
    "an amount that is an object": [kline(0, quote={"a": 1})],
    "a time that fits no integer": [kline(0, opened=1 << 70)],
    "not JSON": b"[[1,2",
    "HTML": b"<html></html>",
    "ZIP": b"PK\x03\x04",
    "not UTF-8": b'["\xff"]',
    "half a surrogate": b'[[1,"\\ud800","1","1","1","1",2,"1",3,"1","1","0"]]',
    "deeper than anyone reads": b"[" * 100_000 + b"]" * 100_000,
}


def test_a_message_that_quotes_half_a_character_can_be_stored():
    with pytest.raises(SourceError) as caught:
        binance.parse_flows(page(b'{"msg":"\\ud800"}'))
    assert caught.value.args[0].encode() and "instead of klines" in str(caught.value)


@pytest.mark.parametrize("content", KLINES_GONE_WRONG.values(), ids=KLINES_GONE_WRONG.keys())
def test_binance_what_are_no_klines_is_said(content: object):
    with pytest.raises(SourceError, match=r"https://binance\.example/x"):
        binance.parse_flows(page(content))


LISTING = {
    "timezone": "UTC",
    "serverTime": ms(date(2026, 3, 8)) + 1000,
    "symbols": [
        {"symbol": "SOLUSDT", "status": "TRADING", "baseAsset": "SOL", "quoteAsset": "USDT", "permissions": []},
        {"symbol": "SRMUSDT", "status": "BREAK", "baseAsset": "srm", "quoteAsset": "USDT"},
        {"symbol": "币安人生USDT", "status": "HALT", "baseAsset": "币安人生", "quoteAsset": "USDT", "new": {"a": 1}},
    ],
}


def test_binance_symbols():
    listing = body("binance", "spot_symbols", LISTING)
    found = rows(binance.parse_symbols(listing), "spot_symbols")
    assert [(r["symbol"], r["base_asset"], r["status"], r["is_trading"], r["is_listed"]) for r in found] == [
        ("SOLUSDT", "SOL", "TRADING", True, True),
        ("SRMUSDT", "SRM", "BREAK", False, True),
        ("币安人生USDT", "币安人生", "HALT", False, True),
    ]
    assert binance.server_time(listing) == datetime(2026, 3, 8, 0, 0, 1)


@pytest.mark.parametrize(
    "content",
    [
        {"code": -1003, "msg": "Too many requests."},
        {"serverTime": 1, "symbols": None},
        {"serverTime": 1, "symbols": [{"symbol": "A"}]},
        {"serverTime": 1, "symbols": ["SOLUSDT"]},
        {"serverTime": 1, "symbols": [LISTING["symbols"][0] | {"symbol": 5}]},
        {"serverTime": 1, "symbols": [LISTING["symbols"][0] | {"baseAsset": None}]},
        {"symbols": LISTING["symbols"]},
        LISTING | {"serverTime": "soon"},
        LISTING | {"serverTime": 1 << 60},
        [],
    ],
)
def test_binance_what_is_no_listing_is_said(content: object):
    with pytest.raises(SourceError, match=r"https://binance\.example/x: "):
        binance.parse_symbols(body("binance", "spot_symbols", content))


def binance_pages(http: Script, days: int) -> list[Parsed]:
    window = Window(date(2020, 1, 1), date(2020, 1, 1) + timedelta(days=days))
    bodies = binance.fetch_flows(http, "SOLUSDT", window, datetime(2026, 1, 1))  # pyright: ignore[reportArgumentType]
    return fetched(bodies, binance.parse_flows)


def bars(first: int, count: int) -> list[list]:
    start = ms(date(2020, 1, 1))
    days = range(first, first + count)
    return [kline(0, opened=start + d * DAY_MS, closed=start + (d + 1) * DAY_MS - 1) for d in days]


@pytest.mark.parametrize(
    ("pages", "days"),
    [
        ([bars(0, 999)], 999),
        ([bars(0, 1000)], 1000),
        ([bars(0, 1000), bars(1000, 1)], 1001),
        ([bars(0, 1000), bars(1000, 1000), bars(2000, 7)], 2007),
        ([bars(0, 1000), []], 1500),
    ],
)
def test_binance_pages_until_one_is_not_full(pages: list, days: int):
    http = Script(*pages)
    parsed = binance_pages(http, days)
    found = [r["utc_date"] for p in parsed for r in rows(p, "spot_flows")]
    assert found == [date(2020, 1, 1) + timedelta(days=d) for d in range(sum(map(len, pages)))]
    assert len(http.asked) == len(pages)
    start, end = ms(date(2020, 1, 1)), ms(date(2020, 1, 1)) + days * DAY_MS
    assert [a["startTime"] for a in http.asked] == [start + n * 1000 * DAY_MS for n in range(len(pages))]
    assert all((a["endTime"], a["limit"], a["interval"]) == (end - 1, 1000, "1d") for a in http.asked)


def test_binance_a_full_page_out_of_order_does_not_turn_paging_round():
    http = Script(bars(0, 1000)[::-1], bars(1000, 5))
    assert sum(p.tables["spot_flows"].num_rows for p in binance_pages(http, 1005)) == 1005
    assert len(http.asked) == 2


def test_binance_a_page_that_never_advances_ends_with_an_error():
    http = Script(bars(0, 1000))
    with pytest.raises(SourceError, match="paging would never end"):
        binance_pages(http, 3000)
    assert len(http.asked) == 2


# --- DefiLlama


def llama(dataset: str, content: object, **context: str) -> Body:
    return body("defillama", dataset, content, **context)


def coin(**changes) -> dict:
    usual = {
        "id": "1",
        "name": "Tether",
        "symbol": "USDT",
        "gecko_id": "tether",
        "pegType": "peggedUSD",
        "pegMechanism": "fiat-backed",
        "circulating": {"peggedUSD": 183727681018.3214},
        "chains": ["Ethereum"],
        "price": 0.9997797864679318,
    }
    return usual | changes


def test_defillama_coins():
    content = {
        "peggedAssets": [
            coin(),
            coin(id="2", symbol="USDC", circulating={"peggedUSD": "183000000000.5"}, price=None),
            coin(id="50", symbol="EURC", pegType="peggedEUR", circulating={}, gecko_id=None, price="1.08"),
        ]
    }
    found = rows(defillama.parse_coins(llama("stablecoins", content)), "stablecoins")
    assert [(r["stablecoin_id"], r["circulating_peg"], r["price_usd"]) for r in found] == [
        ("1", Decimal("183727681018.3214"), 0.9997797864679318),
        ("2", Decimal("183000000000.5"), None),
        ("50", None, 1.08),
    ]
    assert found[2]["gecko_id"] is None and found[2]["peg_type"] == "peggedEUR"
    assert all(r["is_followed"] for r in found)


def test_defillama_the_largest_coins_are_followed():
    coins = [coin(id=str(n), circulating={"peggedUSD": n}) for n in range(40)] + [coin(id="x", circulating={})]
    found = rows(defillama.parse_coins(llama("stablecoins", {"peggedAssets": coins})), "stablecoins")
    followed = {r["stablecoin_id"] for r in found if r["is_followed"]}
    assert followed == {str(n) for n in range(40 - defillama.FOLLOWED, 40)}


def test_defillama_a_supply_that_is_no_number_is_refused_not_hidden():
    content = json.dumps({"peggedAssets": [coin(circulating={"peggedUSD": float("nan")})]}).encode()
    parsed = defillama.parse_coins(llama("stablecoins", content))
    assert rows(parsed, "stablecoins") == []
    assert [(r.key, r.reason) for r in parsed.refused] == [("USDT 1", "'NaN' is not a finite number")]


def test_defillama_totals_absent_is_not_zero():
    content = [
        {"date": "1704067200", "totalCirculating": {"peggedUSD": 100, "peggedEUR": 0}, "totalCirculatingUSD": {}},
        {"date": 1704153600, "totalCirculatingUSD": {"peggedUSD": 4994231849.1}, "totalMintedUSD": {"peggedUSD": 0}},
        {"date": "1704240000", "totalCirculating": {}, "totalCirculatingUSD": {}},
        {"date": "1704326400"},
    ]
    found = rows(defillama.parse_totals(llama("stablecoin_totals", content)), "stablecoin_totals")
    assert [(r["peg_type"], r["utc_date"].day, r["circulating_peg"], r["circulating_usd"]) for r in found] == [
        ("peggedUSD", 1, Decimal(100), None),
        ("peggedEUR", 1, Decimal(0), None),
        ("peggedUSD", 2, None, Decimal("4994231849.1")),
    ]


def test_defillama_totals_refuse_single_cells():
    content = b'[{"date":"1704067200","totalCirculatingUSD":{"peggedUSD":1e308,"peggedEUR":5.5,"peggedJPY":Infinity}}]'
    parsed = defillama.parse_totals(llama("stablecoin_totals", content))
    assert [r["peg_type"] for r in rows(parsed, "stablecoin_totals")] == ["peggedEUR"]
    assert [r.key for r in parsed.refused] == ["peggedUSD 2024-01-01", "peggedJPY 2024-01-01"]


def history(*points: tuple, **changes) -> dict:
    tokens = [{"date": second, "circulating": {"peggedUSD": value}} for second, value in points]
    return {"id": "2", "symbol": "USDC", "name": "USD Coin", "pegType": "peggedUSD", "tokens": tokens} | changes


def supply(content: object) -> Parsed:
    return defillama.parse_supply(llama("stablecoin_supplies", content, stablecoin_id="2"))


def test_defillama_the_last_record_of_a_day_counts():
    day = 1704067200
    parsed = supply(
        history(
            (day + 100, 10),
            (day + 80_000, "12.5"),
            (day + 50_000, 11),
            (day + 90_000, 13.000000000000001),
            chainBalances={"Ethereum": {"tokens": [{"date": day + 5, "circulating": {"peggedUSD": 7}}]}, "Tron": {}},
        )
    )
    found = rows(parsed, "stablecoin_supplies")
    assert [(r["utc_date"].day, r["circulating_peg"]) for r in found] == [(1, Decimal("12.5")), (2, Decimal(13))]
    assert parsed.rounded_count == 1
    (chain,) = rows(parsed, "stablecoin_chain_supplies")
    assert (chain["chain"], chain["circulating_peg"], chain["stablecoin_id"]) == ("Ethereum", Decimal(7), "2")


def test_defillama_a_point_without_the_peg_is_absent():
    points = [{"date": 1704067200, "circulating": {}}, {"date": 1704153600, "circulating": {"peggedUSD": 0}}]
    found = rows(supply(history(tokens=points)), "stablecoin_supplies")
    assert [(r["utc_date"].day, r["circulating_peg"]) for r in found] == [(2, Decimal(0))]


def test_defillama_another_coin_is_not_taken_for_the_one_asked_for():
    with pytest.raises(SourceError, match="answers with coin 3"):
        supply(history((1704067200, 1), id="3"))


LLAMA_GONE_WRONG = [
    (defillama.parse_coins, {"peggedAssets": []}),
    (defillama.parse_coins, {"peggedAssets": [coin(circulating=None)]}),
    (defillama.parse_coins, {"peggedAssets": [coin(circulating={"peggedUSD": {"a": 1}})]}),
    (defillama.parse_coins, {"peggedAssets": [coin(symbol=["x"])]}),
    (defillama.parse_coins, {"peggedAssets": ["Tether"]}),
    (defillama.parse_coins, {"message": "Internal server error"}),
    (defillama.parse_totals, []),
    (defillama.parse_totals, {"message": "Too many requests"}),
    (defillama.parse_totals, [{"totalCirculating": {"peggedUSD": 1}}]),
    (defillama.parse_totals, [{"date": "soon", "totalCirculating": {"peggedUSD": 1}}]),
    (defillama.parse_totals, [{"date": "1e300", "totalCirculating": {"peggedUSD": 1}}]),
    (defillama.parse_totals, [{"date": "1", "totalCirculating": {"peggedUSD": True}}]),
    (defillama.parse_totals, [{"date": "1", "totalCirculating": {"peggedUSD": {"a": 1}}}]),
    (defillama.parse_totals, [{"date": "1", "totalCirculating": [5]}]),
    (defillama.parse_totals, [5]),
    (defillama.parse_supply, history(tokens=None)),
    (defillama.parse_supply, history((1704067200, True))),
    (defillama.parse_supply, history((1704067200, [1]))),
    (defillama.parse_supply, history(("today", 1))),
    (defillama.parse_supply, history((1704067200, 1), symbol={"a": 1})),
    (defillama.parse_supply, history((1704067200, 1), chainBalances=[1])),
    (defillama.parse_supply, []),
    (defillama.parse_supply, {"error": "not found"}),
]


@pytest.mark.parametrize(("parse", "content"), LLAMA_GONE_WRONG)
def test_defillama_what_is_something_else_is_said(parse: Callable[[Body], Parsed], content: object):
    with pytest.raises(SourceError, match=r"https://defillama\.example/x: "):
        parse(llama("x", content, stablecoin_id="2"))


# --- CoinMetrics


def metric(asset: str = "btc", day: str = "2026-01-01", **values) -> dict:
    return {"asset": asset, "time": f"{day}T00:00:00.000000000Z"} | values


def test_coinmetrics_caps():
    data = [
        metric(CapMrktEstUSD="1750000000000.123456789", ReferenceRateUSD="87500.25"),
        metric(day="2026-01-02", CapMrktEstUSD=None),
        metric("eth", ReferenceRateUSD=None, CapMrktEstUSD="3.5E+11"),
    ]
    found = rows(coinmetrics.parse_caps(body("coinmetrics", "asset_caps", {"data": data})), "asset_caps")
    assert [(r["asset"], r["utc_date"].day, r["cap_usd"], r["price_usd"]) for r in found] == [
        ("btc", 1, Decimal("1750000000000.123456789"), 87500.25),
        ("btc", 2, None, None),
        ("eth", 1, Decimal(350_000_000_000), None),
    ]


def test_coinmetrics_a_bad_cap_is_refused_alone():
    bad = [metric("eth", CapMrktEstUSD="Infinity"), metric("xrp", CapMrktEstUSD="2", ReferenceRateUSD="NaN")]
    data = [metric(CapMrktEstUSD="1"), *bad, metric("sol", CapMrktEstUSD="3")]
    parsed = coinmetrics.parse_caps(body("coinmetrics", "asset_caps", {"data": data}))
    assert [r["asset"] for r in rows(parsed, "asset_caps")] == ["btc", "sol"]
    assert [(r.key, r.reason) for r in parsed.refused] == [
        ("eth 2026-01-01", "'Infinity' is not a finite number"),
        ("xrp 2026-01-01", "'NaN' is not a finite number"),
    ]


def test_rows_repeated_to_the_letter_count_once_everywhere():
    data = {"data": [metric(CapMrktEstUSD="1")] * 3}
    assert len(rows(coinmetrics.parse_caps(body("coinmetrics", "asset_caps", data)), "asset_caps")) == 1
    listing = json.loads(json.dumps(LISTING))
    listing["symbols"] *= 2
    parsed = binance.parse_symbols(body("binance", "spot_symbols", listing))
    assert len(rows(parsed, "spot_symbols")) == len(LISTING["symbols"])


@pytest.mark.parametrize(
    "content",
    [
        {"error": {"type": "bad_parameter", "message": "Bad parameter 'assets'."}},
        {"data": [{"asset": "btc"}]},
        {"data": [metric() | {"time": 5}]},
        {"data": [metric() | {"time": "yesterday"}]},
        {"data": [metric(CapMrktEstUSD=1.5)]},
        {"data": [metric(asset={"a": 1})]},  # pyright: ignore[reportArgumentType]
        {"data": None},
        {"data": ["btc"]},
        [],
    ],
)
def test_coinmetrics_what_are_no_metrics_is_said(content: object):
    with pytest.raises(SourceError, match="not asset metrics"):
        coinmetrics.parse_caps(body("coinmetrics", "asset_caps", content))


CATALOG = {"data": [{"asset": "eth"}, {"asset": "btc"}, {"asset": "btc"}]}


def caps(*contents: object) -> tuple[list[Parsed], Script]:
    http = Script(*contents)
    bodies = coinmetrics.fetch_caps(http)  # pyright: ignore[reportArgumentType]
    return fetched(bodies, coinmetrics.parse_caps), http


def test_coinmetrics_pages_follow_the_token():
    pages = [{"data": [metric()], "next_page_token": t} for t in ("a", "b")]
    parsed, http = caps(CATALOG, *pages, {"data": [metric("eth")]})
    assert len(parsed) == 3
    assert [a.get("next_page_token") for a in http.asked[1:]] == [None, "a", "b"]
    assert {a["assets"] for a in http.asked[1:]} == {"btc,eth"}


@pytest.mark.parametrize("end", [{}, {"next_page_token": None}, {"next_page_token": ""}])
def test_coinmetrics_the_last_page_has_no_token(end: dict):
    assert len(caps(CATALOG, {"data": []} | end)[0]) == 1


@pytest.mark.parametrize("token", ["a", {"a": 1}, 5, ["a"]])
def test_coinmetrics_a_token_that_repeats_or_is_none_ends_paging(token: object):
    with pytest.raises(SourceError, match="paging would never end"):
        caps(CATALOG, {"data": [metric()], "next_page_token": token})


@pytest.mark.parametrize(
    "catalog", [{"data": []}, {"error": {}}, {"data": [{"asset": 5}]}, {"data": [{"asset": []}]}, []]
)
def test_coinmetrics_what_is_no_catalog_is_said(catalog: object):
    with pytest.raises(SourceError, match="not a catalog|names no asset"):
        caps(catalog)


# --- CoinGecko


def market(**changes) -> dict:
    usual = {
        "id": "bitcoin",
        "symbol": "btc",
        "name": "Bitcoin",
        "current_price": 70187,
        "market_cap": 1381651251183,
        "market_cap_rank": 1,
        "circulating_supply": 19675987.5,
        "last_updated": "2026-01-28T07:10:36.635Z",
    }
    return usual | changes


def snapshot(*coins: dict) -> Parsed:
    return coingecko.parse_snapshot(body("coingecko", "coin_snapshots", list(coins)))


def test_coingecko_snapshot():
    older = market(id="x", market_cap=None, market_cap_rank=None, circulating_supply=None, current_price=None)
    parsed = snapshot(market(), older | {"last_updated": "2026-01-27T23:59:59Z"}, market(id="y", last_updated=None))
    first, second, third = rows(parsed, "coin_snapshots")
    assert (first["coin_id"], first["symbol"], first["cap_usd"]) == ("bitcoin", "BTC", Decimal(1381651251183))
    assert (first["circulating_supply_base"], first["price_usd"]) == (Decimal("19675987.5"), 70187.0)
    assert [second[c] for c in ("cap_usd", "rank_count", "circulating_supply_base", "price_usd")] == [None] * 4
    assert {r["utc_date"] for r in (first, second, third)} == {date(2026, 1, 28)}, "the day of the newest row"


def test_coingecko_a_supply_that_is_no_number_is_refused_not_hidden():
    content = json.dumps([market(), market(id="x", circulating_supply=float("inf"))]).encode()
    parsed = coingecko.parse_snapshot(body("coingecko", "coin_snapshots", content))
    assert [r["coin_id"] for r in rows(parsed, "coin_snapshots")] == ["bitcoin"]
    assert [(r.key, r.reason) for r in parsed.refused] == [("x 2026-01-28", "'Infinity' is not a finite number")]


@pytest.mark.parametrize(
    "content",
    [
        {"status": {"error_code": 429, "error_message": "You've exceeded the Rate Limit."}},
        [],
        ["bitcoin"],
        [market(last_updated=None)],
        [market(last_updated=5)],
        [market(symbol=None)],
        [market(market_cap={"usd": 1})],
        [market(market_cap_rank="first")],
        [{"id": "bitcoin"}],
    ],
)
def test_coingecko_what_are_no_coins_is_said(content: object):
    with pytest.raises(SourceError, match="list of coins"):
        coingecko.parse_snapshot(body("coingecko", "coin_snapshots", content))


@pytest.mark.parametrize(("sizes", "asked"), [([250, 250], 2), ([250, 3], 2), ([250, 0], 2), ([3], 1)])
def test_coingecko_pages(sizes: list[int], asked: int):
    pages = [[market(id=f"{page}-{n}") for n in range(size)] for page, size in enumerate(sizes)]
    http = Script(*pages)
    bodies = coingecko.fetch_snapshot(http)  # pyright: ignore[reportArgumentType]
    parsed = fetched(bodies, coingecko.parse_snapshot)
    assert sum(p.tables["coin_snapshots"].num_rows for p in parsed) == sum(sizes)
    assert [a["page"] for a in http.asked] == list(range(1, asked + 1))


# --- FRED and Fear & Greed


def series(text: str | bytes, series_id: str = "M2SL") -> Parsed:
    content = text if isinstance(text, bytes) else text.encode()
    return fred.parse_series(body("fred", "macro_observations", content, series_id=series_id))


@pytest.mark.parametrize("header", ["observation_date", "DATE"])
def test_fred_dot_and_empty_are_published_as_missing(header: str):
    text = f"{header},M2SL\n1959-01-01,286.6\n1959-02-01,.\n1959-03-01,\n1959-04-01,0\n1959-05-01,-0.25\n"
    found = rows(series(text), "macro_observations")
    values = [Decimal("286.6"), None, None, Decimal(0), Decimal("-0.25")]
    assert [r["value"] for r in found] == values
    assert [r["utc_date"] for r in found] == [date(1959, month, 1) for month in range(1, 6)]
    assert {(r["series_id"], r["upstream"]) for r in found} == {("M2SL", "fred")}


def test_fred_a_bad_value_is_refused_alone():
    parsed = series("DATE,M2SL\n2020-01-01,1\n2020-02-01,NaN\n2020-03-01,n/a\n2020-04-01,4\n")
    assert [r["utc_date"].month for r in rows(parsed, "macro_observations")] == [1, 4]
    assert [r.key for r in parsed.refused] == ["M2SL 2020-02-01", "M2SL 2020-03-01"]


@pytest.mark.parametrize(
    "content",
    [
        "observation_date,WALCL\n2020-01-01,1\n",
        "observation_date,M2SL,WALCL\n2020-01-01,1,2\n",
        "observation_date\n2020-01-01\n",
        "M2SL,observation_date\n1,2020-01-01\n",
        "observation_date,M2SL\n01/02/2020,1\n",
        "observation_date,M2SL\n2020-01-01\n",
        "observation_date,M2SL\n\n",
        "\n",
        "",
        b"PK\x03\x04\x14\x00\x08\x08",
        b"<!DOCTYPE html><html>\n</html>\n",
        b"observation_date,M2SL\n2020-01-01,\xff\n",
    ],
)
def test_fred_what_is_another_file_is_said(content: str | bytes):
    with pytest.raises(SourceError, match=r"https://fred\.example/x: (columns|not the CSV)"):
        series(content)


def fear(*points: dict, **changes) -> list[dict]:
    content = {"name": "Fear and Greed Index", "data": list(points), "metadata": {"error": None}} | changes
    parsed = alternative_me.parse_index(body("alternative_me", "macro_observations", content))
    return rows(parsed, "macro_observations")


def test_fear_and_greed():
    first, second = fear(
        {"value": "47", "value_classification": "Neutral", "timestamp": "1777248000", "time_until_update": "1"},
        {"value": "33", "value_classification": "Fear", "timestamp": "1777161600"},
    )
    assert (first["utc_date"], first["value"]) == (date(2026, 4, 27), Decimal(47))
    assert (second["utc_date"], second["value"], second["series_id"]) == (date(2026, 4, 26), Decimal(33), "FNG")


@pytest.mark.parametrize(
    "point",
    [
        {"value": "47", "timestamp": "04-27-2026"},
        {"value": "47"},
        {"value": 47, "timestamp": "1777248000"},
        {"value": "NaN", "timestamp": "1777248000"},
        {"value": "47", "timestamp": "9" * 30},
        {"value": "47", "timestamp": None},
    ],
)
def test_fear_and_greed_what_is_something_else_is_said(point: dict):
    with pytest.raises(SourceError, match=r"https://alternative_me\.example/x: "):
        fear(point)


# --- the registry


def body_of(upstream: str, dataset: str) -> Body:
    context = dict(page([]).context) | {"series_id": "M2SL", "stablecoin_id": "1"}
    return Body(upstream, dataset, "https://host.example/x", 200, NOON, b'{"code": -1}', context)


def test_every_upstream_that_fetches_has_its_parser():
    known = [(name, dataset) for name in EXCHANGES for dataset in ("spot_symbols", "spot_flows")]
    for upstream, dataset in known + [(d.upstream, d.name) for d in DATASETS]:
        assert dataset in RECORDS
        with pytest.raises(SourceError):
            parse([body_of(upstream, dataset)])
    for unknown in (("binance", "trades"), ("nobody", "spot_flows")):
        with pytest.raises(KeyError):
            parse([body_of(*unknown)])


def test_pages_parsed_together_give_the_rows_of_pages_parsed_alone():
    pages = [
        page([kline(0), kline(1)]),
        page([]),
        page([kline(0, taker_quote="0.0000000000025"), kline(1, quote=None)]),
    ]
    alone = [binance.parse_flows(body) for body in pages]
    together = parse(pages)
    assert len(together) == 1
    assert pa.concat_tables([p.tables["spot_flows"] for p in alone]).equals(together[0].tables["spot_flows"])
    assert together[0].rounded_count == sum(p.rounded_count for p in alone) == 1
    assert together[0].refused == [row for p in alone for row in p.refused]
    assert [row.body_sha256 for row in together[0].refused] == [pages[2].sha256]


# --- bodies gone wrong in any way


GOOD: dict[str, tuple[Callable[[Body], Parsed], object, dict[str, str]]] = {
    "binance klines": (binance.parse_flows, [kline(0), kline(1)], dict(page([]).context)),
    "binance symbols": (binance.parse_symbols, LISTING, {}),
    "defillama coins": (defillama.parse_coins, {"peggedAssets": [coin(), coin(id="2")]}, {}),
    "defillama totals": (
        defillama.parse_totals,
        [{"date": "1704067200", "totalCirculating": {"peggedUSD": 100.5}, "totalCirculatingUSD": {"peggedUSD": 1}}],
        {},
    ),
    "defillama supply": (
        defillama.parse_supply,
        history((1704067200, 10), chainBalances={"Tron": {"tokens": [{"date": 1, "circulating": {"peggedUSD": 7}}]}}),
        {"stablecoin_id": "2"},
    ),
    "coinmetrics": (coinmetrics.parse_caps, {"data": [metric(CapMrktEstUSD="1.5", ReferenceRateUSD="2")]}, {}),
    "coingecko": (coingecko.parse_snapshot, [market(), market(id="x")], {}),
    "fear and greed": (alternative_me.parse_index, {"data": [{"value": "47", "timestamp": "1777248000"}]}, {}),
}

strange = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([1 << 63, -(1 << 63), 1 << 80, 0, -1]),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["", "NaN", "1e308", "9" * 40, "-5", "\ud800", "1_0", "2026-01-01", "\x00", "1e-300"]),
    st.just([]),
    st.just({}),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def places(value: object, path: tuple = ()) -> Iterator[tuple]:
    """The path of everything inside of a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*path, key)
        yield from places(each, (*path, key))


@st.composite
def mutated(draw, good: object) -> bytes:
    """A body of which up to three places are exchanged, dropped or repeated, or whose bytes are cut."""
    value = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(value))
        if not found:
            break
        *parents, last = draw(st.sampled_from(found))
        parent = value
        for key in parents:
            parent = parent[key]  # pyright: ignore[reportIndexIssue]
        how = draw(st.sampled_from(["exchange", "exchange", "drop", "repeat"]))
        if how == "drop":
            del parent[last]  # pyright: ignore[reportIndexIssue]
        elif how == "repeat" and isinstance(parent, list):
            parent.append(parent[last])
        else:
            parent[last] = draw(strange)  # pyright: ignore[reportIndexIssue]
    content = json.dumps(value).encode()
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(content)))
        content = content[:at] + draw(st.binary(max_size=3)) + content[at + draw(st.integers(0, 5)) :]
    return content


def check_parsed(parsed: Parsed) -> None:
    for name, table in parsed.tables.items():
        assert table.schema.equals(RECORDS[name].schema)
        table.validate(full=True)
        table.to_pylist()
    for refused in parsed.refused:
        assert refused.reason and refused.key and refused.table in parsed.tables
        refused.row.encode()


@pytest.mark.parametrize("name", GOOD)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_body_gives_rows_or_a_source_error(name: str, data: st.DataObject):
    parse, good, context = GOOD[name]
    upstream = "binance" if "binance" in name else "upstream"
    try:
        parsed = parse(body(upstream, "x", data.draw(mutated(good)), **context))
    except SourceError as error:
        assert "https://" in str(error) and error.reason == "failed"
        str(error).encode()
    else:
        check_parsed(parsed)


@pytest.mark.parametrize("name", GOOD)
def test_the_bodies_that_are_mutated_are_good(name: str):
    parse, good, context = GOOD[name]
    parsed = parse(body("binance", "x", good, **context))
    check_parsed(parsed)
    assert all(table.num_rows for table in parsed.tables.values()) and not parsed.refused


line = st.one_of(
    st.tuples(st.dates().map(str) | st.text(max_size=4), st.sampled_from([".", "", "1.5", "NaN", "1e400"])).map(
        ",".join
    ),
    st.text(max_size=8),
)


@settings(max_examples=300, deadline=None)
@given(lines=st.lists(line, max_size=5), header=st.sampled_from(["DATE,M2SL", "observation_date,M2SL", "", '"', "a,b"]))
def test_any_csv_gives_rows_or_a_source_error(lines: list[str], header: str):
    text = "\n".join([header, *lines, ""])
    try:
        check_parsed(series(text.encode("utf-8", "replace")))
    except SourceError as error:
        assert "https://fred.example/x" in str(error)


# --- recorded answers


@pytest.fixture(scope="module")
def fixtures(shared: Path) -> Path:
    return shared / "fixtures"


@pytest.mark.recorded
@pytest.mark.parametrize(("symbol", "count"), [("BTCUSDT", 365), ("ETHBTC", 366)])
def test_recorded_klines_equal_the_oracle_to_the_last_digit(symbol: str, count: int, fixtures: Path):
    name = f"klines_{symbol}_1d_2019_{count}.json"
    content = (fixtures / "binance_rest" / name).read_bytes()
    parsed = binance.parse_flows(
        body("binance", "spot_flows", content, symbol=symbol, start="2019-01-01", end="2020-01-02", now="2026-01-01")
    )
    found = {str(r["utc_date"]): r for r in rows(parsed, "spot_flows")}
    assert len(found) == count and not parsed.refused and not parsed.rounded_count
    oracle = json.loads((fixtures / "ORACLE.json").read_text())["expected"][f"binance_rest/{name}"]
    days = {day: sums for day, sums in oracle.items() if isinstance(sums, dict) and "taker_buy_quote" in sums}
    assert len(days) >= 6
    for day, sums in days.items():
        row = found[day]
        assert row["taker_buy_quote"] == Decimal(sums["taker_buy_quote"])
        assert row["volume_quote"] - row["taker_buy_quote"] == Decimal(sums["taker_sell_quote"])
        assert row["trade_count"] == sums["trades"]


@pytest.mark.recorded
def test_recorded_full_page_asks_for_the_next(fixtures: Path):
    """1000 hourly bars, a full page: what matters here is where the next page begins."""
    content = json.loads((fixtures / "binance_rest/klines_BTCUSDT_1h_1000_fullpage.json").read_text())
    assert len(content) == binance.PAGE
    http = Script(content, [])
    window = Window(date(2020, 5, 1), date(2020, 7, 1))
    bodies = list(binance.fetch_flows(http, "BTCUSDT", window, datetime(2026, 1, 1)))  # pyright: ignore[reportArgumentType]
    assert len(bodies) == 2
    assert http.asked[1]["startTime"] == content[-1][0] + DAY_MS
    hourly = binance.parse_flows(bodies[0])
    assert len(hourly.refused) == sum(1 for row in content if row[0] % DAY_MS) > 900, "hours are not days"


@pytest.mark.recorded
def test_recorded_listing(fixtures: Path):
    content = (fixtures / "binance_rest/exchangeInfo_25symbols_2025-08.json").read_bytes()
    listing = body("binance", "spot_symbols", content)
    found = rows(binance.parse_symbols(listing), "spot_symbols")
    assert sorted(r["status"] for r in found) == ["BREAK"] * 13 + ["TRADING"] * 12
    assert all(r["symbol"] == r["base_asset"] + r["quote_asset"] for r in found)
    assert binance.server_time(listing).year == 2025


@pytest.mark.recorded
def test_recorded_geo_block_is_no_data(fixtures: Path):
    with pytest.raises(SourceError, match="restricted location"):
        binance.parse_flows(page((fixtures / "binance_rest/error_451_geo_block.json").read_bytes()))


@pytest.mark.recorded
def test_recorded_services(fixtures: Path):
    def read(name: str) -> bytes:
        return (fixtures / name).read_bytes()

    (usdt,) = rows(defillama.parse_coins(llama("x", read("defillama/stablecoins_usdt_abridged.json"))), "stablecoins")
    assert (usdt["circulating_peg"], usdt["price_usd"]) == (Decimal("183727681018.3214"), 0.9997797864679318)
    totals = defillama.parse_totals(llama("x", read("defillama/stablecoincharts_chain_points_real.json")))
    assert [r["circulating_peg"] for r in rows(totals, "stablecoin_totals")] == [Decimal(88365136), None, None]
    shape = defillama.parse_totals(llama("x", read("defillama/stablecoincharts_all_shape.json")))
    assert [r["circulating_usd"] for r in rows(shape, "stablecoin_totals")] == [Decimal(101), Decimal(202)]
    coins = rows(
        coingecko.parse_snapshot(body("coingecko", "x", read("coingecko/coins_markets.json"))), "coin_snapshots"
    )
    assert (coins[0]["coin_id"], coins[0]["cap_usd"]) == ("bitcoin", Decimal(1381651251183))
    assert [r["value"] for r in rows(series(read("fred/M2SL_real_points.csv")), "macro_observations")] == [
        Decimal("286.6"),
        Decimal(23218),
    ]
    index = alternative_me.parse_index(body("alternative_me", "x", read("fng/fng_limit2.json")))
    assert [r["utc_date"] for r in rows(index, "macro_observations")] == [date(2026, 4, 27), date(2026, 4, 26)]
