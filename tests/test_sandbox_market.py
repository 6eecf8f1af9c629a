"""The generated market: trades add up to bars, days stay what they were, and events are there to be found."""

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.sandbox.events import EVENTS, SUCCESSORS, events
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sandbox.market import DAY_MS, HOUR_MS, Bars, MarketError, Trades, day_of, decimal_text, midnight_ms
from orchestration.sandbox.recent import Recent
from orchestration.sandbox.universe import DAY_0, WELL_KNOWN

NOW = date(2026, 11, 21)
END_OF_TIME = 10**14
SPECIAL = ("LUNA", "COCOS", "DREP", "MATIC", "POL", "UST", "USTC", "USDT", "USDC", "EUR", "PAXG", "FTT")


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket(NOW)


def everything(market: GeneratedMarket, exchange: str, name: str) -> tuple[Trades, Bars, Bars]:
    days, hours = market.bars(exchange, name, "1d"), market.bars(exchange, name, "1h")
    assert days and hours
    return market.trades(exchange, name, 0, END_OF_TIME), days, hours


def daily(market: GeneratedMarket, name: str, exchange: str = "binance") -> Bars:
    bars = market.bars(exchange, name, "1d")
    assert bars
    return bars


def handful(market: GeneratedMarket, exchange: str, step: int) -> list[str]:
    """The first and last listings, some between, and all that an event is about."""
    names = list(market.listings(exchange))
    special = [name for name in names if name.split("/")[0] in SPECIAL]
    return list(dict.fromkeys([*names[:2], *names[-2:], *names[3::step], *special]))


def on(bars: Bars, first: date, end: date | None) -> np.ndarray:
    """True for the bars of [first, end)."""
    last = END_OF_TIME if end is None else midnight_ms(end)
    return (bars.times_ms >= midnight_ms(first)) & (bars.times_ms < last)


def days_with_bars(bars: Bars) -> set[date]:
    return {day_of(int(ms)) for ms in bars.times_ms}


def add_up(trades: Trades, bars: Bars, width_ms: int) -> None:
    """The bars are what the trades come to; nothing is left over."""
    ms = trades.times_us // 1000
    slot = np.searchsorted(bars.times_ms, ms, side="right") - 1
    assert (bars.times_ms % width_ms == 0).all() and (np.diff(bars.times_ms) > 0).all()
    assert (bars.times_ms[slot] <= ms).all() and (ms < bars.times_ms[slot] + width_ms).all()
    unit = 10 ** (bars.quote_decimals - trades.price_decimals - trades.base_decimals)
    amount, bought = trades.price * trades.size * unit, trades.labelled_buys
    ones = np.ones(len(slot), np.int64)
    sums = {
        "volume_base": trades.size,
        "volume_quote": amount,
        "taker_buy_base": trades.size * bought,
        "taker_buy_quote": amount * bought,
        "trades": ones,
    }
    for column, values in sums.items():
        total = np.zeros(len(bars.times_ms), np.int64)
        np.add.at(total, slot, values)
        assert (total == getattr(bars, column)).all(), column
    traded = np.unique(slot)
    first, last = np.searchsorted(slot, traded), np.searchsorted(slot, traded, side="right") - 1
    assert (bars.open[traded] == trades.price[first]).all() and (bars.close[traded] == trades.price[last]).all()
    assert (bars.high[traded] == np.maximum.reduceat(trades.price, first)).all()
    assert (bars.low[traded] == np.minimum.reduceat(trades.price, first)).all()
    flat = bars.trades == 0
    before = bars.close[np.flatnonzero(flat) - 1]
    for column in (bars.open, bars.high, bars.low, bars.close):
        assert (column[flat] == before).all()


def hold(bars: Bars) -> None:
    """R4, and what is trivial: nothing is negative or flows over."""
    assert (bars.low > 0).all() and bars.volume_quote.max() < 2**62
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    for taken, volume in ((bars.taker_buy_base, bars.volume_base), (bars.taker_buy_quote, bars.volume_quote)):
        assert (taken >= 0).all() and (taken <= volume).all()
    assert ((bars.trades == 0) == (bars.volume_base == 0)).all()
    unit = 10 ** (bars.quote_decimals - bars.price_decimals - bars.base_decimals)
    assert (bars.volume_quote >= bars.low * bars.volume_base * unit).all()
    # The product of a whole day's volume and its high may pass 2^63; the mean price does not.
    mean = bars.volume_quote / np.maximum(bars.volume_base, 1) / unit
    assert (mean <= bars.high * (1 + 1e-12)).all()


