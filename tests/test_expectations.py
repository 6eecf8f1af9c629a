"""Every suite passes a valid table, and every critical expectation is seen to fail on a broken row.

One warm child process serves all tests of this file, as it does in a run."""

import ast
import json
import os
import signal
import subprocess
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.expectations import columns, validate
from orchestration.expectations.registry import SUITES
from orchestration.expectations.report import Failure, Report
from orchestration.expectations.suite import (
    CRITICAL,
    UNSAFE_TEXT,
    WARNING,
    Expect,
    Suite,
    between,
    holds,
    not_null,
    one_of,
    sane_date,
    unlike,
)
from orchestration.expectations.validate import check
from orchestration.expectations.validator import Validator, ValidatorError
from orchestration.records import RECORDS, SCREENED

WINDOW = (date(2025, 6, 1), date(2025, 7, 1))
DAY = date(2025, 6, 14)
SHA = "0f" * 32
USD = pa.decimal128(38, 8)
D = Decimal
RATIOS = ("top_account_long_short", "top_position_long_short", "account_long_short", "taker_buy_sell")
BUCKETS = ("below_1k", "from_1k", "from_10k", "from_100k")

# A valid row of every suite; `{}` in a key is replaced by the number of the row, so that keys differ.
VALID: dict[str, dict[str, Any]] = {
    "raw_spot_flows": {
        "exchange": "binance",
        "symbol": "X{}USDT",
        "utc_date": DAY,
        "open_price": 10.0,
        "high_price": 12.0,
        "low_price": 9.0,
        "close_price": 11.0,
        "volume_base": D("3"),
        "volume_quote": D("31.5"),
        "taker_buy_base": D("1"),
        "taker_buy_quote": D("10.5"),
        "trade_count": 7,
        "source_kind": "klines",
    },
    "raw_spot_symbols": {
        "exchange": "binance",
        "symbol": "X{}USDT",
        "base_asset": "X{}",
        "quote_asset": "USDT",
        "status": "TRADING",
        "is_trading": True,
        "is_listed": True,
    },
    "raw_spot_trade_sizes": {
        "exchange": "okx",
        "symbol": "X{}-USDT",
        "utc_date": DAY,
        **{
            f"{bucket}_{measure}": value
            for bucket in BUCKETS
            for measure, value in (("count", 3), ("volume_quote", D("31.5")), ("taker_buy_quote", D("10.5")))
        },
    },
    "raw_spot_trade_screens": {
        "exchange": "okx",
        "symbol": "X{}-USDT",
        "utc_date": DAY,
        **dict.fromkeys(SCREENED, 2),
        "sampled_count": 18,
    },
    "raw_archive_flows": {
        "exchange": "binance",
        "symbol": "X{}USDT",
        "utc_date": DAY,
        "open_price": 10.0,
        "high_price": 12.0,
        "low_price": 9.0,
        "close_price": 11.0,
        "volume_base": D("3"),
        "volume_quote": D("31.5"),
        "taker_buy_base": D("1"),
        "taker_buy_quote": D("10.5"),
        "trade_count": 7,
        "source_kind": "archive",
        "file_grain": "monthly",
    },
    "raw_taker_estimates": {
        "exchange": "okx",
        "asset": "X{}",
        "utc_date": DAY,
        "taker_buy_base": D("1.5"),
        "taker_sell_base": D("0"),
    },
    "raw_perpetual_symbols": {
        "exchange": "binance_usdm",
        "symbol": "X{}USDT",
        "base_asset": "X{}",
        "quote_asset": "USDT",
        "status": "TRADING",
        "is_trading": True,
        "is_listed": True,
        "contract_type": "PERPETUAL",
    },
    "raw_perpetual_flows": {
        "exchange": "binance_usdm",
        "symbol": "X{}USDT",
        "utc_date": DAY,
        "open_price": 10.0,
        "high_price": 12.0,
        "low_price": 9.0,
        "close_price": 11.0,
        "volume_base": D("3"),
        "volume_quote": D("31.5"),
        "taker_buy_base": D("1"),
        "taker_buy_quote": D("10.5"),
        "trade_count": 7,
        "source_kind": "klines",
    },
    "raw_funding_rates": {
        "exchange": "binance_usdm",
        "symbol": "X{}USDT",
        "utc_date": DAY,
        "funded_at": datetime(2025, 6, 14, 8, 0, 0, 13_000),
        "funding_ratio": D("-0.00022270"),
        "mark_price": 10.5,
    },
    "raw_open_interest": {
        "exchange": "binance_usdm",
        "symbol": "X{}USDT",
        "utc_date": DAY,
        "open_interest_base": D("286060.674"),
        "open_interest_quote": D("13151177.5449312"),
    },
    "raw_perpetual_metrics": {
        "exchange": "binance_usdm",
        "symbol": "X{}USDT",
        "utc_date": DAY,
        "open_interest_base": D("103264.474"),
        "open_interest_quote": D("6610597893.754393"),
        "last_row_at": datetime(2025, 6, 14, 23, 55),
        **{f"mean_{name}_ratio": 1.8 for name in RATIOS},
        "row_count": 288,
    },
    "raw_perpetual_depth": {
        "exchange": "binance_usdm",
        "symbol": "X{}USDT",
        "utc_date": DAY,
        **{
            f"{side}_within_{percent}_percent_quote": D(percent * 100)
            for percent in (1, 2, 5)
            for side in ("bid", "ask")
        },
        "snapshot_count": 2880,
    },
    "raw_stablecoins": {
        "stablecoin_id": "{}",
        "symbol": "USDX",
        "name": "Dollar X",
        "peg_type": "peggedUSD",
        "circulating_peg": D("5000000"),
        "price_usd": 1.001,
        "is_followed": True,
    },
    "raw_stablecoin_totals": {
        "peg_type": "pegged{}",
        "utc_date": DAY,
        "circulating_peg": D("250000000000"),
        "circulating_usd": D("250000000000"),
    },
    "raw_stablecoin_supplies": {
        "stablecoin_id": "{}",
        "symbol": "USDX",
        "peg_type": "peggedUSD",
        "utc_date": DAY,
        "circulating_peg": D("150000000000"),
    },
    "raw_stablecoin_chain_supplies": {
        "stablecoin_id": "{}",
        "chain": "zkSync Lite",
        "symbol": "USDX",
        "peg_type": "peggedUSD",
        "utc_date": DAY,
        "circulating_peg": D("150000000"),
    },
    "raw_asset_caps": {
        "upstream": "coinmetrics",
        "asset": "x{}",
        "utc_date": DAY,
        "cap_usd": D("2000000000"),
        "price_usd": 100.0,
    },
    "raw_coin_snapshots": {
        "coin_id": "coin-{}",
        "symbol": "币安人生",
        "name": "币安人生",
        "utc_date": DAY,
        "rank_count": 5,
        "price_usd": 2.0,
        "cap_usd": D("1000"),
        "circulating_supply_base": D("500"),
    },
    "raw_macro_observations": {"series_id": "S{}", "utc_date": DAY, "upstream": "fred", "value": D("4.33")},
    "raw_chain_tvl": {"chain": "zkSync Era {}", "utc_date": DAY, "tvl_usd": D("300000000")},
    "raw_dex_volumes": {"chain": "zkSync Era {}", "utc_date": DAY, "volume_usd": D("30000000")},
    "raw_order_books": {
        "exchange": "okx",
        "symbol": "X{}-USDT",
        "utc_date": DAY,
        "snapshot_at": datetime(2025, 6, 14, 8, 0, 0, 13_000),
        "mid_price": 10.5,
        **{f"{side}_within_{p}_percent_quote": D(p * 100) for p in (1, 2, 5) for side in ("bid", "ask")},
        "bid_level_count": 400,
        "ask_level_count": 400,
    },
    "raw_imported_caps": {"asset": "X{}", "utc_date": DAY, "cap_usd": D("1000000"), "coin_count": 1},
    "raw_imported_etf_flows": {"utc_date": "day {}", "net_flow_usd": D("-52700000")},
    "marts_daily_altcoin_flow": {
        "definition_id": "rolling_365d.ex_btc_eth.all.all",
        "utc_date": "day {}",
        "window_name": "rolling_365d",
        "universe": "ex_btc_eth",
        "quotes": "all",
        "trust": "all",
        "net_taker_usd": D("-25"),
        "volume_usd": D("100"),
        "imbalance_ratio": -0.25,
        "window_net_taker_usd": D("-50"),
        "window_volume_usd": D("1000"),
        "window_imbalance_ratio": -0.05,
        "window_taker_buy_ratio": 0.475,
        "window_coverage_ratio": 0.99,
        "is_window_complete": True,
        "cumulative_net_taker_usd": D("-50"),
    },
    "marts_daily_control_flow": {
        "flow_group": "ALT",
        "quotes": "all",
        "utc_date": "day {}",
        "net_taker_usd": D("-25"),
        "volume_usd": D("100"),
        "imbalance_ratio": -0.25,
        "rolling_365d_net_taker_usd": D("-50"),
        "rolling_365d_volume_usd": D("1000"),
    },
    "marts_run_info": {
        "run_id": "20250615T003000Z-{}",
        "source": "recorded",
        "synthetic": False,
        "first_date": date(2020, 1, 1),
        "last_date": DAY,
        "code_version": "0.1.0",
    },
    "quality_dq_grains": {"mart_name": "mart_{}", "row_count": 10, "distinct_count": 10},
    "quality_dq_rolling_differences": {"definition_id": "d{}", "checked_count": 900, "violation_count": 0},
    "quality_dq_flow_bounds": {"exchange": "venue_{}", "row_count": 20_000, "violation_count": 2},
    "quality_dq_dates": {"table_name": "mart_{}", "row_count": 10, "outside_count": 0},
    "quality_dq_shares": {"definition_id": "d{}", "max_deviation_ratio": 2e-16},
    "quality_dq_unclassified_assets": {"base_asset": "COIN{}", "known_days": 30, "is_near_dollar": False},
}

