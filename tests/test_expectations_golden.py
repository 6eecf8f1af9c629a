"""The second computation of the headline: by hand on a few rows, and against the recorded market."""

import gzip
import json
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from orchestration.expectations.golden import Golden, compare, compute, leveraged_tokens

D = Decimal
DAY = date(2025, 6, 14)
AMOUNT = pa.decimal128(38, 12)
NOT_ALT = {"BTC", "ETH", "USDC"}

ROWS = [
    # base, quote, day, volume, taker buy                                net = 2 buy - volume
    ("A", "USDT", DAY, "100", "30"),  # -40
    ("B", "USDT", DAY, "10.123456785", "5.000000005"),  # 10.00000002 - 10.12345679 = -0.12345677
    ("JUP", "USDT", DAY, "7", "7"),  # +7: J is not listed, so JUP is no leveraged token
    ("A", "USDT", DAY - timedelta(days=364), "50", "40"),  # +30, the first day of the window
    ("A", "USDT", DAY - timedelta(days=365), "1000", "0"),  # the day before it
    ("BTC", "USDT", DAY, "5000", "0"),  # not an altcoin
    ("AUP", "USDT", DAY, "300", "0"),  # leveraged: A is listed
    ("A", "EUR", DAY, "400", "0"),  # not quoted in USDT
    ("C", "USDT", DAY, "60", None),  # the taker side is not reported
]
BY_HAND = Golden(
    utc_date=DAY,
    net_taker_usd=D("-33.12345677"),
    volume_usd=D("117.12345679"),
    window_net_taker_usd=D("-3.12345677"),
    window_volume_usd=D("167.12345679"),
    symbol_count=3,
)


def flows_of(rows: list[tuple]) -> pa.Table:
    bases, quotes, days, volumes, buys = zip(*rows, strict=True)
    return pa.table(
        {
            "exchange": ["binance"] * len(rows),
            "symbol": [base + quote for base, quote in zip(bases, quotes, strict=True)],
            "base_asset": bases,
            "quote_asset": quotes,
            "utc_date": pa.array(days, pa.date32()),
            "volume_quote": pa.array([D(volume) for volume in volumes], AMOUNT),
            "taker_buy_quote": pa.array([None if buy is None else D(buy) for buy in buys], AMOUNT),
        }
    )


def test_a_few_rows_by_hand():
    assert compute(flows_of(ROWS), NOT_ALT) == BY_HAND


def test_the_order_of_rows_does_not_matter():
    assert compute(flows_of(ROWS[::-1]), NOT_ALT) == BY_HAND


def test_an_asset_listed_elsewhere_makes_a_token_leveraged():
    assert compute(flows_of(ROWS), NOT_ALT, listed=["J"]).net_taker_usd == D("-40.12345677")


def test_an_older_day_can_be_asked_for():
    older = compute(flows_of(ROWS), NOT_ALT, day=DAY - timedelta(days=364))
    assert (older.net_taker_usd, older.window_net_taker_usd) == (D(30), D(-970))


def test_a_day_without_flows_is_zero_and_the_window_stays():
    later = compute(flows_of(ROWS), NOT_ALT, day=DAY + timedelta(days=1))
    assert (later.net_taker_usd, later.symbol_count) == (0, 0)
    assert later.window_net_taker_usd == D("-33.12345677")


def test_no_flows_at_all_is_an_error():
    with pytest.raises(ValueError, match="no flows"):
        compute(flows_of(ROWS).slice(0, 0), NOT_ALT)


def test_sums_are_exact_beyond_what_floats_hold():
    rows = [
        ("A", "USDT", DAY, "9007199254740993.00000001", "9007199254740993.00000001"),
        ("B", "USDT", DAY, "1e-8", "0"),
    ]
    exact = compute(flows_of(rows), NOT_ALT)
    assert exact.volume_usd == D("9007199254740993.00000002")
    assert exact.net_taker_usd == D("9007199254740993.00000000")


