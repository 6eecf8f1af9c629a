"""A client that others wrote: python-binance reads the sandbox unchanged but for its base URL, and gets the truth."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sandbox.market import Bars, midnight_ms

client_module = pytest.importorskip("binance.client", reason="python-binance is not installed")

NOW, SIZE = date(2026, 3, 1), 20
DAY_MS, HOUR_MS = 86_400_000, 3_600_000


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(NOW, size=SIZE)


@pytest.fixture(scope="module")
def client(root: Path) -> Iterator:
    command = [sys.executable, "-m", "orchestration.sandbox", "--with-parent"]
    command += ["--now", NOW.isoformat(), "--size", str(SIZE)]
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdin and process.stdout
        url = json.loads(process.stdout.readline())["url"]
        patch.setattr(client_module.Client, "API_URL", f"{url}/api.binance.com/api")
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield client_module.Client()
        process.stdin.close()


def rows_of(bars: Bars, step_ms: int) -> list[tuple]:
    """The twelve fields of Binance as exact numbers."""

    def exact(units, decimals: int) -> list[Decimal]:
        return [Decimal(int(unit)).scaleb(-decimals) for unit in units]

    opens = [int(ms) for ms in bars.times_ms]
    prices = [exact(column, bars.price_decimals) for column in (bars.open, bars.high, bars.low, bars.close)]
    base, bought_base = (exact(column, bars.base_decimals) for column in (bars.volume_base, bars.taker_buy_base))
    quote, bought_quote = (exact(column, bars.quote_decimals) for column in (bars.volume_quote, bars.taker_buy_quote))
    closes, trades = [ms + step_ms - 1 for ms in opens], [int(count) for count in bars.trades]
    nothing = [Decimal(0)] * len(opens)
    return list(zip(opens, *prices, base, closes, quote, trades, bought_base, bought_quote, nothing, strict=True))


def exactly(rows: list[list]) -> list[tuple]:
    return [tuple(Decimal(cell) if isinstance(cell, str) else cell for cell in row) for row in rows]


def truth(market: GeneratedMarket, symbol: str, interval: str, step_ms: int) -> list[tuple]:
    listed = market.symbols()[symbol]
    bars = market.bars("binance", f"{listed.base}/{listed.quote}", interval)
    assert bars is not None
    return rows_of(bars, step_ms)


@pytest.mark.parametrize("symbol", ["BTCUSDT", "XRPUSDT", "ETHBTC"])
def test_it_pages_a_whole_history_and_gets_every_digit(client, market: GeneratedMarket, symbol: str) -> None:
    rows = client.get_historical_klines(symbol, client.KLINE_INTERVAL_1DAY, "1 Jan 2019")
    assert exactly(rows) == truth(market, symbol, "1d", DAY_MS) and len(rows) > 1_000


def test_it_gets_the_days_between_two_dates(client, market: GeneratedMarket) -> None:
    first, last = datetime(2024, 2, 10, tzinfo=UTC), datetime(2024, 3, 10, tzinfo=UTC)
    rows = client.get_historical_klines("BTCUSDT", "1d", int(first.timestamp() * 1000), int(last.timestamp() * 1000))
    expected = [row for row in truth(market, "BTCUSDT", "1d", DAY_MS) if first <= _utc(row[0]) <= last]
    assert exactly(rows) == expected and len(rows) == 30


def test_its_generator_pages_hours(client, market: GeneratedMarket) -> None:
    rows = list(client.get_historical_klines_generator("BTCUSDT", "1h", "1 Dec 2025", "28 Feb 2026 23:00"))
    begin, end = midnight_ms(date(2025, 12, 1)), midnight_ms(date(2026, 3, 1))
    expected = [row for row in truth(market, "BTCUSDT", "1h", HOUR_MS) if begin <= row[0] < end]
    assert exactly(rows) == expected and len(rows) == 90 * 24


def _utc(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def test_it_reads_the_listing(client, market: GeneratedMarket) -> None:
    info = client.get_exchange_info()
    assert info["serverTime"] == midnight_ms(NOW) == client.get_server_time()["serverTime"]
    served = {
        row["symbol"]: (row["baseAsset"], row["quoteAsset"], row["status"] == "TRADING") for row in info["symbols"]
    }
    expected = market.listings("binance").values()
    assert served == {pair.base + pair.quote: (pair.base, pair.quote, pair.end is None) for pair in expected}
    assert client.get_symbol_info("BTCUSDT")["quoteAsset"] == "USDT"


def test_it_raises_its_own_errors(client) -> None:
    from binance.exceptions import BinanceAPIException

    with pytest.raises(BinanceAPIException) as raised:
        client.get_klines(symbol="NOSUCHUSDT", interval="1d")
    assert (raised.value.code, raised.value.message) == (-1121, "Invalid symbol.")