@settings(deadline=None)
@given(units=st.lists(st.integers(0, 2**62), min_size=1), decimals=st.integers(0, 8), more=st.integers(0, 10))
def test_whole_units_are_written_exactly(units: list[int], decimals: int, more: int) -> None:
    pad = decimals + more
    texts = decimal_text(np.array(units), decimals, pad).to_pylist()
    for unit, text in zip(units, texts, strict=True):
        whole, _, places = text.partition(".")
        assert len(places) == pad and int(whole + places) == unit * 10**more and str(int(whole)) == whole


# --- trades and bars -----------------------------------------------------------------------------


def test_trades_add_up_to_bars_on_every_exchange(market: GeneratedMarket) -> None:
    seen = 0
    for exchange in market.exchanges():
        for name in handful(market, exchange, 25):
            trades, days, hours = everything(market, exchange, name)
            add_up(trades, days, DAY_MS)
            add_up(trades, hours, HOUR_MS)
            hold(hours)
            seen += 1
    assert seen > 75 and len(market.exchanges()) > 12


def test_every_bar_of_every_exchange_is_possible(market: GeneratedMarket) -> None:
    for exchange in market.exchanges():
        for name in list(market.listings(exchange))[::3]:
            hold(daily(market, name, exchange))


def test_ids_count_on_from_one_and_times_ascend(market: GeneratedMarket) -> None:
    for exchange in market.exchanges():
        for name in handful(market, exchange, 60):
            trades, days, _ = everything(market, exchange, name)
            count = market.trades_a_day(exchange, name)
            first = market.listings(exchange)[name].first
            day = trades.times_us // (DAY_MS * 1000) - midnight_ms(first) // DAY_MS
            assert 12 <= count <= 48 and (days.trades == count).all()
            assert trades.ids[0] == 1 and (np.diff(trades.times_us) > 0).all()
            # Ids tell the day: while a pair pauses they go on counting.
            assert ((trades.ids - 1) // count == day).all() and len(trades.ids) == count * len(days.times_ms)
            assert (trades.size > 0).all() and trades.price_decimals + trades.base_decimals <= 8


@settings(max_examples=40, deadline=None)
@given(start=st.integers(-(10**6), 2600 * DAY_MS), width=st.integers(0, 5 * DAY_MS), pick=st.integers(0, 7))
def test_a_window_of_trades_is_a_part_of_all(market: GeneratedMarket, start: int, width: int, pick: int) -> None:
    exchange, name = [(e, n) for e in ("binance", "gate", "upbit", "kucoin") for n in list(market.listings(e))[7:9]][
        pick
    ]
    whole = market.trades(exchange, name, 0, END_OF_TIME)
    begin = midnight_ms(DAY_0) + start
    part = market.trades(exchange, name, begin, begin + width)
    kept = (whole.times_us >= begin * 1000) & (whole.times_us < (begin + width) * 1000)
    for field in fields(Trades):
        value = getattr(whole, field.name)
        expected = value[kept] if isinstance(value, np.ndarray) else value
        assert np.array_equal(getattr(part, field.name), expected), field.name


def test_hours_of_the_day_and_days_of_the_week_differ(market: GeneratedMarket) -> None:
    trades, days, _ = everything(market, "binance", "DOGE/USDT")
    hours = np.bincount(trades.times_us // (HOUR_MS * 1000) % 24, minlength=24)
    assert hours[15] > 1.5 * hours[4]
    weekday = (days.times_ms // DAY_MS + 3) % 7
    assert np.median(days.volume_quote[weekday >= 5]) < 0.95 * np.median(days.volume_quote[weekday < 5])


def test_returns_have_fat_tails_and_move_together(market: GeneratedMarket) -> None:
    returns = {}
    for name in ("BTC", "ETH", "XRP", "ADA", "LTC"):
        returns[name] = np.diff(np.log(daily(market, f"{name}/USDT").close))
    r = returns["BTC"]
    assert ((r - r.mean()) ** 4).mean() / r.var() ** 2 > 4
    correlations = np.corrcoef([*returns.values()])
    assert correlations[np.triu_indices(5, 1)].min() > 0.3


def test_prices_of_exchanges_differ_by_basis_points(market: GeneratedMarket) -> None:
    on_binance = daily(market, "SOL/USDT")
    dollars = on_binance.close / 10**on_binance.price_decimals
    rates = {quote: market.paths.usd(quote) for quote in ("USDT", "USD", "KRW", "EUR")}
    seen = set()
    for exchange in market.exchanges():
        for name in market.listings(exchange):
            base, quote = name.split("/")
            if base != "SOL" or quote not in rates or (exchange, quote) == ("binance", "USDT"):
                continue
            bars = daily(market, name, exchange)
            days = (bars.times_ms - midnight_ms(DAY_0)) // DAY_MS
            here = bars.close / 10**bars.price_decimals * rates[quote][days]
            there = dollars[np.searchsorted(on_binance.times_ms, bars.times_ms)]
            assert np.median(np.abs(here / there - 1)) < 0.001, (exchange, name)
            seen.add(exchange)
    assert len(seen) >= 11


def test_binance_klines_are_the_bars(market: GeneratedMarket) -> None:
    for interval in ("1d", "1h"):
        rows, bars = market.klines("ETHUSDT", interval), market.bars("binance", "ETH/USDT", interval)
        assert rows and bars and set(market.intervals()) == {"1d", "1h"}
        text = json.loads(b"[" + bytes(rows.slice(0, len(rows.times))) + b"]")
        assert [row[0] for row in text] == bars.times_ms.tolist()
        assert [row[4] for row in text] == decimal_text(bars.close, bars.price_decimals).to_pylist()
        assert [row[7] for row in text] == decimal_text(bars.volume_quote).to_pylist()
        assert [row[8] for row in text] == bars.trades.tolist()
    assert market.klines("ETHUSDT", "4h") is None


def test_snapshots_and_caps_agree_with_the_last_bars(market: GeneratedMarket) -> None:
    rows = {row["id"]: row for row in market.coins()}
    caps = {row["asset"]: row for row in market.caps().to_pylist() if row["time"] == str(NOW - timedelta(days=1))}
    for coin, name in (("bitcoin", "BTC"), ("solana", "SOL"), ("polygon-ecosystem-token", "POL")):
        bars = daily(market, f"{name}/USDT")
        unit = 10.0**bars.price_decimals
        assert rows[coin]["current_price"] == bars.close[-1] / unit
        assert (rows[coin]["high_24h"], rows[coin]["low_24h"]) == (bars.high[-1] / unit, bars.low[-1] / unit)
    assert caps["btc"]["ReferenceRateUSD"] == decimal_text(daily(market, "BTC/USDT").close[-1:], 2).to_pylist()[0]
    assert rows["bitcoin"]["market_cap"] == round(float(caps["btc"]["CapMrktEstUSD"]))


# --- a day stays what it is ----------------------------------------------------------------------


def alike(early: GeneratedMarket, late: GeneratedMarket, exchange: str, name: str) -> None:
    for interval in ("1d", "1h"):
        then, now = early.bars(exchange, name, interval), late.bars(exchange, name, interval)
        assert then and now and len(now.times_ms) >= len(then.times_ms)
        for field in fields(Bars):
            a, b = getattr(then, field.name), getattr(now, field.name)
            same = np.array_equal(a, b[: len(a)]) if isinstance(a, np.ndarray) else a == b
            assert same, (exchange, name, interval, field.name)
    end = midnight_ms(early.now)
    a, b = early.trades(exchange, name, end - 40 * DAY_MS, end), late.trades(exchange, name, end - 40 * DAY_MS, end)
    for field in fields(Trades):
        assert np.array_equal(getattr(a, field.name), getattr(b, field.name)), (exchange, name, field.name)


@pytest.mark.parametrize("days", [1, 400])
def test_a_later_now_restates_no_day(days: int) -> None:
    early = GeneratedMarket(date(2023, 2, 17), size=40)
    late = GeneratedMarket(early.now + timedelta(days=days), size=40)
    for exchange in early.exchanges():
        for name in handful(early, exchange, 9):
            alike(early, late, exchange, name)
            assert early.listings(exchange)[name].first == late.listings(exchange)[name].first
    then = {(row["asset"], row["time"]): row for row in early.caps().to_pylist()}
    assert then.items() <= {(row["asset"], row["time"]): row for row in late.caps().to_pylist()}.items()
    for name, asset in early.paths.assets.items():
        supply = early.paths.supply(asset)[: early.paths.day_count]
        assert np.array_equal(supply, late.paths.supply(late.paths.assets[name])[: len(supply)])
    for perpetual in early.listings("binance_usdm"):
        for a, b in (
            (early.funding(perpetual), late.funding(perpetual)),
            (early.open_interest(perpetual), late.open_interest(perpetual)),
        ):
            assert a and b and all(np.array_equal(x, y[: len(x)]) for x, y in zip(a, b, strict=True))


def test_every_length_of_history_rounds_alike() -> None:
    """Vectorised functions may round the last elements of an array otherwise than those in its middle."""
    markets = [GeneratedMarket(date(2021, 3, 1) + timedelta(days=n), size=20) for n in range(0, 66, 5)]
    for exchange in ("binance", "upbit"):
        for name in markets[0].listings(exchange):
            first = daily(markets[0], name, exchange)
            for other in markets[1:]:
                assert np.array_equal(first.close, daily(other, name, exchange).close[: len(first.close)])


def test_the_same_seed_is_the_same_market_and_another_is_another(market: GeneratedMarket) -> None:
    again, other = GeneratedMarket(NOW), GeneratedMarket(NOW, seed=2)
    for name in ("BTC/USDT", "USDC/USDT"):
        alike(market, again, "binance", name)
        assert not np.array_equal(daily(market, name).volume_base, daily(other, name).volume_base)


# --- sizes ---------------------------------------------------------------------------------------


def test_twenty_symbols_and_two_hundred_days() -> None:
    now = date(2022, 9, 1)
    small = GeneratedMarket(now, size=20, start=now - timedelta(days=200))
    assert small.span() == (now - timedelta(days=200), now - timedelta(days=1))
    whole = GeneratedMarket(now, size=20)
    assert len(small.paths.assets) == 20
    for exchange in small.exchanges():
        for name, listing in small.listings(exchange).items():
            trades, days, hours = everything(small, exchange, name)
            add_up(trades, days, DAY_MS)
            assert len(days.times_ms) <= 200 and listing.first >= small.start and len(hours.times_ms) <= 4800
            # A day depends on the seed, the size and the day, not on where the market begins.
            volume = daily(whole, name, exchange).volume_base
            assert np.array_equal(days.volume_base, volume[-len(days.volume_base) :])
    assert {row["asset"] for row in small.caps().to_pylist()} >= {"btc", "eth", "usdt"}
    assert small.coins() and all(body.read() for body in small.bodies())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"now": date(2020, 1, 1)}, "2020-01-01"),
        ({"now": date(2022, 1, 1), "start": date(2022, 1, 1)}, "2022-01-01"),
        ({"now": date(2022, 1, 1), "start": date(2019, 1, 1)}, "2020-01-01"),
        ({"now": date(2022, 1, 1), "size": 11}, "at least 12"),
        ({"now": date(2022, 1, 1), "exchanges": ["binance", "mtgox"]}, "mtgox"),
    ],
)
def test_a_market_that_cannot_be_is_refused_in_words(arguments: dict, words: str) -> None:
    with pytest.raises(MarketError, match=words):
        GeneratedMarket(**arguments)