MART_SCHEMAS = {
    "marts_daily_altcoin_flow": pa.schema(
        [
            *[(name, pa.string()) for name in ("definition_id", "window_name", "universe", "quotes", "trust")],
            ("utc_date", pa.date32()),
            *[(name, USD) for name in ("net_taker_usd", "volume_usd", "window_net_taker_usd", "window_volume_usd")],
            *[(name, pa.float64()) for name in ("imbalance_ratio", "window_imbalance_ratio", "window_taker_buy_ratio")],
            ("window_coverage_ratio", pa.float64()),
            ("is_window_complete", pa.bool_()),
            ("cumulative_net_taker_usd", USD),
        ]
    ),
    "marts_daily_control_flow": pa.schema(
        [
            *[(name, pa.string()) for name in ("flow_group", "quotes")],
            ("utc_date", pa.date32()),
            *[(name, USD) for name in ("net_taker_usd", "volume_usd")],
            ("imbalance_ratio", pa.float64()),
            *[(name, USD) for name in ("rolling_365d_net_taker_usd", "rolling_365d_volume_usd")],
        ]
    ),
    "marts_run_info": pa.schema(
        [
            *[(name, pa.string()) for name in ("run_id", "source", "code_version")],
            ("synthetic", pa.bool_()),
            *[(name, pa.date32()) for name in ("first_date", "last_date")],
        ]
    ),
    **{
        f"quality_dq_{name}": pa.schema([(key, pa.string()), *[(count, pa.int64()) for count in counts]])
        for name, key, *counts in (
            ("grains", "mart_name", "row_count", "distinct_count"),
            ("rolling_differences", "definition_id", "checked_count", "violation_count"),
            ("flow_bounds", "exchange", "row_count", "violation_count"),
            ("dates", "table_name", "row_count", "outside_count"),
        )
    },
    "quality_dq_shares": pa.schema([("definition_id", pa.string()), ("max_deviation_ratio", pa.float64())]),
    "quality_dq_unclassified_assets": pa.schema(
        [("base_asset", pa.string()), ("known_days", pa.int64()), ("is_near_dollar", pa.bool_())]
    ),
}

NAN, INF = float("nan"), float("inf")
PEG = {"peg_type": "pegged USD; drop"}

DATED: list[tuple[dict[str, Any], set[str]]] = [
    ({"utc_date": date(2025, 7, 1)}, {"utc_date"}),
    ({"utc_date": date(1970, 1, 1)}, {"utc_date"}),
    ({"body_sha256": "x"}, {"body_sha256"}),
]

