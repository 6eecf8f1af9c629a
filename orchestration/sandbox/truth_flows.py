"""What the flow marts of a generated market must say, row by row."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa

from .truth_ledger import Flow, Ledger, decimals, ratio

LEAST_COVERAGE = 0.95
YEAR = 365
UNIVERSES = {"ex_btc_eth": ("ALT",), "ex_btc": ("ALT", "ETH")}
# Length of a rolling window, or the first day of one that grows; None: the first of January.
WINDOWS: dict[str, int | date | None] = {
    "rolling_365d": 365,
    "rolling_90d": 90,
    "since_2020": date(2020, 1, 1),
    "since_2025": date(2025, 1, 1),
    "year_to_date": None,
}


def flow_table(ledger: Ledger) -> pa.Table:
    """One row per exchange, symbol and UTC day: what takers bought and sold, in the quote asset."""
    parts = []
    for book in ledger.books:
        kept = book.present
        bought, volume = book.buy_quote[kept], book.volume_quote[kept]
        parts.append(
            pa.table(
                {
                    "exchange": _same(book.exchange, len(bought)),
                    "symbol": _same(book.symbol, len(bought)),
                    "utc_date": _days(ledger, kept),
                    "taker_buy_quote": decimals(bought),
                    "taker_sell_quote": decimals(volume - bought),
                }
            )
        )
    return pa.concat_tables(parts)


def daily_symbol_flows(ledger: Ledger) -> pa.Table:
    parts = []
    for flow in ledger.flows:
        book, kept = flow.book, flow.book.present
        at = np.flatnonzero(kept)
        missing, volume, buy = ~flow.counted[kept], flow.volume[kept], flow.buy[kept]
        prices = [flow.rates[t] for t in at]
        columns = {
            "exchange": book.exchange,
            "symbol": book.symbol,
            "utc_date": _days(ledger, kept),
            "base_asset": book.base,
            "quote_asset": book.quote,
            "asset_class": flow.asset_class,
            "flow_group": flow.group,
            "close_price": pa.array(book.close[kept]),
            "volume_usd": decimals(volume, missing),
            "taker_buy_usd": decimals(buy, missing),
            "taker_sell_usd": decimals(volume - buy, missing),
            "net_taker_usd": decimals(2 * buy - volume, missing),
            "imbalance_ratio": _ratios(2 * buy - volume, np.where(missing, 0, volume)),
            "trade_count": pa.array(book.trades[kept]),
            "trust_tier": "trusted" if flow.is_trusted else "untrusted",
            "is_usd_pegged_quote": pa.array([flow.is_pegged_quote] * len(at)),
            "quote_price_usd": pa.array([None if price is None else float(price) for price in prices], pa.float64()),
            "conversion_method": pa.array([flow.methods[t] for t in at], pa.string()),
            "is_usd_flagged": pa.array(flow.flags[kept]),
        }
        parts.append(pa.table({name: _same(v, len(at)) if isinstance(v, str) else v for name, v in columns.items()}))
    return pa.concat_tables(parts)


def daily_asset_flows(ledger: Ledger) -> pa.Table:
    market_volume = _added(ledger, [flow.volume for flow in ledger.flows])
    parts = []
    for name, flows in ledger.by_asset().items():
        flow = flows[0]
        sums = summed(ledger, flows)
        kept = sums.symbols > 0
        volume, buy = sums.volume[kept], _added(ledger, [flow.buy for flow in flows])[kept]
        trades = _added(ledger, [np.where(flow.counted, flow.book.trades, 0) for flow in flows])[kept]
        flagged = np.any([flow.counted & flow.flags for flow in flows], axis=0)[kept]
        close, change = ledger.closes[name]
        columns = {
            "base_asset": _same(name, len(volume)),
            "utc_date": _days(ledger, kept),
            "asset_class": _same(flow.asset_class, len(volume)),
            "flow_group": _same(flow.group, len(volume)),
            "close_price_usd": pa.array(close[kept], from_pandas=True),
            "return_ratio": pa.array(change[kept], from_pandas=True),
            "volume_usd": decimals(volume),
            "taker_buy_usd": decimals(buy),
            "taker_sell_usd": decimals(volume - buy),
            "net_taker_usd": decimals(2 * buy - volume),
            "imbalance_ratio": _ratios(2 * buy - volume, volume),
            "volume_share_ratio": _ratios(volume, market_volume[kept]),
            "trade_count": pa.array(trades.astype(np.int64)),
            "symbol_count": pa.array(sums.symbols[kept]),
            "exchange_count": pa.array(sums.exchanges[kept]),
            "is_usd_flagged": pa.array(flagged),
        }
        parts.append(pa.table(columns))
    return pa.concat_tables(parts)


def coverage_daily(ledger: Ledger) -> pa.Table:
    """Nothing failed: what is missing did not trade, alone (halted) or with everything (venue_outage)."""
    parts = []
    for exchange in sorted({book.exchange for book in ledger.books}):
        books = [book for book in ledger.books if book.exchange == exchange]
        expected = np.sum([book.expected for book in books], axis=0)
        present = np.sum([book.present & book.expected for book in books], axis=0)
        reasons = [_reason(int(e), int(p)) for e, p in zip(expected, present, strict=True)]
        columns = {
            "exchange": _same(exchange, len(expected)),
            "dataset": _same("spot_flows", len(expected)),
            "utc_date": ledger.dates,
            "expected_count": pa.array(expected),
            "present_count": pa.array(present),
            "coverage_ratio": _ratios(present, expected),
            "reason": pa.array(reasons, pa.string()),
        }
        parts.append(pa.table(columns))
    return pa.concat_tables(parts)


def _reason(expected: int, present: int) -> str | None:
    if not expected:
        return "not_listed"
    return None if present == expected else "halted" if present else "venue_outage"


# --- sums over groups ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Sums:
    """Of some flows, by day: exact sums (10^-8 dollars, objects), and how many symbols and exchanges are in them."""

    net: np.ndarray
    volume: np.ndarray
    symbols: np.ndarray
    expected: np.ndarray
    exchanges: np.ndarray

    @property
    def covered(self) -> np.ndarray:
        """At least half of what was expected, and something was."""
        return (2 * self.symbols >= self.expected) & (self.expected > 0)


def summed(ledger: Ledger, flows: Sequence[Flow]) -> Sums:
    places = {flow.book.exchange for flow in flows}
    seen = [np.any([flow.counted for flow in flows if flow.book.exchange == place], axis=0) for place in sorted(places)]
    zeros = np.zeros(len(ledger.days), np.int64)
    return Sums(
        net=_added(ledger, [flow.net for flow in flows]),
        volume=_added(ledger, [flow.volume for flow in flows]),
        symbols=sum((flow.counted for flow in flows), zeros),
        expected=sum((flow.book.expected for flow in flows), zeros),
        exchanges=sum(seen, zeros),
    )


def chosen(ledger: Ledger, groups: Iterable[str], quotes: str, trust: str) -> list[Flow]:
    return [
        flow
        for flow in ledger.flows
        if flow.group in groups and (quotes == "all" or flow.is_pegged_quote) and (trust == "all" or flow.is_trusted)
    ]


@dataclass(frozen=True)
class Windows:
    """Sums over the window that ends with each day."""

    starts: np.ndarray
    net: np.ndarray
    volume: np.ndarray
    symbols: np.ndarray
    expected: np.ndarray
    complete: np.ndarray

    @property
    def coverage(self) -> list[float | None]:
        return [ratio(s, e) for s, e in zip(self.symbols, self.expected, strict=True)]

    @property
    def valid(self) -> list[bool]:
        """Every day covered, and at least 95 % of the symbol-days there."""
        return [
            bool(complete) and share is not None and share >= LEAST_COVERAGE
            for complete, share in zip(self.complete, self.coverage, strict=True)
        ]

    @property
    def imbalance(self) -> list[float | None]:
        observed = zip(self.net, self.volume, strict=True)
        return [ratio(net, volume) for net, volume in observed]


def starts_of(ledger: Ledger, window: int | date | None) -> np.ndarray:
    """Index of the window's first day, for each day; below 0 before the ledger begins."""
    if isinstance(window, int):
        return np.arange(len(ledger.days)) - (window - 1)
    firsts = [window or date(day.year, 1, 1) for day in ledger.days]
    return np.array([(first - ledger.start).days for first in firsts])