def test_a_market_may_have_few_exchanges() -> None:
    market = GeneratedMarket(date(2021, 1, 1), size=20, exchanges=("binance", "kraken"))
    assert market.exchanges() == ("binance", "kraken")
    assert market.listings("kraken") and not market.listings("okx") and market.bars("okx", "BTC/USDT", "1d") is None


LARGE = """
from datetime import date
from orchestration.sandbox.generated import GeneratedMarket
market = GeneratedMarket(date(2029, 12, 29), size=3000)
listed = {exchange: list(market.listings(exchange)) for exchange in market.exchanges()}
assert len(listed) > 12 and len(listed["binance"]) > 3000 and sum(map(len, listed.values())) > 15000
for exchange, names in listed.items():
    for name in (names[0], names[len(names) // 2], names[-1]):
        days, hours = market.bars(exchange, name, "1d"), market.bars(exchange, name, "1h")
        trades = market.trades(exchange, name, 0, 10**14)
        assert trades.size.sum() == days.volume_base.sum() == hours.volume_base.sum()
for symbol in list(market.symbols())[::100]:
    market.klines(symbol, "1d")
market.klines("BTCUSDT", "1h")
assert len(market.bars("binance", "BTC/USDT", "1d").times_ms) > 3640
# Not getrusage: its peak is that of the parent where that was larger when it forked.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024)
"""