# suite -> broken rows: what is changed in a valid row, and the columns that the report must blame for it.
BROKEN: dict[str, list[tuple[dict[str, Any], set[str]]]] = {
    "raw_spot_flows": [
        ({"exchange": "Binance US"}, {"exchange"}),
        ({"symbol": "../BTCUSDT"}, {"symbol"}),
        ({"symbol": "BTC'USDT"}, {"symbol"}),
        ({"symbol": "BTCUSDT\n"}, {"symbol"}),
        ({"symbol": ""}, {"symbol"}),
        ({"utc_date": date(2025, 7, 1)}, {"utc_date"}),
        ({"utc_date": date(2025, 5, 31)}, {"utc_date"}),
        ({"utc_date": date(1970, 1, 21)}, {"utc_date"}),
        ({"utc_date": date(9999, 1, 1)}, {"utc_date"}),
        ({"source_kind": "guess"}, {"source_kind"}),
        ({"body_sha256": "0f0f"}, {"body_sha256"}),
        ({"body_sha256": SHA.upper()}, {"body_sha256"}),
        ({"open_price": NAN}, {"is_price_finite"}),
        ({"high_price": INF}, {"is_price_finite", "high_price"}),
        ({"open_price": 0.0, "low_price": 0.0}, {"open_price", "low_price"}),
        ({"low_price": -9.0}, {"low_price"}),
        ({"close_price": -1.0, "low_price": -1.0}, {"close_price", "low_price"}),
        ({"high_price": 1e13}, {"high_price"}),
        ({"high_price": 10.9}, {"is_high_highest"}),
        ({"low_price": 10.2}, {"is_low_lowest"}),
        (
            {"high_price": 0.0},
            {"high_price", "is_high_highest", "is_mean_price_within_range", "is_taker_price_within_range"},
        ),
        ({"volume_quote": D("-31.5")}, {"volume_quote", "is_taker_quote_within_volume", "is_mean_price_within_range"}),
        ({"volume_base": D("-3")}, {"volume_base", "is_taker_base_within_volume", "is_mean_price_within_range"}),
        ({"taker_buy_quote": D("-0.000000000001")}, {"taker_buy_quote", "is_taker_price_within_range"}),
        ({"taker_buy_base": D("-1")}, {"taker_buy_base", "is_taker_price_within_range"}),
        # Too close for floats: both sides are the same double.
        (
            {
                "volume_quote": D("1000000000.000000000001"),
                "volume_base": D("100000000"),
                "taker_buy_quote": D("1000000000.000000000002"),
                "taker_buy_base": D("100000000"),
            },
            {"is_taker_quote_within_volume"},
        ),
        (
            {"taker_buy_base": D("3.000000000001"), "taker_buy_quote": D("30")},
            {"is_taker_base_within_volume"},
        ),
        # Base and quote mistaken for each other, both within their volumes: 1.5 bought at 7.
        ({"taker_buy_base": D("1.5")}, {"is_taker_price_within_range"}),
        ({"taker_buy_quote": D("8.9")}, {"is_taker_price_within_range"}),
        ({"volume_quote": D("26.9")}, {"is_mean_price_within_range"}),
        ({"volume_quote": D("36.1")}, {"is_mean_price_within_range"}),
        ({"volume_base": D("0")}, {"is_mean_price_within_range", "is_taker_base_within_volume"}),
        ({"trade_count": -1}, {"trade_count"}),
        ({"trade_count": 0}, {"is_traded_where_counted"}),
        (
            {"volume_quote": D("0"), "taker_buy_quote": D("0"), "volume_base": D("0"), "taker_buy_base": D("0")},
            {"is_traded_where_counted"},
        ),
    ],
    "raw_spot_symbols": [
        ({"exchange": "binance.us"}, {"exchange"}),
        ({"symbol": "a/../b"}, {"symbol"}),
        ({"base_asset": "BTC;DROP"}, {"base_asset"}),
        ({"quote_asset": "US DT"}, {"quote_asset"}),
        ({"status": ""}, {"status"}),
        ({"base_asset": "USDT"}, {"is_pair_of_two"}),
        ({"base_asset": "btc"}, {"is_upper_case"}),
        ({"is_listed": False}, {"is_listed_where_trading"}),
        ({"body_sha256": ""}, {"body_sha256"}),
    ],
    "raw_spot_trade_sizes": [
        ({"exchange": "OKX"}, {"exchange"}),
        ({"symbol": "a/../b"}, {"symbol"}),
        ({"utc_date": date(2025, 7, 1)}, {"utc_date"}),
        ({"utc_date": date(1970, 1, 1)}, {"utc_date"}),
        *(({f"{bucket}_count": -1}, {f"{bucket}_count"}) for bucket in BUCKETS),
        *(({f"{bucket}_taker_buy_quote": D("-1")}, {f"{bucket}_taker_buy_quote"}) for bucket in BUCKETS),
        *(({f"{bucket}_taker_buy_quote": D("40")}, {f"is_{bucket}_within_volume"}) for bucket in BUCKETS),
        ({"body_sha256": "x"}, {"body_sha256"}),
    ],
    "raw_spot_trade_screens": [
        ({"exchange": "OKX"}, {"exchange"}),
        ({"symbol": "a/../b"}, {"symbol"}),
        ({"utc_date": date(2025, 7, 1)}, {"utc_date"}),
        ({"utc_date": date(1970, 1, 1)}, {"utc_date"}),
        *(({name: -1}, {name}) for name in SCREENED if name.startswith("digit") or name.startswith("crossed")),
        (
            {"sampled_count": -1},
            {"sampled_count", "is_round_count_within_sampled_count", "is_twin_count_within_sampled_count"},
        ),
        ({"round_count": -1}, {"round_count"}),
        ({"round_count": 19}, {"is_round_count_within_sampled_count"}),
        ({"twin_count": -1}, {"twin_count", "is_crossed_twin_count_within_twin_count"}),
        ({"twin_count": 19}, {"is_twin_count_within_sampled_count"}),
        ({"crossed_twin_count": 3}, {"is_crossed_twin_count_within_twin_count"}),
        ({"body_sha256": "x"}, {"body_sha256"}),
    ],
    "raw_taker_estimates": [
        ({"exchange": "OKX"}, {"exchange"}),
        ({"asset": "a/../b"}, {"asset"}),
        ({"asset": ""}, {"asset"}),
        ({"utc_date": date(2025, 7, 1)}, {"utc_date"}),
        ({"utc_date": date(1970, 1, 1)}, {"utc_date"}),
        ({"taker_buy_base": D("-1")}, {"taker_buy_base"}),
        ({"taker_sell_base": D("-0.000000000001")}, {"taker_sell_base"}),
        ({"body_sha256": "x"}, {"body_sha256"}),
    ],
    "raw_perpetual_symbols": [
        ({"exchange": "binance.usdm"}, {"exchange"}),
        ({"symbol": "a/../b"}, {"symbol"}),
        ({"base_asset": "BTC;DROP"}, {"base_asset"}),
        ({"quote_asset": "US DT"}, {"quote_asset"}),
        ({"status": ""}, {"status"}),
        ({"contract_type": " "}, {"contract_type"}),
        ({"base_asset": "USDT"}, {"is_pair_of_two"}),
        ({"base_asset": "btc"}, {"is_upper_case"}),
        ({"is_listed": False}, {"is_listed_where_trading"}),
        ({"body_sha256": ""}, {"body_sha256"}),
    ],
    "raw_funding_rates": [
        ({"exchange": "Binance"}, {"exchange"}),
        ({"symbol": "a/../b"}, {"symbol"}),
        ({"utc_date": date(2025, 6, 15)}, {"is_day_of_moment"}),
        ({"funded_at": datetime(2025, 6, 13, 23, 59, 59, 999_999)}, {"is_day_of_moment"}),
        (
            {"utc_date": date(2025, 7, 1), "funded_at": datetime(2025, 7, 1)},
            {"utc_date"},
        ),
        ({"utc_date": date(1970, 1, 21), "funded_at": datetime(1970, 1, 21)}, {"utc_date"}),
        ({"funding_ratio": D("0.11")}, {"funding_ratio"}),
        ({"funding_ratio": D("-2.227")}, {"funding_ratio"}),
        ({"mark_price": NAN}, {"is_price_finite"}),
        ({"mark_price": 0.0}, {"mark_price"}),
        ({"body_sha256": "x"}, {"body_sha256"}),
    ],
    "raw_open_interest": [
        ({"exchange": "Binance"}, {"exchange"}),
        ({"symbol": ""}, {"symbol"}),
        ({"open_interest_base": D("-1")}, {"open_interest_base"}),
        ({"open_interest_quote": D("-1")}, {"open_interest_quote"}),
        ({"open_interest_quote": D("2e13")}, {"open_interest_quote"}),
        ({"utc_date": date(2025, 7, 1)}, {"utc_date"}),
        ({"utc_date": date(1970, 1, 1)}, {"utc_date"}),
        ({"body_sha256": "x"}, {"body_sha256"}),
    ],
    "raw_perpetual_metrics": [
        ({"exchange": "Binance"}, {"exchange"}),
        ({"symbol": "BTC USDT"}, {"symbol"}),
        ({"open_interest_base": D("-1")}, {"open_interest_base"}),
        ({"open_interest_quote": D("-1")}, {"open_interest_quote"}),
        ({"last_row_at": datetime(2025, 6, 13, 23, 55)}, {"is_row_of_its_day"}),
        ({"last_row_at": datetime(2025, 6, 15, 0, 5)}, {"is_row_of_its_day"}),
        *(({f"mean_{name}_ratio": -0.1}, {f"mean_{name}_ratio"}) for name in RATIOS),
        ({"mean_account_long_short_ratio": NAN}, {"is_ratio_finite"}),
        ({"row_count": 0}, {"row_count"}),
        ({"row_count": 290}, {"row_count"}),
        (
            {"utc_date": date(2025, 7, 1), "last_row_at": datetime(2025, 7, 1)},
            {"utc_date"},
        ),
        ({"utc_date": date(1970, 1, 1), "last_row_at": datetime(1970, 1, 1)}, {"utc_date"}),
        ({"body_sha256": "x"}, {"body_sha256"}),
    ],
    "raw_perpetual_depth": [
        ({"exchange": "Binance"}, {"exchange"}),
        ({"symbol": ""}, {"symbol"}),
        *(
            ({f"{side}_within_{percent}_percent_quote": value}, {f"{side}_within_{percent}_percent_quote"})
            for side in ("bid", "ask")
            for percent, value in ((1, D("-1")), (5, D("2e13")))
        ),
        *(
            (
                {f"{side}_within_{percent}_percent_quote": D("-1") for percent in (1, 2)},
                {f"{side}_within_{percent}_percent_quote" for percent in (1, 2)},
            )
            for side in ("bid", "ask")
        ),
        ({"snapshot_count": 0}, {"snapshot_count"}),
        ({"utc_date": date(2025, 7, 1)}, {"utc_date"}),
        ({"utc_date": date(1970, 1, 1)}, {"utc_date"}),
        ({"body_sha256": "x"}, {"body_sha256"}),
    ],
    "raw_stablecoins": [
        ({"stablecoin_id": "1/2"}, {"stablecoin_id"}),
        ({"symbol": " "}, {"symbol"}),
        (PEG, {"peg_type"}),
        ({"circulating_peg": D("-1")}, {"circulating_peg"}),
        ({"price_usd": NAN}, {"is_price_finite"}),
        ({"price_usd": -1.0}, {"price_usd"}),
        ({"body_sha256": "x"}, {"body_sha256"}),
    ],
    "raw_stablecoin_totals": [
        (PEG, {"peg_type"}),
        ({"circulating_peg": D("-1")}, {"circulating_peg"}),
        ({"circulating_usd": D("-1")}, {"circulating_usd"}),
        ({"circulating_usd": D("250000000000000")}, {"circulating_usd"}),
        ({"utc_date": date(2025, 7, 1)}, {"utc_date"}),
        ({"utc_date": date(1970, 1, 1)}, {"utc_date"}),
        ({"body_sha256": "x"}, {"body_sha256"}),
    ],
    "raw_stablecoin_supplies": [
        ({"stablecoin_id": "?"}, {"stablecoin_id"}),
        ({"symbol": ""}, {"symbol"}),
        (PEG, {"peg_type"}),
        ({"circulating_peg": D("-0.5")}, {"circulating_peg"}),
        ({"utc_date": date(2025, 7, 1)}, {"utc_date"}),
        ({"utc_date": date(1970, 1, 1)}, {"utc_date"}),
        ({"body_sha256": "x"}, {"body_sha256"}),
    ],
    "raw_stablecoin_chain_supplies": [
        ({"stablecoin_id": "?"}, {"stablecoin_id"}),
        ({"chain": "  "}, {"chain"}),
        ({"symbol": ""}, {"symbol"}),
        (PEG, {"peg_type"}),
        ({"circulating_peg": D("-0.5")}, {"circulating_peg"}),
        ({"utc_date": date(2025, 7, 1)}, {"utc_date"}),
        ({"utc_date": date(1970, 1, 1)}, {"utc_date"}),
        ({"body_sha256": "x"}, {"body_sha256"}),
    ],
    "raw_asset_caps": [
        ({"upstream": "Coin Metrics"}, {"upstream"}),
        ({"asset": "b tc"}, {"asset"}),
        ({"cap_usd": D("0")}, {"cap_usd"}),
        ({"price_usd": INF}, {"is_price_finite", "price_usd"}),
        ({"price_usd": NAN}, {"is_price_finite"}),
        ({"price_usd": 0.0}, {"price_usd"}),
        ({"utc_date": date(2025, 7, 1)}, {"utc_date"}),
        ({"utc_date": date(1970, 1, 1)}, {"utc_date"}),
        ({"body_sha256": "x"}, {"body_sha256"}),
    ],
    "raw_coin_snapshots": [
        ({"coin_id": "a b"}, {"coin_id"}),
        ({"symbol": ""}, {"symbol"}),
        ({"rank_count": 0}, {"rank_count"}),
        ({"price_usd": NAN}, {"is_price_finite"}),
        ({"price_usd": -2.0}, {"price_usd"}),
        ({"cap_usd": D("-1000")}, {"cap_usd"}),
        ({"circulating_supply_base": D("-500")}, {"circulating_supply_base"}),
        ({"utc_date": date(2025, 7, 1)}, {"utc_date"}),
        ({"utc_date": date(1970, 1, 1)}, {"utc_date"}),
        ({"body_sha256": "x"}, {"body_sha256"}),
    ],
    "raw_macro_observations": [
        ({"series_id": "../M2SL"}, {"series_id"}),
        ({"upstream": "FRED"}, {"upstream"}),
        ({"series_id": "FNG", "value": D("101")}, {"is_value_plausible"}),
        ({"series_id": "DFF", "value": D("433")}, {"is_value_plausible"}),
        ({"series_id": "M2SL", "value": D("21942000000000")}, {"is_value_plausible"}),
        ({"utc_date": date(2025, 7, 1)}, {"utc_date"}),
        ({"utc_date": date(1899, 12, 31)}, {"utc_date"}),
        ({"body_sha256": "x"}, {"body_sha256"}),
    ],
    "raw_chain_tvl": [
        ({"chain": "a;b"}, {"chain"}),
        ({"tvl_usd": D("-1")}, {"tvl_usd"}),
        ({"tvl_usd": D("20000000000000")}, {"tvl_usd"}),
        *DATED,
    ],
    "raw_dex_volumes": [
        ({"chain": "../x"}, {"chain"}),
        ({"volume_usd": D("-1")}, {"volume_usd"}),
        ({"volume_usd": D("20000000000000")}, {"volume_usd"}),
        *DATED,
    ],
    "raw_order_books": [
        ({"exchange": "O K X"}, {"exchange"}),
        ({"symbol": "BTC'USDT"}, {"symbol"}),
        ({"snapshot_at": datetime(2025, 6, 15, 0, 0, 1)}, {"is_of_its_day"}),
        ({"mid_price": 0.0}, {"mid_price"}),
        *(
            ({f"{side}_within_{p}_percent_quote": D("-1")}, {f"{side}_within_{p}_percent_quote"})
            for p in (1,)
            for side in ("bid", "ask")
        ),
        *(
            (
                {f"{side}_within_{inner}_percent_quote": D("-1"), f"{side}_within_{outer}_percent_quote": D("-2")},
                {f"{side}_within_{inner}_percent_quote", f"{side}_within_{outer}_percent_quote"}
                | {f"is_{side}_{p}_percent_wider" for p in (inner, outer) if p > 1},
            )
            for side in ("bid", "ask")
            for inner, outer in ((2, 5),)
        ),
        *(
            ({f"{side}_within_{inner}_percent_quote": D(9999)}, wider)
            for side in ("bid", "ask")
            for inner, wider in ((1, {f"is_{side}_2_percent_wider"}), (2, {f"is_{side}_5_percent_wider"}))
        ),
        ({"bid_level_count": 0}, {"bid_level_count"}),
        ({"ask_level_count": 0}, {"ask_level_count"}),
        *((change, blamed | ({"is_of_its_day"} if "utc_date" in change else set())) for change, blamed in DATED),
    ],
    "raw_imported_caps": [
        ({"asset": "a<b"}, {"asset"}),
        ({"cap_usd": D("0")}, {"cap_usd"}),
        ({"coin_count": 0}, {"coin_count"}),
        *DATED,
    ],
    "raw_imported_etf_flows": [({"net_flow_usd": D("-2000000000000")}, {"net_flow_usd"}), *DATED],
    "marts_daily_altcoin_flow": [
        ({"utc_date": date(1970, 1, 1)}, {"utc_date"}),
        ({"window_name": "rolling_30d"}, {"window_name", "is_id_made_of_parts"}),
        ({"universe": "everything"}, {"universe", "is_id_made_of_parts"}),
        ({"quotes": "some"}, {"quotes", "is_id_made_of_parts"}),
        ({"trust": "none"}, {"trust", "is_id_made_of_parts"}),
        ({"definition_id": "headline"}, {"is_id_made_of_parts"}),
        ({"volume_usd": D("-100")}, {"volume_usd", "is_net_within_volume", "is_imbalance_net_by_volume"}),
        (
            {"window_volume_usd": D("-1000")},
            {"window_volume_usd", "is_window_net_within_volume", "is_window_imbalance_net_by_volume"},
        ),
        (
            {"net_taker_usd": D("-100.00000001"), "imbalance_ratio": -1.0},
            {"is_net_within_volume"} | {"is_imbalance_net_by_volume"},
        ),
        ({"imbalance_ratio": -1.25}, {"imbalance_ratio", "is_imbalance_net_by_volume"}),
        ({"imbalance_ratio": 0.25}, {"is_imbalance_net_by_volume"}),
        (
            {"window_imbalance_ratio": -1.05},
            {"window_imbalance_ratio", "is_window_imbalance_net_by_volume", "is_share_half_of_imbalance"},
        ),
        ({"window_taker_buy_ratio": 1.475}, {"window_taker_buy_ratio", "is_share_half_of_imbalance"}),
        ({"cumulative_net_taker_usd": D("-50.00000001")}, {"is_cumulative_window_net"}),
        ({"window_coverage_ratio": 0.949}, {"is_cumulative_empty_where_invalid"}),
        ({"window_coverage_ratio": None}, {"is_cumulative_empty_where_invalid"}),
        ({"is_window_complete": False}, {"is_cumulative_empty_where_invalid"}),
    ],
    "marts_daily_control_flow": [
        ({"utc_date": date(1970, 1, 1)}, {"utc_date"}),
        ({"flow_group": "DOGE"}, {"flow_group"}),
        ({"quotes": "eur"}, {"quotes"}),
        ({"volume_usd": D("-100")}, {"volume_usd", "is_net_within_volume", "is_imbalance_net_by_volume"}),
        ({"rolling_365d_volume_usd": D("-1")}, {"rolling_365d_volume_usd", "is_rolling_net_within_volume"}),
        ({"imbalance_ratio": 2.0}, {"imbalance_ratio", "is_imbalance_net_by_volume"}),
    ],
    "marts_run_info": [
        ({"run_id": "../x"}, {"run_id"}),
        ({"source": "imagination"}, {"source"}),
        ({"source": "sandbox"}, {"is_synthetic_where_sandbox"}),
        ({"synthetic": True}, {"is_synthetic_where_sandbox"}),
        ({"first_date": date(1970, 1, 1)}, {"first_date"}),
        ({"last_date": date(9999, 1, 1)}, {"last_date"}),
        ({"first_date": date(2025, 6, 15)}, {"is_first_before_last"}),
    ],
    "quality_dq_grains": [({"distinct_count": 9}, {"is_grain_unique"})],
    "quality_dq_rolling_differences": [({"violation_count": 1}, {"violation_count"})],
    "quality_dq_flow_bounds": [
        ({"violation_count": 3}, {"is_rate_within_limit"}),
        ({"violation_count": -1}, {"violation_count"}),
        ({"row_count": 0, "violation_count": 0}, {"row_count"}),
    ],
    "quality_dq_dates": [({"outside_count": 1}, {"outside_count"})],
    "quality_dq_shares": [
        ({"max_deviation_ratio": 1.1e-12}, {"max_deviation_ratio"}),
        ({"max_deviation_ratio": NAN}, {"is_deviation_finite"}),
    ],
    "quality_dq_unclassified_assets": [],
}

