"""The fetched `raw.stablecoins`: DefiLlama's list."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import BLANK, UNSAFE_WORD, WARNING, between, holds, raw_suite, row_count, unlike
from orchestration.records import STABLECOINS

if TYPE_CHECKING:
    import pyarrow as pa

LEAST_PEG, MOST_PEG = 0.97, 1.03


def prepare(table: "pa.Table") -> "pa.Table":
    import pyarrow as pa
    import pyarrow.compute as pc

    from orchestration.expectations import columns

    price = table["price_usd"]
    held = pc.and_(pc.greater_equal(price, LEAST_PEG), pc.less_equal(price, MOST_PEG))
    nothing = pa.scalar(None, pa.bool_())
    return columns.with_columns(
        table,
        is_price_finite=columns.all_finite(price),
        is_dollar_peg_held=pc.if_else(pc.equal(table["peg_type"], "peggedUSD"), held, nothing),
    )


SUITE = raw_suite(
    STABLECOINS,
    prepare,
    row_count("A list without a coin is no answer.", least=1),
    unlike("stablecoin_id", UNSAFE_WORD, "The id is put into a URL."),
    unlike("symbol", BLANK, "A coin has a ticker."),
    unlike("peg_type", UNSAFE_WORD, "The peg is one word; it names a field of the answers."),
    between("circulating_peg", 0, None, "A supply is not negative."),
    holds("is_price_finite", ("price_usd",), "NaN and Infinity are not prices."),
    between("price_usd", 0, None, "A price is not negative."),
    holds(
        "is_dollar_peg_held",
        ("symbol", "price_usd"),
        "Further than 3 % from a dollar: a depeg is news, not bad data.",
        severity=WARNING,
        check="R20",
    ),
)