def test_three_thousand_symbols_ten_years_and_all_exchanges_fit_into_memory(root: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LARGE], cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 500, "megabytes"


def test_invented_tickers_are_unlike_those_that_mean_something(root: Path) -> None:
    known: set[str] = set()
    for seed, columns in (
        ("asset_classification", ["asset"]),
        ("asset_renames_and_eras", ["asset", "successor_asset"]),
        ("cap_assets", ["asset"]),
        ("asset_categories", ["asset"]),
    ):
        with (root / f"dbt_project/seeds/{seed}.csv").open() as file:
            # What an altcoin is called means nothing.
            rows = [row for row in csv.DictReader(file) if row.get("asset_class") != "altcoin"]
            known |= {row[column] for row in rows for column in columns}
    well_known = set(GeneratedMarket(date(2020, 2, 1), size=12 + len(WELL_KNOWN.split("\n"))).paths.assets)
    invented = set(GeneratedMarket(date(2020, 2, 1), size=3000).paths.assets) - well_known
    assert len(invented) > 2900 and not invented & known


def test_what_was_made_last_is_kept_within_its_bytes() -> None:
    recent, made = Recent(100), []

    def make(key: int) -> tuple[int, int]:
        made.append(key)
        return key, 40

    for key in (1, 2, 1, 3, 1, 2):
        assert recent.get(key, lambda key=key: make(key)) == key
    assert made == [1, 2, 3, 2] and recent.bytes <= 100