# The bars of contracts and those of the archive obey the rules of spot.
BROKEN["raw_perpetual_flows"] = BROKEN["raw_spot_flows"]
BROKEN["raw_archive_flows"] = [*BROKEN["raw_spot_flows"], ({"file_grain": "weekly"}, {"file_grain"})]

# suite -> rows that are news: loaded, with a warning that blames the column.
NEWS: dict[str, list[tuple[list[dict[str, Any]], str, list[int]]]] = {
    "raw_perpetual_depth": [
        ([{f"{side}_within_{inner}_percent_quote": D(9999)}, {}], f"is_{side}_{outer}_percent_wider", [0])
        for side in ("bid", "ask")
        for inner, outer in ((1, 2), (2, 5))
    ],
    "raw_stablecoins": [
        ([{"price_usd": 0.96}, {"price_usd": 0.96, "peg_type": "peggedEUR"}], "is_dollar_peg_held", [0])
    ],
    "raw_stablecoin_totals": [
        (
            [
                {"peg_type": "peggedUSD", "utc_date": date(2025, 6, 15), "circulating_usd": D("276000000000")},
                {"peg_type": "peggedUSD"},
                {"peg_type": "peggedUSD", "utc_date": date(2025, 6, 17), "circulating_usd": D("100000000")},
            ],
            "change_ratio",
            [0],
        )
    ],
    "raw_stablecoin_supplies": [
        (
            [{"stablecoin_id": "1"}, {"stablecoin_id": "1", "utc_date": date(2025, 6, 15), "circulating_peg": D("1")}],
            "change_ratio",
            [1],
        )
    ],
    "raw_stablecoin_chain_supplies": [
        (
            [
                {"stablecoin_id": "1", "chain": "A"},
                {"stablecoin_id": "1", "chain": "A", "utc_date": date(2025, 6, 15), "circulating_peg": D("300000000")},
                {"stablecoin_id": "1", "chain": "B", "utc_date": date(2025, 6, 15), "circulating_peg": D("1")},
            ],
            "change_ratio",
            [1],
        )
    ],
    "raw_asset_caps": [
        (
            [{"asset": "x"}, {"asset": "x", "utc_date": date(2025, 6, 15), "cap_usd": D("30000000000")}],
            "change_ratio",
            [1],
        )
    ],
    "raw_chain_tvl": [
        (
            [{"chain": "A"}, {"chain": "A", "utc_date": date(2025, 6, 15), "tvl_usd": D("500000000")}],
            "change_ratio",
            [1],
        )
    ],
    "raw_dex_volumes": [([{"volume_usd": D("300000000000")}, {}], "volume_usd", [0])],
    "raw_imported_etf_flows": [([{"net_flow_usd": D("6000000000")}, {}], "net_flow_usd", [0])],
    "marts_daily_altcoin_flow": [
        ([{"window_coverage_ratio": 1.01}], "window_coverage_ratio", [0]),
        (
            [
                {"window_net_taker_usd": None, "cumulative_net_taker_usd": None},
                {
                    "definition_id": "rolling_365d.ex_btc_eth.all.all.fixed_panel",
                    "window_net_taker_usd": None,
                    "cumulative_net_taker_usd": None,
                },
            ],
            "is_window_filled",
            [0],
        ),
    ],
    "raw_coin_snapshots": [([{"cap_usd": D("940")}], "is_cap_price_times_supply", [0])],
    "quality_dq_rolling_differences": [([{"checked_count": 0}], "checked_count", [0])],
    "quality_dq_unclassified_assets": [
        ([{}, {"is_near_dollar": True}], "is_near_dollar", [1]),
        ([{"known_days": 0}, {}], "known_days", [0]),
    ],
}


