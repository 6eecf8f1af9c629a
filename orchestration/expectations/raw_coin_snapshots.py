"""The fetched day of `raw.coin_snapshots`: CoinGecko's current caps and supplies."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import BLANK, UNSAFE_TEXT, WARNING, between, holds, raw_suite, row_count, unlike
from orchestration.records import COIN_SNAPSHOTS

if TYPE_CHECKING:
    import pyarrow as pa

MOST_DEVIATION = 0.05


def prepare(table: "pa.Table") -> "pa.Table":
    import numpy as np
    import pyarrow as pa

    from orchestration.expectations import columns

    cap, supply, price = (columns.floats(table[name]) for name in ("cap_usd", "circulating_supply_base", "price_usd"))
    with np.errstate(invalid="ignore", over="ignore"):
        known = (cap > 0) & (supply > 0) & (price > 0)
        agrees = np.abs(supply * price - cap) <= MOST_DEVIATION * cap
    return columns.with_columns(
        table,
        is_price_finite=columns.all_finite(table["price_usd"]),
        is_cap_price_times_supply=pa.array(agrees, mask=~known),
    )


SUITE = raw_suite(
    COIN_SNAPSHOTS,
    prepare,
    row_count("A list without a coin is no answer.", least=1),
    unlike("coin_id", UNSAFE_TEXT, "The id is put into a URL."),
    unlike("symbol", BLANK, "A coin has a ticker."),
    between("rank_count", 1, None, "Ranks start at 1."),
    holds("is_price_finite", ("price_usd",), "NaN and Infinity are not prices."),
    between("price_usd", 0, 1e12, "A price is not negative; above 1e12 it is another field or unit."),
    between("cap_usd", 0, 1e14, "A cap is not negative (CoinGecko writes 0 for unknown); 1e14 is another unit."),
    between("circulating_supply_base", 0, None, "A supply is not negative."),
    holds(
        "is_cap_price_times_supply",
        ("symbol", "cap_usd", "price_usd", "circulating_supply_base"),
        "The cap is price by supply within 5 %: estimates are made this way.",
        severity=WARNING,
        check="R21",
    ),
)