# --- events --------------------------------------------------------------------------------------


@pytest.fixture
def by_kind() -> dict[str, list]:
    return {kind: [event for event in EVENTS if event.kind == kind] for kind in {event.kind for event in EVENTS}}


def test_the_table_of_events_names_all_kinds(by_kind: dict) -> None:
    assert set(by_kind) == {
        *("redenomination", "depeg", "reused_ticker", "rename", "delisting"),
        *("zero_fee", "flipped_labels", "wash_trades", "exchange_end"),
    }
    assert [event.first for event in EVENTS] == sorted(event.first for event in EVENTS)


def test_redenominated_coins_jump_in_price_and_supply_but_not_in_value(market: GeneratedMarket, by_kind: dict) -> None:
    for event in by_kind["redenomination"]:
        bars = daily(market, f"{event.asset}/USDT")
        last, first = np.flatnonzero(on(bars, DAY_0, event.first))[-1], np.flatnonzero(on(bars, event.end, None))[0]
        assert first == last + 1 and not on(bars, event.first, event.end).any()
        assert day_of(int(bars.times_ms[last])) == event.first - timedelta(days=1)
        assert event.factor / 2 < bars.close[first] / bars.close[last] < event.factor * 2
        days, ticks, supply, _ = market._priced(market.paths.assets[event.asset])
        at = [
            int(np.flatnonzero(days == (day - DAY_0).days)[0]) for day in (event.first - timedelta(days=1), event.end)
        ]
        assert supply[at[0]] / supply[at[1]] == pytest.approx(event.factor, rel=0.01)
        value = ticks[at] * supply[at]
        assert 0.5 < value[1] / value[0] < 2