def schema_of(name: str) -> pa.Schema:
    return RECORDS[name.removeprefix("raw_")].schema if name.startswith("raw_") else MART_SCHEMAS[name]


def valid_row(name: str, number: int) -> dict[str, Any]:
    row = dict(VALID[name])
    for column, value in row.items():
        if value == "day {}":
            row[column] = date.fromordinal(DAY.toordinal() + number)
        elif isinstance(value, str):
            row[column] = value.replace("{}", str(number))
    if name.startswith("raw_"):
        row["body_sha256"] = SHA
    return row


def table_of(name: str, changes: list[dict[str, Any]]) -> pa.Table:
    rows = [valid_row(name, number) | change for number, change in enumerate(changes)]
    return pa.Table.from_pylist(rows, schema=schema_of(name))


def window_of(name: str) -> tuple[date, date] | None:
    return WINDOW if name.startswith("raw_") else None


def blamed(report: Report, row: int, severity: str = CRITICAL) -> set[str]:
    return {each.column for each in report.failures if row in each.rows and each.severity == severity}


def columns_never_null(suite: Suite) -> list[str]:
    return [each.columns[0] for each in suite.expectations if each.name == "ExpectColumnValuesToNotBeNull"]


@pytest.fixture(scope="module")
def validator():
    with Validator.start(patience=120) as started:
        yield started