def windowed(sums: Sums, starts: np.ndarray) -> Windows:
    covered = _over(sums.covered.astype(np.int64), starts)
    return Windows(
        starts,
        *(_over(values, starts) for values in (sums.net, sums.volume, sums.symbols, sums.expected)),
        complete=(starts >= 0) & (covered == np.arange(len(starts)) - starts + 1),
    )


def _over(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Sums of values[max(start, 0)] to the day itself; 0 where the window begins later than that."""
    before = np.concatenate([np.zeros(1, values.dtype), np.cumsum(values)])
    return before[1:] - before[np.clip(starts, 0, np.arange(1, len(before)))]


def _panels(ledger: Ledger, flows: Sequence[Flow], starts: np.ndarray, whole: Windows) -> tuple[Sums, Windows]:
    """Only assets that traded, in any pair, on the first and on the last day of the window."""
    count = len(ledger.days)
    dollars, counts = np.zeros((4, count), object), np.zeros((5, count), np.int64)
    days = Sums(dollars[0], dollars[1], counts[0], counts[1], counts[2])
    over = Windows(starts, dollars[2], dollars[3], counts[3], counts[4], whole.complete)
    everything = ledger.by_asset()
    for name in sorted({flow.book.base for flow in flows}):
        traded = np.any([flow.counted for flow in everything[name]], axis=0)
        member = traded & (starts >= 0) & traded[np.clip(starts, 0, None)]
        sums = summed(ledger, [flow for flow in flows if flow.book.base == name])
        of_asset = windowed(sums, starts)
        for part in ("net", "volume", "symbols", "expected"):
            getattr(days, part)[member] += getattr(sums, part)[member]
            getattr(over, part)[member] += getattr(of_asset, part)[member]
    return days, over


# --- the headline -------------------------------------------------------------------------------


def daily_altcoin_flow(ledger: Ledger) -> pa.Table:
    parts = []
    for quotes, trust in product(("all", "usd_pegged"), ("all", "trusted")):
        bitcoin = summed(ledger, chosen(ledger, ("BTC",), quotes, trust))
        for universe, groups in UNIVERSES.items():
            flows = chosen(ledger, groups, quotes, trust)
            sums = summed(ledger, flows)
            for name, window in WINDOWS.items():
                starts = starts_of(ledger, window)
                windows, control = windowed(sums, starts), windowed(bitcoin, starts)
                about = {"window_name": name, "universe": universe, "quotes": quotes, "trust": trust}
                parts.append(_definition(ledger, about | {"panel": "all"}, window, sums, windows, control, sums))
                if name == "rolling_365d":
                    days, over = _panels(ledger, flows, starts, windows)
                    parts.append(_definition(ledger, about | {"panel": "fixed"}, window, days, over, control, sums))
    return pa.concat_tables(parts)


def _definition(
    ledger: Ledger,
    about: dict[str, str],
    window: int | date | None,
    sums: Sums,
    windows: Windows,
    control: Windows,
    universe: Sums,
) -> pa.Table:
    """Rows of one definition. `universe`: what its days and exchanges are counted by."""
    names = list(about.values())
    definition = ".".join(names[:-1] + (["fixed_panel"] if about["panel"] == "fixed" else []))
    count, valid = len(ledger.days), windows.valid
    observed = [int(n) > 0 for n in sums.symbols]
    net = [int(v) if seen else None for v, seen in zip(sums.net, observed, strict=True)]
    volume = [int(v) if seen else None for v, seen in zip(sums.volume, observed, strict=True)]
    in_window = [int(n) > 0 for n in windows.symbols]
    window_net = [int(v) if seen else None for v, seen in zip(windows.net, in_window, strict=True)]
    window_volume = [int(v) if seen else None for v, seen in zip(windows.volume, in_window, strict=True)]
    imbalance = windows.imbalance
    cumulative = [v if ok else None for v, ok in zip(window_net, valid, strict=True)]
    is_negative = [bool(c) and v is not None and v < 0 for c, v in zip(universe.covered, net, strict=True)]
    streaks = {
        "negative_streak_days": runs(is_negative),
        "negative_week_streak_count": closed_runs(ledger.days, net, universe.covered, _is_sunday, _week_length),
        "negative_month_streak_count": closed_runs(ledger.days, net, universe.covered, _is_month_end, _month_length),
        "negative_window_streak_days": runs([v is not None and v < 0 for v in cumulative]),
    }
    ranks = ranked(cumulative) if isinstance(window, int) else [(None, None, None)] * count
    texts = {"definition_id": definition} | about
    columns: dict[str, Any] = {name: _same(text, count) for name, text in texts.items()}
    columns |= {
        "utc_date": ledger.dates,
        "net_taker_usd": decimals(net),
        "volume_usd": decimals(volume),
        "imbalance_ratio": _floats(map(ratio, net, volume)),
        "window_start_date": pa.array([ledger.start + timedelta(days=int(i)) for i in windows.starts], pa.date32()),
        "window_net_taker_usd": decimals(window_net),
        "window_volume_usd": decimals(window_volume),
        "window_imbalance_ratio": _floats(imbalance),
        "window_taker_buy_ratio": _floats(None if value is None else (1 + value) / 2 for value in imbalance),
        "window_coverage_ratio": _floats(windows.coverage),
        "is_window_complete": pa.array(windows.complete),
        "cumulative_net_taker_usd": decimals(cumulative),
        "excess_imbalance_ratio": _floats(map(_less, imbalance, control.imbalance)),
        "band_low_usd": decimals([None] * count),
        "band_high_usd": decimals([None] * count),
        "coverage_ratio": _floats(map(ratio, sums.symbols.tolist(), sums.expected.tolist())),
        "symbol_count": pa.array(sums.symbols),
        "exchange_count": pa.array(universe.exchanges),
        "percentile_rank_ratio": _floats(rank for rank, _, _ in ranks),
        "is_record_low": pa.array([low for _, low, _ in ranks], pa.bool_()),
        "days_since_lower": pa.array([since for _, _, since in ranks], pa.int64()),
    }
    columns |= {
        name: pa.array([v if ok else None for v, ok in zip(values, valid, strict=True)], pa.int64())
        for name, values in streaks.items()
    }
    first = max((window - ledger.start).days, 0) if isinstance(window, date) else 0
    return pa.table(columns).slice(first)


def ranked(values: Sequence[int | None]) -> list[tuple[float | None, bool | None, int | None]]:
    """Among the valid days up to each: rank from 0 (lowest) to 1, whether it is a record low, days since it was
    last lower. The first valid day has no rank and is no record."""
    known: list[int] = []
    rising: list[tuple[int, int]] = []  # days that no later one went below, the lowest first
    found = []
    for t, value in enumerate(values):
        if value is None:
            found.append((None, None, None))
            continue
        while rising and rising[-1][0] >= value:
            rising.pop()
        since = t - rising[-1][1] if rising else None
        rank = bisect_left(known, value) / len(known) if known else None
        found.append((rank, value < known[0] if known else None, since))
        rising.append((value, t))
        insort(known, value)
    return found


def runs(flags: Iterable[bool]) -> list[int]:
    """How many in a row, up to and including each."""
    found, run = [], 0
    for flag in flags:
        run = run + 1 if flag else 0
        found.append(run)
    return found


def closed_runs(
    days: Sequence[date],
    net: Sequence[int | None],
    covered: np.ndarray,
    is_last: Callable[[date], bool],
    length: Callable[[date], int],
) -> list[int]:
    """Periods in a row that are over, were covered on each of their days and ended below zero."""
    found, run, total, seen = [], 0, 0, 0
    for day, value, is_covered in zip(days, net, covered, strict=True):
        total, seen = total + (value or 0), seen + bool(is_covered)
        if is_last(day):
            run = run + 1 if total < 0 and seen == length(day) else 0
            total = seen = 0
        found.append(run)
    return found


def _is_sunday(day: date) -> bool:
    return day.isoweekday() == 7


def _week_length(day: date) -> int:
    return 7


def _is_month_end(day: date) -> bool:
    return (day + timedelta(days=1)).day == 1


def _month_length(day: date) -> int:
    """Of a month, by its last day."""
    return day.day


# --- controls -----------------------------------------------------------------------------------


def daily_control_flow(ledger: Ledger) -> pa.Table:
    returns = {group: _median_returns(ledger, group) for group in ("ALT", "BTC", "ETH", "STABLE")}
    starts = starts_of(ledger, YEAR)
    parts = []
    for quotes in ("all", "usd_pegged"):
        sums = {group: summed(ledger, chosen(ledger, (group,), quotes, "all")) for group in returns}
        years = {group: windowed(sums[group], starts) for group in returns}
        for group, of_group in sums.items():
            year = years[group]
            seen, in_year = of_group.symbols == 0, year.symbols == 0
            columns = {
                "flow_group": _same(group, len(ledger.days)),
                "quotes": _same(quotes, len(ledger.days)),
                "utc_date": ledger.dates,
                "net_taker_usd": decimals(of_group.net, seen),
                "volume_usd": decimals(of_group.volume, seen),
                "imbalance_ratio": _ratios(of_group.net, of_group.volume),
                "rolling_365d_net_taker_usd": decimals(year.net, in_year),
                "rolling_365d_volume_usd": decimals(year.volume, in_year),
                "rolling_365d_imbalance_ratio": _floats(year.imbalance),
                "excess_imbalance_ratio": _floats(map(_less, year.imbalance, years["BTC"].imbalance)),
                "return_90d_ratio": _floats(returns[group]),
                "return_gap_90d_ratio": _floats(map(_less, returns[group], returns["BTC"])),
                "symbol_count": pa.array(of_group.symbols),
                "coverage_ratio": _ratios(of_group.symbols, of_group.expected),
                "rolling_365d_coverage_ratio": _floats(year.coverage),
            }
            parts.append(pa.table(columns))
    return pa.concat_tables(parts)


def _median_returns(ledger: Ledger, group: str, days: int = 90) -> list[float | None]:
    """Median over the assets with a close on both ends, and no other coin under the ticker in between."""
    found: list[list[float]] = [[] for _ in ledger.days]
    for name, flows in ledger.by_asset().items():
        if flows[0].group != group:
            continue
        close, era = ledger.closes[name][0], ledger.era(name)
        for t in range(days, len(close)):
            change = close[t] / close[t - days] - 1
            if not np.isnan(change) and era[t] == era[t - days]:
                found[t].append(float(change))
    return [median(changes) if changes else None for changes in found]


# --- columns ------------------------------------------------------------------------------------


def _same(text: str, count: int) -> pa.Array:
    return pa.array([text] * count, pa.string())


def _days(ledger: Ledger, kept: np.ndarray) -> pa.Array:
    return ledger.dates.filter(pa.array(kept))


def _added(ledger: Ledger, columns: Iterable[np.ndarray]) -> np.ndarray:
    """Exact sums by day: int64 would not hold a great market's."""
    return sum((column.astype(object) for column in columns), np.zeros(len(ledger.days), object))


def _floats(values: Iterable[float | None]) -> pa.Array:
    return pa.array(list(values), pa.float64())


def _ratios(parts: np.ndarray, wholes: np.ndarray) -> pa.Array:
    return _floats(ratio(part, whole) for part, whole in zip(parts.tolist(), wholes.tolist(), strict=True))


def _less(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second


def tables(ledger: Ledger) -> Iterator[tuple[str, pa.Table]]:
    for make in (
        daily_symbol_flows,
        daily_asset_flows,
        daily_altcoin_flow,
        daily_control_flow,
        coverage_daily,
    ):
        yield make.__name__, make(ledger)