def test_a_renamed_coin_goes_on_under_its_new_name_after_a_gap(market: GeneratedMarket, by_kind: dict) -> None:
    for event in by_kind["rename"]:
        successor = SUCCESSORS[event.asset]
        for exchange, quote in (("binance", "USDT"), ("kraken", "USD"), ("okx", "USDT")):
            old, new = (daily(market, f"{name}/{quote}", exchange) for name in (event.asset, successor))
            assert max(days_with_bars(old)) == event.first - timedelta(days=1)
            assert min(days_with_bars(new)) == event.end > event.first
            listing = market.listings(exchange)[f"{event.asset}/{quote}"]
            assert listing.end == event.first and market.listings(exchange)[f"{successor}/{quote}"].end is None
            change = new.close[0] / 10**new.price_decimals / (old.close[-1] / 10**old.price_decimals)
            assert 0.1 < change < 1.6
        assets = market.paths.assets
        index = (event.end - DAY_0).days
        if assets[event.asset].kind == "coin":
            old, new = (market.paths.supply(assets[name])[index] for name in (event.asset, successor))
            assert old == new


def test_a_re_used_ticker_is_two_coins_with_a_hole_between(market: GeneratedMarket, by_kind: dict) -> None:
    (event,) = by_kind["reused_ticker"]
    bars = daily(market, "LUNA/USDT")
    days = days_with_bars(bars)
    assert event.first - timedelta(days=1) in days and event.end in days
    assert not days & {event.first + timedelta(days=i) for i in range((event.end - event.first).days)}
    symbols = GeneratedMarket(event.first + timedelta(days=5), size=20).symbols()
    assert (symbols["LUNAUSDT"].is_trading, symbols["BTCUSDT"].is_trading) == (False, True)
    before = on(bars, event.first - timedelta(days=8), event.first)
    assert bars.close[before][-1] < 0.01 * bars.close[before][0]
    assert bars.close[on(bars, event.end, None)][0] > 100 * bars.close[before][-1]


def test_a_stablecoin_loses_its_peg_and_another_gets_it_back(market: GeneratedMarket, by_kind: dict) -> None:
    forever, for_days = by_kind["depeg"]
    ust, usdc = daily(market, "UST/USDT"), daily(market, "USDC/USDT")
    price = ust.close / 10**ust.price_decimals
    assert (price[on(ust, DAY_0, forever.first)] > 0.98).all() and price[-1] < 0.2
    price = usdc.close / 10**usdc.price_decimals
    assert (price[on(usdc, for_days.first, for_days.end)] < 0.97).all()
    assert (price[on(usdc, for_days.end + timedelta(days=1), None)] > 0.98).all()
    (series,) = [body for body in market.bodies() if body.path == "/stablecoin/3"]
    supply = {point["date"]: point["circulating"]["peggedUSD"] for point in json.loads(series.read())["tokens"]}
    at = midnight_ms(forever.first) // 1000
    assert supply[at + 40 * 86_400] < 0.05 * supply[at - 86_400]
    (listed,) = [body for body in market.bodies() if body.path == "/stablecoins"]
    (coin,) = [coin for coin in json.loads(listed.read())["peggedAssets"] if coin["symbol"] == "USTC"]
    assert coin["price"] < 0.05


def test_an_exchange_dies_and_a_coin_is_gone(market: GeneratedMarket, by_kind: dict) -> None:
    (death,), (gone,) = by_kind["exchange_end"], by_kind["delisting"]
    listed = market.listings(death.exchange).values()
    assert listed and max(listing.end or date.max for listing in listed) == death.first
    assert max(days_with_bars(daily(market, "BTC/USDT", death.exchange))) == death.first - timedelta(days=1)
    assert market.listings("binance")[f"{gone.asset}/USDT"].end == gone.first
    # Before it happens nobody knows.
    earlier = GeneratedMarket(death.first - timedelta(days=9), size=20)
    assert earlier.listings(death.exchange)["BTC/USDT"].end is None


def test_free_trades_multiply_the_volume_of_bitcoin_on_binance(market: GeneratedMarket, by_kind: dict) -> None:
    (event,) = by_kind["zero_fee"]
    volumes = {}
    for exchange in ("binance", "okx"):
        bars = daily(market, "BTC/USDT", exchange)
        during, before = on(bars, event.first, event.end), on(bars, event.first - timedelta(days=200), event.first)
        volumes[exchange] = np.median(bars.volume_quote[during]) / np.median(bars.volume_quote[before])
    assert 3 < volumes["binance"] / volumes["okx"] < 5.5