@pytest.fixture(scope="module")
def broken(validator: Validator) -> dict[str, Report]:
    """Per suite the report on one table: a valid row, then every broken row, then one NULL per required column."""
    reports = {}
    for name, cases in BROKEN.items():
        nulls = [{column: None} for column in columns_never_null(SUITES[name])]
        table = table_of(name, [{}, *(change for change, _ in cases), *nulls])
        reports[name] = validator.check(name, table, window_of(name))
    return reports


def test_every_file_is_registered_and_carries_its_name(root: Path):
    files = (root / "orchestration" / "expectations").glob("*.py")
    tables = {file.stem for file in files if file.stem.split("_")[0] in ("raw", "marts", "quality")}
    assert tables == set(SUITES)
    assert {name.removeprefix("raw_") for name in SUITES if name.startswith("raw_")} == set(RECORDS)


def test_every_expectation_says_why_and_how_bad():
    for suite in SUITES.values():
        for each in suite.expectations:
            assert len(each.why) > 15, (suite.name, each)
            assert each.severity in (CRITICAL, WARNING), (suite.name, each)


def test_suites_load_without_great_expectations(root: Path):
    code = "import sys, orchestration.expectations.registry as r; print(len(r.SUITES), *sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert loaded.stdout.split()[0] == str(len(SUITES))
    assert not {"great_expectations", "pandas", "dagster", "duckdb"} & set(loaded.stdout.split())


def test_the_folder_knows_neither_dagster_nor_duckdb(root: Path):
    imported = set()
    for file in (root / "orchestration" / "expectations").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
    assert {"great_expectations", "pyarrow"} <= imported
    assert not {"dagster", "duckdb", "requests"} & imported


@pytest.mark.parametrize("name", SUITES)
def test_a_valid_table_passes(validator: Validator, name: str):
    report = validator.check(name, table_of(name, [{}] if name == "marts_run_info" else [{}, {}]), window_of(name))
    assert report.passed and not report.blocking, report.message
    assert report.row_count in (1, 2)


CASES = [(name, number, *case) for name, cases in BROKEN.items() for number, case in enumerate(cases, start=1)]


@pytest.mark.parametrize(("name", "row", "change", "expected"), CASES)
def test_a_broken_row_is_blamed(broken: dict[str, Report], name: str, row: int, change: dict, expected: set[str]):
    report = broken[name]
    assert blamed(report, row) == expected, report.message
    assert row in report.refused_rows
    assert 0 not in report.refused_rows, "the valid row beside it is not touched"


@pytest.mark.parametrize("name", SUITES)
def test_a_missing_value_is_blamed(broken: dict[str, Report], name: str):
    first = 1 + len(BROKEN[name])
    names = columns_never_null(SUITES[name])
    assert names
    for row, column in enumerate(names, start=first):
        assert column in blamed(broken[name], row), column


@pytest.mark.parametrize("name", SUITES)
def test_no_critical_expectation_was_never_seen_to_fail(broken: dict[str, Report], name: str):
    seen = {(each.expectation, each.column, each.why) for each in broken[name].failures}
    for each in SUITES[name].expectations:
        if each.severity == CRITICAL and each.row_level:
            assert (each.name, ", ".join(each.columns), each.why) in seen, each


@pytest.mark.parametrize(
    ("name", "changes", "column", "rows"), [(name, *case) for name, cases in NEWS.items() for case in cases]
)
def test_news_is_a_warning_and_blocks_nothing(validator: Validator, name: str, changes: list, column: str, rows: list):
    report = validator.check(name, table_of(name, changes), window_of(name))
    assert [(each.column, each.severity, each.rows) for each in report.failures] == [(column, WARNING, rows)]
    assert not report.passed and not report.blocking and not report.refused_rows


def test_every_warning_was_seen():
    warned = {(name, case[1]) for name, cases in NEWS.items() for case in cases}
    assert warned == {
        (suite.name, each.columns[0])
        for suite in SUITES.values()
        for each in suite.expectations
        if each.severity == WARNING
    }


@pytest.mark.parametrize(
    "name",
    [suite.name for suite in SUITES.values() if any(not each.row_level for each in suite.expectations)],
)
def test_an_empty_table_refuses_the_window(validator: Validator, name: str):
    report = validator.check(name, table_of(name, []), window_of(name))
    assert report.refuses_window
    assert [each.expectation for each in report.failures] == ["ExpectTableRowCountToBeBetween"]
    assert report.failures[0].observed == 0


def test_an_empty_answer_about_one_symbol_is_fine(validator: Validator):
    assert validator.check("raw_spot_flows", table_of("raw_spot_flows", []), WINDOW).passed


def test_two_rows_of_run_info_are_one_too_many(validator: Validator):
    report = validator.check("marts_run_info", table_of("marts_run_info", [{}, {}]))
    assert report.refuses_window and [each.observed for each in report.failures if not each.row_level] == [2]


@pytest.mark.parametrize("name", SUITES)
def test_a_key_that_occurs_twice_is_named_with_all_its_rows(validator: Validator, name: str):
    table = table_of(name, [{}, {}, {}])
    doubled = pa.concat_tables([table, table.slice(1, 1)])
    report = validator.check(name, doubled, window_of(name))
    (grain,) = [each for each in report.failures if each.check == "grain"]
    assert grain.rows == [1, 3] and grain.severity == CRITICAL
    assert set(grain.sample[0]) == set(SUITES[name].grain)


def test_a_missing_column_is_one_clear_failure(validator: Validator):
    table = table_of("raw_spot_flows", [{}]).drop_columns(["taker_buy_quote"])
    report = validator.check("raw_spot_flows", table, WINDOW)
    assert report.refuses_window
    assert report.message == (
        "raw_spot_flows: 1 rows\n  schema taker_buy_quote: raw_spot_flows cannot be checked without taker_buy_quote."
    )


def test_what_is_not_reported_is_not_judged(validator: Validator):
    unknown = dict.fromkeys(
        ("open_price", "high_price", "low_price", "close_price", "volume_base", "taker_buy_base", "taker_buy_quote")
    )
    table = table_of("raw_spot_flows", [{**unknown, "trade_count": None}])
    assert validator.check("raw_spot_flows", table, WINDOW).passed