@pytest.mark.parametrize(
    ("base", "leveraged"),
    [
        ("BTCUP", True),
        ("ETHBEAR", True),
        ("BTC3L", True),
        ("BTC5S", True),
        ("JUP", False),
        ("SYRUP", False),
        ("UP", False),
    ],
)
def test_leveraged_tokens(base: str, leveraged: bool):
    assert leveraged_tokens([base], ["BTC", "ETH", "SOL"]) == ({base} if leveraged else set())


def row_of(golden: Golden, **changes) -> dict:
    names = ("utc_date", "net_taker_usd", "volume_usd", "window_net_taker_usd", "window_volume_usd")
    return {name: getattr(golden, name) for name in names} | changes


def test_equal_figures_are_no_failure():
    assert compare(BY_HAND, row_of(BY_HAND)) is None
    assert compare(BY_HAND, row_of(BY_HAND, volume_usd=D("117.123456790000"))) is None, "zeros at the end say nothing"


@pytest.mark.parametrize("column", ["net_taker_usd", "volume_usd", "window_net_taker_usd", "window_volume_usd"])
def test_one_unit_of_the_last_decimal_is_a_failure(column: str):
    failure = compare(BY_HAND, row_of(BY_HAND, **{column: getattr(BY_HAND, column) + D("0.00000001")}))
    assert failure and (failure.check, failure.column, failure.severity) == ("R30", column, "critical")
    assert str(getattr(BY_HAND, column)) in failure.message


def test_another_day_or_a_missing_figure_is_a_failure():
    failure = compare(BY_HAND, {"utc_date": DAY - timedelta(days=1)})
    assert failure and failure.unexpected_count == 5


@pytest.fixture(scope="module")
def recorded(market: Path) -> pa.Table:
    bars = pq.read_table(
        market / "binance" / "spot" / "klines_1d.parquet",
        columns=["symbol", "open_time", "quote_volume", "taker_buy_quote"],
    ).combine_chunks()
    symbol = bars["symbol"]
    in_usdt = pc.ends_with(symbol, "USDT")
    return pa.table(
        {
            "exchange": pa.repeat("binance", bars.num_rows),
            "symbol": symbol,
            "base_asset": pc.if_else(in_usdt, pc.utf8_slice_codeunits(symbol, 0, -4), symbol),
            "quote_asset": pc.if_else(in_usdt, "USDT", "other"),
            "utc_date": pc.cast(pc.cast(pc.divide(bars["open_time"], 86_400_000), pa.int32()), pa.date32()),
            "volume_quote": pc.cast(bars["quote_volume"], AMOUNT),
            "taker_buy_quote": pc.cast(bars["taker_buy_quote"], AMOUNT),
        }
    )


@pytest.fixture(scope="module")
def expected(market: Path) -> dict:
    return json.loads((market / "EXPECTED.json").read_text())


@pytest.fixture(scope="module")
def listed(market: Path) -> set[str]:
    """DOTUP is known for what it is by DOT, which is listed but not recorded."""
    with gzip.open(market / "binance" / "spot" / "exchangeInfo_2022-12-03.json.gz") as body:
        return {symbol["baseAsset"] for symbol in json.load(body)["symbols"]}


@pytest.mark.recorded
@pytest.mark.parametrize("day", ["2020-12-31", "2022-05-12", "2025-06-14", "2025-12-31"])
def test_the_recorded_headline(recorded: pa.Table, expected: dict, listed: set[str], day: str):
    not_alt = {asset for assets in expected["not_alt"].values() for asset in assets}
    golden = compute(recorded, not_alt, listed, day=date.fromisoformat(day))
    alt = expected["dates"][day]["ALT"]
    # EXPECTED.json sums unrounded amounts; days before 2022 have some with more than 8 decimals.
    allowed = D(0) if day >= "2025" else D("1e-9")
    assert golden.symbol_count == alt["symbols_that_day"]
    for value, name, gross in (
        (golden.net_taker_usd, "net_usd", "gross_usd"),
        (golden.volume_usd, "gross_usd", "gross_usd"),
        (golden.window_net_taker_usd, "net_365d_usd", "gross_365d_usd"),
        (golden.window_volume_usd, "gross_365d_usd", "gross_365d_usd"),
    ):
        assert abs(value - D(alt[name])) <= allowed * D(alt[gross]), name
