"""Every published figure of a run on the generated market equals what the generator knows; that truth, by hand."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.sandbox import truth, truth_caps, truth_flows
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sandbox.market import DAY_MS, Bars, Listing, midnight_ms
from orchestration.sandbox.truth_caps import Cap, Supplies
from orchestration.sandbox.truth_ledger import ONE, Ledger, decimals
from orchestration.sandbox.universe import Asset
from tests.commandline import ROOT, altflow, environment

SIZE, START, NOW = 22, date(2021, 11, 1), date(2025, 3, 1)
EXCHANGES = ("binance",)
TOLERANCE = 1e-9

KEYS = {
    "daily_symbol_flows": ("exchange", "symbol", "utc_date"),
    "daily_asset_flows": ("base_asset", "utc_date"),
    "daily_altcoin_flow": ("definition_id", "utc_date"),
    "daily_control_flow": ("flow_group", "quotes", "utc_date"),
    "coverage_daily": ("exchange", "dataset", "utc_date"),
    "daily_dominance": ("definition_id", "utc_date"),
    "daily_stablecoin_supply": ("stablecoin_id", "utc_date"),
    "daily_stablecoin_chain_supply": ("chain", "utc_date"),
    "daily_stablecoin_ratio": ("utc_date",),
}
# They tell where a row was read from, which the generator cannot know; statistics are tested on the recorded market.
UNKNOWN = {
    "coverage_daily": {"unknown_count"},
    "daily_symbol_flows": {"source_kind", "body_sha256"},
    "daily_altcoin_flow": {
        "band_range_low_usd",
        "band_range_high_usd",
        "band_missing_volume_usd",
        "band_exchange_count",
        "band_reason",
    },
    "daily_control_flow": {
        "mean_excess_imbalance_ratio",
        "mean_excess_t_ratio",
        "same_day_r_squared_ratio",
        "next_day_r_squared_ratio",
        "covered_day_count",
    },
}
# What the generator has no part in: what the run did, and what stood published.
NO_FIGURES = {"run_info", "source_files", "source_spans", "trace_routes", "published_headlines", "alerts"}
# What checks found and what was restated: tests/test_quality.py.
NO_FIGURES |= {"data_quality_results", "revisions"}
# By tests on the recorded market; daily_taker_estimates, empty where Binance is asked alone, by its own.
# test_taker_estimates.py.
VERIFIED_ELSEWHERE = {
    "claims",
    "external_readings",
    "external_readings_compared",
    "market_phases",
    "phase_performance",
    "daily_taker_estimates",
    "asset_drawdowns",
    "asset_survival",
    "daily_altseason",
    "daily_drawdown_breadth",
    "daily_liquidity_concentration",
    "daily_meme_rotation",
    "daily_quote_rotation",
    "daily_retail_proxy",
    "daily_selective_recovery",
    "survival_curves",
    "daily_asset_illiquidity",
    "daily_illiquidity_breadth",
    "daily_market_dispersion",
    "daily_quality_spread",
    "daily_regime",
    "flow_episodes",
    "flow_null_tests",
    "market_statistics",
    "regime_backtest",
    "regime_sweep",
    "daily_chain_fragmentation",
    "daily_dex_liquidity",
    "daily_macro",
    "daily_order_book_depth",
    "daily_spot_vs_perpetual",
    "etf_flows_daily",
    "exchange_volume_coverage",
    "trust_tiers",
    "macro_correlations",
}


def gross_of(column: str, names: list[str]) -> str:
    """The volume, or the amount, that an amount in dollars is small or great against."""
    prefix = next((p for p in ("window_", "rolling_365d_", "total_") if column.startswith(p)), "")
    if column == "cumulative_net_taker_usd":
        prefix = "window_"
    candidates = (f"{prefix}volume_usd", f"{prefix}circulating_usd")
    return next((name for name in candidates if name in names), column)


@dataclass(frozen=True)
class Compared:
    """One column of one mart: `deviation` is relative to the gross amount for dollars, absolute for ratios, relative
    for other numbers; `exact`: rows that are equal to the last digit."""

    mart: str
    column: str
    rows: int
    exact: int
    deviation: float


def compared(mart: str, published: pa.Table, wanted: pa.Table) -> list[Compared]:
    """AssertionError names the mart, the column, the key and both values."""
    keys = KEYS[mart]
    published, wanted = (
        table.sort_by([(key, "ascending") for key in keys]).combine_chunks() for table in (published, wanted)
    )
    assert_same_keys(mart, published.select(keys), wanted.select(keys))
    found = []
    for column in wanted.column_names:
        if column not in keys:
            deviations = deviations_of(column, published, wanted)
            worst = int(np.argmax(deviations)) if len(deviations) else 0
            if len(deviations) and not deviations[worst] <= TOLERANCE:
                key = ", ".join(str(wanted[name][worst].as_py()) for name in keys)
                raise AssertionError(
                    f"{mart}.{column} of {key}: published {published[column][worst].as_py()}, "
                    f"true {wanted[column][worst].as_py()}; {int((deviations > TOLERANCE).sum())} of "
                    f"{len(deviations)} rows differ"
                )
            exact = int((deviations == 0).sum())
            found.append(Compared(mart, column, len(deviations), exact, float(deviations[worst])))
    return found


def assert_same_keys(mart: str, published: pa.Table, wanted: pa.Table) -> None:
    rows, true_rows = ({tuple(row.values()) for row in table.to_pylist()} for table in (published, wanted))
    assert len(rows) == published.num_rows, f"{mart}: the key is not unique"
    assert len(true_rows) == wanted.num_rows, f"truth of {mart}: the key is not unique"
    extra, missing = sorted(map(str, rows - true_rows)), sorted(map(str, true_rows - rows))
    assert not extra, f"{mart}: {len(extra)} published rows that are not true, {extra[:3]} … {extra[-1]}"
    assert not missing, f"{mart}: {len(missing)} true rows that are not published, {missing[:3]} … {missing[-1]}"


def deviations_of(column: str, published: pa.Table, wanted: pa.Table) -> np.ndarray:
    """Infinite where one is NULL and the other is not, and where texts, days, flags or counts differ."""
    a, b = published[column], wanted[column]
    missing = np.not_equal(*(side.is_null().to_numpy() for side in (a, b)))
    neither = a.is_null().to_numpy() & b.is_null().to_numpy()
    if pa.types.is_decimal(b.type):
        assert a.type == b.type == pa.decimal128(38, 8), f"{column}: {a.type}"
        gross = np.abs(units(wanted[gross_of(column, wanted.column_names)]))
        apart = np.abs(units(a) - units(b))
        sizes = np.maximum(gross, np.abs(units(b)))
        found = np.array([int(x) / int(y) if y else float(x != 0) for x, y in zip(apart, sizes, strict=True)])
    elif pa.types.is_floating(b.type) or pa.types.is_floating(a.type):
        x, y = (side.cast(pa.float64()).fill_null(0).to_numpy() for side in (a, b))
        found = np.abs(x - y)
        if not column.endswith("_ratio"):
            found = found / np.maximum(np.abs(y), 1e-300)
    else:
        found = np.where(pc.fill_null(pc.equal(a, b.cast(a.type)), False).to_numpy(), 0, np.inf)
    return np.where(missing, np.inf, np.where(neither, 0.0, found))


def units(column: pa.ChunkedArray) -> np.ndarray:
    """Integers of 10^-8, exactly; 0 for NULL."""
    halves = column.combine_chunks()
    assert isinstance(halves, pa.Array)
    low, high = np.frombuffer(halves.buffers()[1], "<i8").reshape(-1, 2)[halves.offset : halves.offset + len(halves)].T
    known = column.is_valid().to_numpy()
    return np.where(known, high.astype(object) * 2**64 + low.view("<u8").astype(object), 0)


# --- end to end ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def generated() -> GeneratedMarket:
    return GeneratedMarket(now=NOW, size=SIZE)


@pytest.fixture(scope="module")
def true(generated: GeneratedMarket) -> dict[str, pa.Table]:
    return truth.marts(generated, EXCHANGES, START)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published file of `altflow run` against a sandbox of this size."""
    data = tmp_path_factory.mktemp("truth") / "data"
    arguments = ["--with-parent", "--size", str(SIZE), "--now", NOW.isoformat()]
    with subprocess.Popen(
        [sys.executable, "-m", "orchestration", "sandbox", *arguments],
        cwd=ROOT,
        env=environment(data),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as sandbox:
        assert sandbox.stdout and sandbox.stdin
        url = json.loads(sandbox.stdout.readline())["url"]
        settings = {"UPSTREAMS": url, "START": START.isoformat(), "EXCHANGES": " ".join(EXCHANGES)}
        done = altflow("run", "--source", "sandbox", data=data, settings=settings)
        sandbox.stdin.close()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return data / "published" / "marts.duckdb"


def read(path: Path, sql: str) -> pa.Table:
    with duckdb.connect(str(path), read_only=True) as con:
        return con.sql(sql).to_arrow_table()


@pytest.mark.parametrize("mart", KEYS)
def test_every_published_figure_equals_its_truth(
    mart: str, published: Path, true: dict[str, pa.Table], record_property: Any
) -> None:
    table = read(published, f"FROM {mart}")
    assert table.num_rows > 0
    assert set(table.column_names) - set(true[mart].column_names) == UNKNOWN.get(mart, set())
    columns = compared(mart, table, true[mart])
    for column in columns:
        record_property(
            column.column, f"{column.rows} rows, {column.exact} exact, at most {column.deviation:.1e} apart"
        )
        print(f"{mart:30}{column.column:32}{column.rows:8}{column.exact:8}{column.deviation:10.1e}")
    assert len(columns) == len(true[mart].column_names) - len(KEYS[mart])


def test_every_published_mart_is_verified(published: Path) -> None:
    tables = read(published, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main'")
    assert set(tables["table_name"].to_pylist()) - NO_FIGURES - VERIFIED_ELSEWHERE == set(KEYS)


def test_what_needs_no_conversion_is_exact(published: Path, true: dict[str, pa.Table]) -> None:
    """Tether amounts and dollars of stablecoins never went through a float."""
    for mart, condition in (
        ("daily_symbol_flows", ("conversion_method", "usdt")),
        ("daily_stablecoin_supply", ("peg_type", "peggedUSD")),
    ):
        is_wanted = pc.equal(pc.field(condition[0]), condition[1])
        sides = [table.filter(is_wanted) for table in (read(published, f"FROM {mart}"), true[mart])]
        assert sides[0].num_rows > 5_000
        exact = [c for c in compared(mart, *sides) if c.column.endswith("_usd")]
        assert len(exact) >= 4 and all(c.exact == c.rows for c in exact)


def test_the_market_holds_what_could_go_wrong(published: Path) -> None:
    """A truth that is never tried proves nothing: all classes, windows, routes of conversion and kinds of absence."""
    flows = read(published, "SELECT DISTINCT asset_class, conversion_method FROM daily_symbol_flows").to_pydict()
    assert set(flows["asset_class"]) == {
        *("altcoin", "bitcoin", "ether", "stablecoin", "fiat", "gold", "wrapped_or_staked", "leveraged")
    }
    assert set(flows["conversion_method"]) == {"usdt", "direct", "inverse"}
    rows = read(
        published,
        "SELECT count(*) FILTER (window_name = 'since_2025'), count(DISTINCT is_record_low), "
        "count(cumulative_net_taker_usd), max(negative_month_streak_count), max(days_since_lower), "
        "count(DISTINCT definition_id) FROM daily_altcoin_flow",
    ).to_pylist()[0]
    since_2025, records, valid, months, since_lower, definitions = rows.values()
    assert since_2025 > 0 and records == 2 and valid > 1_000 and months > 3 and since_lower > 100 and definitions == 48
    reasons = read(published, "SELECT DISTINCT reason FROM coverage_daily").to_pydict()["reason"]
    assert {None, "halted"} <= set(reasons)


# --- the comparison itself ----------------------------------------------------------------------


def test_what_differs_is_named_with_both_values() -> None:
    day = [date(2024, 1, 1), date(2024, 1, 2)]
    wanted = pa.table(
        {
            "flow_group": ["ALT", "ALT"],
            "quotes": ["all", "all"],
            "utc_date": day,
            "net_taker_usd": decimals([-5 * ONE, 3 * ONE]),
            "volume_usd": decimals([10**10 * ONE, 10**10 * ONE]),
            "imbalance_ratio": [-0.5, 0.3],
            "symbol_count": [4, 4],
        }
    )

    def changed(column: str, values: pa.Array) -> pa.Table:
        return wanted.set_column(wanted.column_names.index(column), column, values)

    # 10 dollars on 10 billion are 1e-9 of the gross volume.
    near = changed("net_taker_usd", decimals([5 * ONE, 3 * ONE]))
    assert [(c.column, c.exact, c.deviation) for c in compared("daily_control_flow", near, wanted)] == [
        ("net_taker_usd", 1, 1e-9),
        ("volume_usd", 2, 0),
        ("imbalance_ratio", 2, 0),
        ("symbol_count", 2, 0),
    ]
    for column, values, message in (
        ("net_taker_usd", decimals([-5 * ONE, 14 * ONE]), r"2024-01-02: published 14\.0+, true 3\.0+"),
        ("net_taker_usd", decimals([None, 3 * ONE]), r"2024-01-01: published None, true -5\.0+"),
        ("imbalance_ratio", pa.array([-0.5, 0.300000002]), r"published 0\.300000002, true 0\.3; 1 of 2 rows differ"),
        ("symbol_count", pa.array([4, 5]), r"daily_control_flow\.symbol_count of ALT, all, 2024-01-02: published 5"),
        ("utc_date", pa.array([date(2024, 1, 1), date(2024, 1, 3)]), "1 published rows that are not true"),
    ):
        with pytest.raises(AssertionError, match=message):
            compared("daily_control_flow", changed(column, values), wanted)
    with pytest.raises(AssertionError, match="1 true rows that are not published"):
        compared("daily_control_flow", wanted.slice(1), wanted)


# --- by hand ------------------------------------------------------------------------------------

DAY = date(2024, 1, 1)


@dataclass
class Assets:
    assets: dict[str, Asset]


@dataclass
class Tiny:
    """A market typed in. `trades`: exchange, BASE/QUOTE, then one (base, quote, bought, close) per day from DAY on in
    whole units, None where it is listed and nothing trades."""

    trades: Sequence[tuple[str, str, Sequence[tuple[float, float, float, float] | None]]]
    snapshot: list[dict[str, Any]] = field(default_factory=list)
    start: date = DAY

    @property
    def paths(self) -> Assets:
        kinds = {"USDC": "stablecoin", "EUR": "fiat", "WBTC": "wrapped"}
        names = {name.split("/")[0] for _, name, _ in self.trades}
        return Assets({name: Asset(name, kinds.get(name, "coin"), 1.0, 1.0) for name in {*names, *kinds}})

    @property
    def now(self) -> date:
        return DAY + timedelta(days=max(len(days) for _, _, days in self.trades))

    def exchanges(self) -> list[str]:
        return sorted({exchange for exchange, _, _ in self.trades})

    def listings(self, exchange: str) -> dict[str, Listing]:
        found = {}
        for of, name, days in self.trades:
            if of == exchange:
                end = DAY + timedelta(days=len(days))
                base, quote = name.split("/")
                found[name] = Listing(base, quote, DAY, end if end < self.now else None, 2, 6)
        return found

    def bars(self, exchange: str, name: str, interval: str) -> Bars:
        days = next(days for of, pair, days in self.trades if (of, pair) == (exchange, name))
        traded = [i for i, day in enumerate(days) if day]
        base, quote, bought, close = np.array([day for day in days if day], float).T
        columns = {name: np.rint(close * 100).astype(np.int64) for name in ("open", "high", "low", "close")}
        columns |= {name: np.rint(base * 1e6).astype(np.int64) for name in ("volume_base", "taker_buy_base")}
        columns |= {"volume_quote": np.rint(quote * ONE), "taker_buy_quote": np.rint(bought * ONE)}
        columns = {name: values.astype(np.int64) for name, values in columns.items()}
        times = midnight_ms(DAY) + np.array(traded, np.int64) * DAY_MS
        return Bars(times, **columns, trades=np.full(len(traded), 7), price_decimals=2, base_decimals=6)

    def coins(self) -> list[dict[str, Any]]:
        return self.snapshot

    def ledger(self, **options: Any) -> Ledger:
        return Ledger(cast(GeneratedMarket, self), **options)


def rows(table: pa.Table, *columns: str, **where: Any) -> list[tuple]:
    """Chosen columns of the rows that hold these values; amounts as numbers."""
    found = [row for row in table.to_pylist() if all(row[name] == value for name, value in where.items())]
    plain = [[float(v) if isinstance(v := row[name], Decimal) else v for name in columns] for row in found]
    return [tuple(row) for row in plain]


def test_every_route_of_conversion_by_hand() -> None:
    market = Tiny(
        [
            ("binance", "BTC/USDT", [(2, 100_000, 60_000, 50_000)]),  # 50,000 dollars
            ("binance", "SOL/USDT", [(10, 1_000, 400, 100)]),
            ("binance", "SOL/BTC", [(200, 0.4, 0.1, 0.002)]),  # 0.4 and 0.1 of 50,000
            ("binance", "USDT/TRY", [(1_000, 30_000, 10_000, 30)]),  # 30 lira a dollar
            ("binance", "SOL/TRY", [(20, 60_000, 45_000, 3_000)]),
            ("okx", "SOL/BTC", [(100, 0.2, 0.2, 0.002)]),  # no BTC/USDT of its own
            ("upbit", "BTC/KRW", [(1, 65_000_000, 0, 65_000_000)]),  # 65 million won for 50,000 dollars
            ("upbit", "SOL/KRW", [(1, 130_000, 13_000, 130_000)]),
            ("coinbase", "SOL/USDC", [(1, 99, 33, 99)]),  # nobody trades USDC/USDT
            ("kraken", "SOL/EUR", [(1, 90, 45, 90)]),  # nor euros in anything
        ]
    )
    table = truth_flows.daily_symbol_flows(market.ledger())
    columns = ("exchange", "quote_asset", "conversion_method", "volume_usd", "taker_buy_usd", "net_taker_usd")
    found = rows(table, *columns, "is_usd_flagged", base_asset="SOL")
    assert sorted(found, key=str) == [
        ("binance", "BTC", "direct", 20_000, 5_000, -10_000, False),
        ("binance", "TRY", "inverse", 2_000, 1_500, 1_000, False),
        ("binance", "USDT", "usdt", 1_000, 400, -200, False),
        ("coinbase", "USDC", "pegged", 99, 33, -33, True),
        ("kraken", "EUR", None, None, None, None, True),
        ("okx", "BTC", "other_exchange", 10_000, 10_000, 10_000, False),
        ("upbit", "KRW", "through_btc", 100, 10, -80, True),
    ]
    asset = rows(
        truth_flows.daily_asset_flows(market.ledger()),
        *("volume_usd", "net_taker_usd", "symbol_count", "exchange_count", "trade_count", "close_price_usd"),
        base_asset="SOL",
    )
    # Without the euros; the close of the deepest pair in pegged dollars, which is that against tether.
    assert asset == [(33_199, 687, 6, 4, 42, 100.0)]


def test_an_own_price_comes_before_that_of_the_deepest_exchange() -> None:
    market = Tiny(
        [
            ("binance", "USDC/USDT", [(1_000, 990, 0, 0.99)]),
            ("okx", "USDC/USDT", [(10, 9.8, 0, 0.98)]),
            ("okx", "SOL/USDC", [(1, 100, 0, 100)]),
            ("gate", "SOL/USDC", [(1, 100, 0, 100)]),
        ]
    )
    table = truth_flows.daily_symbol_flows(market.ledger())
    found = rows(table, "exchange", "conversion_method", "volume_usd", quote_asset="USDC")
    assert found == [("gate", "other_exchange", 99.0), ("okx", "direct", 98.0)]


def test_the_headline_of_a_few_days_by_hand() -> None:
    """SOL nets +10, -30, -30; ETH -5 each day, against coins that are no dollars; WBTC and USDC count nowhere."""
    market = Tiny(
        [
            ("binance", "SOL/USDT", [(1, 100, 55, 100), (1, 100, 35, 100), (1, 100, 35, 100)]),
            ("binance", "BTC/USDT", [(1, 1_000, 500, 1_000)] * 3),
            ("kraken", "ETH/BTC", [(1, 0.01, 0.0025, 0.01)] * 3),
            ("gate", "WBTC/USDT", [(1, 900, 0, 900)] * 3),
            ("gate", "USDC/USDT", [(1, 900, 0, 1)] * 3),
        ]
    )
    table = truth_flows.daily_altcoin_flow(market.ledger())

    def window(definition: str) -> list[tuple]:
        columns = ("net_taker_usd", "window_net_taker_usd", "window_volume_usd", "negative_streak_days")
        return rows(table, *columns, "cumulative_net_taker_usd", "symbol_count", definition_id=definition)

    assert window("year_to_date.ex_btc_eth.all.all") == [
        (10, 10, 100, 0, 10, 1),
        (-30, -20, 200, 1, -20, 1),
        (-30, -50, 300, 2, -50, 1),
    ]
    assert window("year_to_date.ex_btc.all.all")[2] == (-35, -65, 330, 2, -65, 2)
    assert window("year_to_date.ex_btc.usd_pegged.all")[2] == (-30, -50, 300, 2, -50, 1)
    # A year back lies before the run: plain sums, but nothing that rests on a whole window.
    assert window("rolling_365d.ex_btc_eth.all.all")[2] == (-30, -50, 300, None, None, 1)
    assert window("since_2025.ex_btc_eth.all.all") == []
    controls = rows(
        truth_flows.daily_control_flow(market.ledger()),
        *("flow_group", "net_taker_usd", "rolling_365d_net_taker_usd", "excess_imbalance_ratio"),
        quotes="all",
        utc_date=DAY + timedelta(days=2),
    )
    assert controls == [
        ("ALT", -30, -50, -50 / 300),
        ("BTC", 0, 0, 0),
        ("ETH", -5, -15, -15 / 30),
        ("STABLE", -900, -2_700, -1),
    ]


def test_a_fixed_panel_holds_what_traded_on_both_ends() -> None:
    """SOL trades on all 366 days, XRP on all but the first: the second window of a year begins with both."""
    sol = [(1.0, 10.0, 6.0, 10.0)] * 366
    xrp = [None, *[(1.0, 100.0, 0.0, 100.0)] * 365]
    table = truth_flows.daily_altcoin_flow(Tiny([("binance", "SOL/USDT", sol), ("binance", "XRP/USDT", xrp)]).ledger())
    definition = "rolling_365d.ex_btc_eth.all.all.fixed_panel"
    found = rows(table, "net_taker_usd", "window_net_taker_usd", "symbol_count", definition_id=definition)
    assert found[363] == (None, None, 0)
    assert found[364:] == [(2, 365 * 2, 1), (2 - 100, 365 * (2 - 100), 2)]
    streaks = rows(table, "negative_streak_days", "negative_week_streak_count", definition_id=definition)
    assert streaks[364:] == [(0, 0), (1, 0)]


def test_ranks_look_back_only() -> None:
    values = [5, None, 3, 4, 3, 9, 1]
    assert truth_flows.ranked(values) == [
        (None, None, None),
        (None, None, None),
        (0.0, True, None),
        (0.5, False, 1),
        (0.0, False, None),
        (1.0, False, 1),
        (0.0, True, None),
    ]


@given(st.lists(st.integers(-5, 5) | st.none(), max_size=40))
def test_ranks_equal_their_definition(values: list[int | None]) -> None:
    for t, (value, (rank, is_low, since)) in enumerate(zip(values, truth_flows.ranked(values), strict=True)):
        before = [(t - i, v) for i, v in enumerate(values[:t]) if v is not None]
        lower = [days for days, v in before if value is not None and v < value]
        assert since == min(lower, default=None)
        if value is None or not before:
            assert rank is None and is_low is None
        else:
            assert rank == len(lower) / len(before) and is_low == all(value < v for _, v in before)


def test_weeks_and_months_count_once_they_are_over() -> None:
    days = [date(2024, 1, 1) + timedelta(days=i) for i in range(60)]  # a Monday; 2024-02-29 is the last
    covered = np.array([day != date(2024, 1, 10) for day in days])
    weeks = truth_flows.closed_runs(days, [-1] * 60, covered, lambda day: day.isoweekday() == 7, lambda day: 7)
    # The second week has a day that is not covered.
    assert [weeks[day] for day in (5, 6, 12, 13, 19, 20, 26, 27)] == [0, 1, 1, 0, 0, 1, 1, 2]
    months = truth_flows.closed_runs(
        days,
        [-1] * 31 + [1] * 29,
        np.ones(60, bool),
        lambda day: (day + timedelta(days=1)).day == 1,
        lambda day: day.day,
    )
    assert [months[day] for day in (29, 30, 58, 59)] == [0, 1, 1, 0]


def test_what_is_missing_has_its_reason() -> None:
    bar = (1.0, 10.0, 5.0, 10.0)
    market = Tiny([("binance", "SOL/USDT", [bar, bar, None, bar]), ("binance", "XRP/USDT", [bar, None, None])])
    found = rows(truth_flows.coverage_daily(market.ledger()), "expected_count", "present_count", "reason")
    assert found == [(2, 2, None), (2, 1, "halted"), (2, 0, "venue_outage"), (1, 1, None)]


def test_shares_of_a_market_by_hand() -> None:
    market = Tiny([("binance", "BTC/USDT", [(1, 60, 30, 60)] * 2), ("binance", "SOL/USDT", [(1, 20, 10, 20)] * 2)])
    market.snapshot = [
        {"symbol": "btc", "market_cap": 70},
        {"symbol": "sol", "market_cap": 20},
        {"symbol": "usdc", "market_cap": 10},
        {"symbol": "wbtc", "market_cap": 99},
    ]
    caps = {"BTC": Cap(70 * ONE, "bitcoin"), "SOL": Cap(20 * ONE, "altcoin", 20.0, is_estimated=True)}
    table = truth_caps.daily_dominance(market.ledger(), {DAY: caps, DAY + timedelta(days=1): caps})
    columns = ("covered_btc_share_ratio", "estimated_ratio", "covered_cap_ratio", "btc_share_ratio")
    first, second = rows(table, *columns, "stablecoin_share_ratio", definition_id="cap_all")
    assert first == (70 / 90, 20 / 90, None, None, None)
    assert second == pytest.approx((70 / 90, 20 / 90, 0.9, 70 / 90 * 0.9, 0.1))
    volume = rows(table, "covered_btc_share_ratio", "covered_usd", "btc_share_ratio", definition_id="spot_volume")
    assert volume == [(0.75, 80, None)] * 2


def test_the_supply_ratio_of_200_days_by_hand() -> None:
    """Caps of 1 to 200 dollars over a supply of 10: mean 10.05, and the deviation of 200 numbers in a row."""
    days = [DAY + timedelta(days=i) for i in range(200)]

    class Ten:
        def total(self) -> dict[date, int]:
            return dict.fromkeys(days, 10 * ONE)

    caps = {day: {"BTC": Cap((i + 1) * ONE, "bitcoin", float(i))} for i, day in enumerate(days)}
    last = rows(truth_caps.daily_stablecoin_ratio(cast(Supplies, Ten()), caps), "ssr", "ssr_mean", "oscillator")[-2:]
    assert last[0] == (19.9, None, None)
    assert last[1] == pytest.approx((20.0, 10.05, 9.95 / ((200 * 201 / 12) ** 0.5 / 10)))


@given(st.lists(st.integers(-(10**37), 10**37) | st.none()))
def test_amounts_become_decimals_to_the_last_digit(values: list[int | None]) -> None:
    found = decimals(values).to_pylist()
    assert [v if v is None else int(Fraction(v) * ONE) for v in found] == values


@pytest.mark.parametrize("exchange", ["binance", "kucoin", "upbit"])
def test_flows_are_the_sums_of_the_trades(exchange: str) -> None:
    """True sides, also while KuCoin's labels are the wrong way round."""
    market = GeneratedMarket(
        now=date(2023, 2, 4), size=12, start=date(2023, 1, 30), exchanges=sorted({"binance", exchange})
    )
    table = truth.flows(market, [exchange])
    for name in [*market.listings(exchange)][:4]:
        listing = market.listings(exchange)[name]
        symbol = {"kucoin": f"{listing.base}-{listing.quote}", "upbit": f"{listing.quote}-{listing.base}"}.get(
            exchange, listing.base + listing.quote
        )
        found = table.filter(pc.equal(table["symbol"], symbol)).sort_by("utc_date").to_pylist()
        days = [midnight_ms(market.start) + i * DAY_MS for i in range(6)]
        assert len(found) == 5
        for (first, end), row in zip(pairwise(days), found, strict=True):
            trades = market.trades(exchange, name, first, end)
            scale = Fraction(1, 10 ** (trades.price_decimals + trades.base_decimals))
            amounts = [int(p) * int(s) * scale for p, s in zip(trades.price, trades.size, strict=True)]
            bought = sum(a for a, is_buy in zip(amounts, trades.taker_buys, strict=True) if is_buy)
            assert row["taker_buy_quote"] == bought
            assert row["taker_sell_quote"] == sum(amounts) - bought


def test_labels_that_are_wrong_turn_the_sign() -> None:
    market = GeneratedMarket(now=date(2023, 2, 4), size=12, start=date(2023, 1, 30), exchanges=("binance", "kucoin"))
    order: list[tuple[str, Any]] = [("symbol", "ascending"), ("utc_date", "ascending")]
    nets = [
        truth_flows.daily_symbol_flows(Ledger(market, ["kucoin"], as_labelled=as_labelled)).sort_by(order)
        for as_labelled in (True, False)
    ]
    labelled, real = (units(table["net_taker_usd"]) for table in nets)
    is_flipped = pc.greater_equal(nets[0]["utc_date"], pa.scalar(date(2023, 2, 1))).to_numpy()
    assert is_flipped.any() and not is_flipped.all()
    assert (labelled[~is_flipped] == real[~is_flipped]).all()
    assert (np.abs(labelled[is_flipped] + real[is_flipped]) <= 2).all()  # of buys and of volume, each rounded once


def test_truths_are_written_as_parquet(tmp_path: Path) -> None:
    market = GeneratedMarket(now=date(2020, 1, 20), size=12, exchanges=("binance",))
    listings = market.listings("binance").values()
    written = truth.write(market, tmp_path / "truth")
    assert {path.name for path in written} == {f"{name}.parquet" for name in ("flows", *KEYS)}
    assert pq.read_table(tmp_path / "truth" / "flows.parquet").num_rows == sum(
        (market.now - listing.first).days for listing in listings
    )