def test_without_a_window_days_are_only_checked_for_sanity(validator: Validator):
    table = table_of("raw_spot_flows", [{"utc_date": date(2020, 1, 1)}, {"utc_date": date(1970, 1, 1)}])
    report = validator.check("raw_spot_flows", table)
    assert sorted(report.refused_rows) == [1]


def test_an_invalid_window_without_a_cumulative_figure_passes(validator: Validator):
    change = {"cumulative_net_taker_usd": None, "is_window_complete": False, "window_coverage_ratio": None}
    assert validator.check("marts_daily_altcoin_flow", table_of("marts_daily_altcoin_flow", [change])).passed


def test_the_report_reads_well_and_survives_json(validator: Validator):
    change = {"taker_buy_quote": D("31.500000000001"), "taker_buy_base": D("3")}
    report = validator.check("raw_spot_flows", table_of("raw_spot_flows", [{}, change]), WINDOW)
    assert report.message == (
        "raw_spot_flows: 2 rows\n"
        "  R4 is_taker_quote_within_volume: 1 row: Takers cannot buy more than was traded. E.g. exchange=binance, "
        "symbol=X1USDT, utc_date=2025-06-14, taker_buy_quote=31.500000000001, volume_quote=31.500000000000"
    )
    assert report.refused_rows == {1: "R4 is_taker_quote_within_volume: Takers cannot buy more than was traded."}
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_values_that_json_cannot_hold_become_text():
    failure = Failure(
        "R4", "e", "c", "why", CRITICAL, 1, sample=[{"a": NAN, "b": D("1E+3"), "c": datetime(2025, 1, 2)}]
    )
    report = Report("s", False, 1, [failure], 0.1).to_dict()
    assert report["failures"][0]["sample"] == [{"a": "nan", "b": "1000", "c": "2025-01-02T00:00:00"}]
    json.dumps(report, allow_nan=False)


def test_slices_are_merged_with_the_rows_of_the_whole(validator: Validator):
    """510,000 rows are three slices; a key repeated in the first and the last is still found."""
    count = 510_000
    number = np.arange(count)
    row = table_of("raw_spot_flows", [{}])
    big = pa.table(
        {name: pa.concat_arrays([row[name].combine_chunks()]).take(pa.array(number * 0)) for name in row.column_names},
        schema=row.schema,
    )

    def put(name: str, values: pa.Array) -> None:
        nonlocal big
        big = big.set_column(big.schema.get_field_index(name), row.schema.field(name), values)

    put(
        "symbol",
        pc.binary_join_element_wise("S", pc.cast(pa.array(np.where(number == count - 1, 0, number)), pa.string()), ""),
    )
    put("trade_count", pa.array(np.where(np.isin(number, [5, 250_000, 509_998]), -1, 7)))
    report = validator.check("raw_spot_flows", big, WINDOW)
    assert report.row_count == count
    assert {each.column: each.rows for each in report.failures} == {
        "exchange, symbol, utc_date": [0, 509_999],
        "trade_count": [5, 250_000, 509_998],
    }
    (counted,) = [each for each in report.failures if each.column == "trade_count"]
    assert counted.unexpected_count == 3
    assert [each["symbol"] for each in counted.sample] == ["S5", "S250000", "S509998"]


def test_small_tables_share_a_round_trip(validator: Validator):
    names = [name for name in SUITES if name.startswith("quality_")]
    reports = validator.check_many([(name, table_of(name, [{}])) for name in names])
    assert [report.suite for report in reports] == names
    assert all(report.passed for report in reports)


def test_an_unknown_suite_is_named(validator: Validator):
    with pytest.raises(KeyError, match="no suite named raw_nothing"):
        validator.check("raw_nothing", table_of("raw_spot_flows", [{}]))


def test_a_table_of_the_wrong_type_is_an_error_that_names_the_suite_and_the_child_lives_on(validator: Validator):
    table = table_of("quality_dq_grains", [{}])
    wrong = table.set_column(1, "row_count", pa.array(["many"]))
    with pytest.raises(ValidatorError, match="checking quality_dq_grains failed in the child process"):
        validator.check("quality_dq_grains", wrong)
    assert validator.check("quality_dq_grains", table).passed


def test_a_killed_child_is_reported_with_suite_and_signal():
    with Validator.start() as validator:
        os.kill(validator.pid, signal.SIGKILL)
        with pytest.raises(ValidatorError, match=r"checking raw_stablecoins: .* died \(signal 9\)"):
            validator.check("raw_stablecoins", table_of("raw_stablecoins", [{}]), WINDOW)


def test_a_child_that_does_not_answer_is_ended():
    with Validator.start(patience=0.05) as validator:
        with pytest.raises(ValidatorError, match=r"did not answer within 0.05 s"):
            validator.check("raw_stablecoins", table_of("raw_stablecoins", [{}]), WINDOW)
        with pytest.raises(ValidatorError, match="signal 9"):
            validator.check("raw_stablecoins", table_of("raw_stablecoins", [{}]), WINDOW)


def test_closing_leaves_no_process_and_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    validator = Validator.start()
    assert list(folder.iterdir())
    validator.close()
    assert not list(folder.iterdir()), "no temporary files are left"
    with pytest.raises(ProcessLookupError):
        os.kill(validator.pid, 0)


def test_libraries_may_print_and_a_child_without_parent_ends_and_tidies_up(tmp_path: Path, root: Path):
    """The child prints on stdout while it imports and checks; the answers stay clean. Then stdin ends, as when the
    parent is killed."""
    folder = tmp_path / "left"
    folder.mkdir()
    code = (
        "import sys, types, os\n"
        "import orchestration.expectations.validate as v\n"
        "from orchestration.expectations.report import Report\n"
        "v.warm_up = lambda: (print('warm'), os.write(1, b'raw'))\n"
        "v.check = lambda s, t, w: print('chatter') or Report(s.name, True, t.num_rows, [], 0.0)\n"
        "from orchestration.expectations import worker\n"
        f"sys.argv = ['worker', {str(folder)!r}]\n"
        "worker.main()\n"
    )
    path = tmp_path / "t.arrow"
    table = table_of("quality_dq_grains", [{}])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    request = {"checks": [{"suite": "quality_dq_grains", "path": str(path), "window": None}]}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, input=json.dumps(request) + "\n", capture_output=True, text=True
    )
    assert json.loads(done.stdout)["reports"][0]["row_count"] == 1
    assert "chatter" in done.stderr and "warm" in done.stderr and "raw" in done.stderr
    assert done.returncode == 0 and not folder.exists()


@pytest.mark.parametrize(
    ("text", "half"),
    [
        ("3", 0.005),
        ("3.1", 0.005),
        ("3.12", 0.005),
        ("3.123", 0.0005),
        ("0.00000001", 0.5e-8),
        ("-7.000000000001", 0.5e-12),
    ],
)
def test_half_a_unit_of_the_last_decimal(text: str, half: float):
    column = pa.chunked_array([pa.array([D("1.5"), D(text)], pa.decimal128(38, 12)).slice(1)])
    assert columns.half_last_digit(column) == pytest.approx([half], rel=1e-12)