def test_wash_trades_are_round_trips_in_round_sizes(market: GeneratedMarket, by_kind: dict) -> None:
    (event,) = by_kind["wash_trades"]

    def pairs_of(first: date, end: date, name: str) -> tuple[float, float]:
        """Share of neighbours that are a round trip, and of sizes that are one, two or five and zeros."""
        trades = market.trades(event.exchange, name, midnight_ms(first), midnight_ms(end))
        near = np.abs(np.diff(trades.size)) * 100 <= trades.size[:-1]
        trips = near & (np.diff(trades.price) == 0) & (trades.taker_buys[:-1] & ~trades.taker_buys[1:])
        digits = [str(size).rstrip("0") for size in trades.size.tolist()]
        return float(trips.mean()), float(np.mean([digit in ("1", "2", "5") for digit in digits]))

    washed = pairs_of(event.first, event.end, "XRP/USDT")
    clean = [pairs_of(event.end, NOW, "XRP/USDT"), pairs_of(event.first, event.end, "BTC/USDT")]
    assert washed[0] > 0.2 and washed[1] > 0.2
    assert all(trips < 0.02 and whole < 0.05 for trips, whole in clean)


def test_labels_are_flipped_on_one_exchange_for_a_while(market: GeneratedMarket, by_kind: dict) -> None:
    (event,) = by_kind["flipped_labels"]
    for exchange in (event.exchange, "okx"):
        trades = market.trades(exchange, "ETH/USDT", 0, END_OF_TIME)
        at = trades.times_us // 1000
        during = (at >= midnight_ms(event.first)) & (at < midnight_ms(event.end))
        assert ((trades.taker_buys != trades.labelled_buys) == (during & (exchange == event.exchange))).all()
    assert not events("flipped_labels", "okx")


def test_taker_flow_follows_the_return_except_where_labels_are_flipped(market: GeneratedMarket) -> None:
    (event,) = events("flipped_labels")
    names = [name for name in market.listings(event.exchange) if name.endswith("/USDT")][2:22]
    found: dict[bool, list[float]] = {True: [], False: []}
    for name in names:
        bars = daily(market, name, event.exchange)
        imbalance = 2 * bars.taker_buy_quote / bars.volume_quote - 1
        change = bars.close / bars.open - 1
        during = on(bars, event.first, event.end)
        for flipped, kept in ((True, during), (False, ~during)):
            if kept.sum() > 60:
                found[flipped].append(float(np.corrcoef(imbalance[kept], change[kept])[0, 1]))
    assert np.median(found[True]) < -0.2 and np.median(found[False]) > 0.2


# --- perpetuals ----------------------------------------------------------------------------------


def test_perpetuals_have_funding_and_open_interest(market: GeneratedMarket) -> None:
    for name in list(market.listings("binance_usdm"))[:5]:
        funding, interest, bars = market.funding(name), market.open_interest(name), daily(market, name, "binance_usdm")
        assert funding and interest
        times, rates = funding
        assert len(times) == 3 * len(bars.times_ms) and (np.diff(times) >= DAY_MS // 3).all()
        assert times[0] == bars.times_ms[0] and np.abs(rates).max() <= 750_000 and np.median(rates) > 0
        days, contracts = interest
        assert np.array_equal(days * DAY_MS, bars.times_ms) and (contracts > 0).all()
    assert market.funding("NONE/USDT") is None and market.open_interest("NONE/USDT") is None


# --- the chronology ------------------------------------------------------------------------------


def phases(root: Path) -> Iterator[tuple[date, date | None]]:
    with (root / "dbt_project/seeds/market_phases.csv").open() as file:
        for row in csv.DictReader(file):
            last = date.fromisoformat(row["last_date"]) if row["last_date"] else None
            yield date.fromisoformat(row["first_date"]), last


def test_market_phases_follow_each_other_without_a_gap(root: Path) -> None:
    found = list(phases(root))
    assert found[0][0] == date(2020, 1, 1) and found[-1][1] is None
    for (_, last), (first, _) in zip(found, found[1:], strict=False):
        assert last and first == last + timedelta(days=1)