def test_a_mean_price_is_granted_the_rounding_of_its_volumes_and_no_more():
    def judged(quote: str, base: str, low: float, high: float) -> bool:
        amount = pa.decimal128(38, 12)
        amounts = [pa.chunked_array([pa.array([D(value)], amount)]) for value in (quote, base)]
        prices = [pa.chunked_array([pa.array([value])]) for value in (low, high)]
        return columns.is_mean_price_within(*amounts, *prices)[0].as_py()

    # 0.014 coins at 100 = 1.40 are written as 0.01 coins: 140 a coin, though nobody paid more than 100.
    assert judged("1.40000001", "0.01", 100.0, 100.0)
    # 0.015 coins would be written as 0.02: 1.51 is too much for 0.01 coins.
    assert not judged("1.51000001", "0.01", 100.0, 100.0)
    # Eight decimals grant eight decimals.
    assert not judged("1.40000001", "0.01000001", 100.0, 100.0)
    assert judged("0", "0", 100.0, 100.0)


@given(
    st.lists(
        st.tuples(
            *[st.none() | st.decimals(-20, 20, places=3) | st.decimals(0, 9, places=12)] * 2,
            *[st.none() | st.floats(-3, 3) | st.sampled_from([0.0, 1.0, float("nan"), float("inf")])] * 2,
        ),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=200, deadline=None)
def test_the_rounding_is_granted_wherever_it_is_looked_for(rows: list[tuple]):
    """Most rows pass without; the verdict on each is the one that looks at the last decimal of every amount."""
    quote, base, low, high = (
        pa.chunked_array([pa.array(values, kind)])
        for values, kind in zip(zip(*rows, strict=True), [pa.decimal128(38, 12)] * 2 + [pa.float64()] * 2, strict=True)
    )
    quotes, bases, lows, highs = map(columns.floats, (quote, base, low, high))
    half_quote, half_base = columns.half_last_digit(quote), columns.half_last_digit(base)
    slack = 1 + 2.0**-50
    with np.errstate(invalid="ignore"):
        within = (lows * (bases - half_base) <= (quotes + half_quote) * slack) & (
            (quotes - half_quote) <= highs * (bases + half_base) * slack
        )
    unknown = np.isnan(quotes) | np.isnan(bases) | np.isnan(lows) | np.isnan(highs)
    expected = [None if none else bool(verdict) for none, verdict in zip(unknown, within, strict=True)]
    assert columns.is_mean_price_within(quote, base, low, high).to_pylist() == expected


def spot_flows_of(market: Path) -> pa.Table:
    """The recorded klines as the loader reads them: amounts rounded once, half to even, to 12 decimals."""
    bars = pq.read_table(market / "binance" / "spot" / "klines_1d.parquet").combine_chunks()

    def amount(name: str) -> pa.ChunkedArray:
        exact = pc.cast(bars[name], pa.decimal128(38, 16))
        return pc.cast(pc.round(exact, 12, "half_to_even"), pa.decimal128(38, 12))

    count = bars.num_rows
    same = {"exchange": "binance", "source_kind": "klines", "body_sha256": SHA}
    days = pc.cast(pc.divide(bars["open_time"], 86_400_000), pa.int32())
    values = {
        "symbol": bars["symbol"],
        "utc_date": pc.cast(days, pa.date32()),
        **{f"{name}_price": pc.cast(bars[name], pa.float64()) for name in ("open", "high", "low", "close")},
        **{f"{name}_price_text": bars[name] for name in ("open", "high", "low", "close")},
        "volume_base": amount("volume"),
        "volume_quote": amount("quote_volume"),
        "taker_buy_base": amount("taker_buy_base"),
        "taker_buy_quote": amount("taker_buy_quote"),
        "trade_count": bars["trades"],
        **{name: pa.repeat(value, count) for name, value in same.items()},
    }
    schema = RECORDS["spot_flows"].schema
    return pa.table({name: pc.cast(values[name], schema.field(name).type) for name in schema.names})


@pytest.mark.recorded
def test_one_real_row_in_434095_fails(validator: Validator, market: Path):
    flows = spot_flows_of(market)
    assert flows.num_rows == 434_095
    report = validator.check("raw_spot_flows", flows, (date(2017, 8, 17), date(2026, 1, 1)))
    assert len(report.refused_rows) == 1 and not report.refuses_window
    (row,) = report.refused_rows
    bad = flows.slice(row, 1).to_pylist()[0]
    assert (bad["symbol"], bad["utc_date"]) == ("AUDUSDT", date(2020, 11, 13))
    assert blamed(report, row) == {"is_high_highest", "is_mean_price_within_range", "is_taker_price_within_range"}


JUDGED = Suite(
    "judged",
    "A column of each kind, each expectation that suites use, and one that asks how the rows compare.",
    ("amount", "price", "count", "day", "word", "is_so"),
    (),
    (
        *(not_null(name, "filled") for name in ("amount", "price", "count", "day", "word", "is_so")),
        between("amount", 0, 100, "a decimal", above=True),
        between("price", -1, 1e12, "a float"),
        between("count", 0, None, "an integer"),
        one_of("count", [0, 1, 2, 3], "an integer out of a set"),
        sane_date("day"),
        unlike("word", UNSAFE_TEXT, "text"),
        one_of("word", ["klines", "trades"], "text out of a set"),
        holds("is_so", (), "a comparison"),
        Expect("ExpectColumnValuesToBeUnique", {"column": "count"}, "told once"),
    ),
)
KINDS = {
    "amount": (pa.decimal128(38, 12), st.decimals(-200, 200, places=12)),
    "price": (pa.float64(), st.floats()),
    "count": (pa.int64(), st.integers(-1, 4)),
    "day": (pa.date32(), st.dates()),
    "word": (pa.string(), st.sampled_from(["klines", "trades", "a b", "x"])),
    "is_so": (pa.bool_(), st.booleans()),
}


@st.composite
def judged_tables(draw: st.DrawFn) -> pa.Table:
    count = draw(st.integers(1, 6))
    return pa.table(
        {
            name: pa.array(draw(st.lists(st.none() | values, min_size=count, max_size=count)), kind)
            for name, (kind, values) in KINDS.items()
        }
    )


@given(judged_tables())
@settings(max_examples=20, deadline=None)
def test_a_large_table_is_judged_by_its_values_as_by_its_rows(table: pa.Table):
    def told() -> list[tuple]:
        return [
            (each.expectation, each.column, each.rows, each.unexpected_count) for each in check(JUDGED, table).failures
        ]

    by_rows = told()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validate, "SMALL", 0)
        assert told() == by_rows


def test_great_expectations_is_left_as_it_was_and_without_charts_and_statistics(root: Path):
    """What is taken out to save time: no suite asks for charts or statistics, both are there for who asks, and nobody
    else sees the replaced property."""
    seen = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import sys, pyarrow as pa\n"
            "from orchestration.expectations.registry import SUITES\n"
            "from orchestration.expectations.validate import check, warm_up\n"
            "warm_up()\n"
            "from great_expectations.expectations.expectation import Expectation\n"
            "before = Expectation.configuration\n"
            "table = pa.table({'mart_name': ['a'], 'row_count': [2], 'distinct_count': [1]})\n"
            "report = check(SUITES['quality_dq_grains'], table)\n"
            "late = ['scipy.stats._stats_py', 'altair.vegalite']\n"
            "print(report.passed, Expectation.configuration is before, *(each in sys.modules for each in late))\n"
            "import altair, scipy.stats._distn_infrastructure\n"
            "from scipy.stats import norm\n"
            "from great_expectations.expectations.core import expect_column_kl_divergence_to_be_less_than as asks\n"
            "print(asks.alt.Chart is altair.Chart, norm.cdf(0), scipy.stats.norm is norm)",
        ],
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert seen.stdout.split() == ["False", "True", "False", "False", "True", "0.5", "True"], seen.stderr
