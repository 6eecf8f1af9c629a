"""The fetched window of `raw.spot_flows`: order flow that can have happened."""

from typing import TYPE_CHECKING

from orchestration.expectations.suite import UNSAFE_KEY, UNSAFE_TEXT, between, holds, one_of, raw_suite, unlike
from orchestration.records import SPOT_FLOWS

if TYPE_CHECKING:
    import pyarrow as pa

PRICES = ("open_price", "high_price", "low_price", "close_price")
MOST_PRICE = 1e12
MOST_VOLUME = 1e18


def prepare(table: "pa.Table") -> "pa.Table":
    import pyarrow.compute as pc

    from orchestration.expectations import columns

    opened, high, low, closed = (table[name] for name in PRICES)
    quote, base = table["volume_quote"], table["volume_base"]
    return columns.with_columns(
        table,
        is_price_finite=columns.all_finite(opened, high, low, closed),
        is_high_highest=pc.greater_equal(high, pc.max_element_wise(opened, closed, low)),
        is_low_lowest=pc.less_equal(low, pc.min_element_wise(opened, closed)),
        is_taker_quote_within_volume=columns.is_at_most(table["taker_buy_quote"], quote),
        is_taker_base_within_volume=columns.is_at_most(table["taker_buy_base"], base),
        is_mean_price_within_range=columns.is_mean_price_within(quote, base, low, high),
        is_taker_price_within_range=columns.is_mean_price_within(
            table["taker_buy_quote"], table["taker_buy_base"], low, high
        ),
        is_traded_where_counted=columns.same_zero(table["trade_count"], quote),
    )


RULES = (
    unlike("exchange", UNSAFE_KEY, "Keys of exchanges are lower case words."),
    unlike("symbol", UNSAFE_TEXT, "A symbol ends up in file names, URLs and SQL."),
    one_of("source_kind", ("klines", "trades", "archive"), "What a row was read from decides how it is compared."),
    holds("is_price_finite", PRICES, "NaN and Infinity are not prices.", check="R4"),
    *(
        between(
            name, 0, MOST_PRICE, "A price is above 0; above 1e12 it is another field or unit.", above=True, check="R4"
        )
        for name in PRICES
    ),
    holds("is_high_highest", PRICES, "The highest price is not below the first, last or lowest.", check="R4"),
    holds("is_low_lowest", PRICES, "The lowest price is not above the first or last.", check="R4"),
    between("volume_quote", 0, MOST_VOLUME, "Volume is not negative; above 1e18 it is another unit.", check="R4"),
    between("volume_base", 0, None, "Volume is not negative.", check="R4"),
    between("taker_buy_quote", 0, None, "Takers cannot buy less than nothing.", check="R4"),
    between("taker_buy_base", 0, None, "Takers cannot buy less than nothing.", check="R4"),
    holds(
        "is_taker_quote_within_volume",
        ("taker_buy_quote", "volume_quote"),
        "Takers cannot buy more than was traded.",
        check="R4",
    ),
    holds(
        "is_taker_base_within_volume",
        ("taker_buy_base", "volume_base"),
        "Takers cannot buy more than was traded.",
        check="R4",
    ),
    holds(
        "is_mean_price_within_range",
        ("volume_quote", "volume_base", "low_price", "high_price"),
        "The mean price paid, quote volume by base volume, lies between the lowest and the highest price; "
        "granted is half a unit of the last decimal that the volumes are written with.",
        check="R4",
    ),
    holds(
        "is_taker_price_within_range",
        ("taker_buy_quote", "taker_buy_base", "low_price", "high_price"),
        "The mean price that takers bought at lies between the lowest and the highest price: else base and quote were "
        "mistaken for each other.",
        check="R4",
    ),
    between("trade_count", 0, None, "A count is not negative.", check="R4"),
    holds(
        "is_traded_where_counted", ("trade_count", "volume_quote"), "No trades and no volume go together.", check="R4"
    ),
)

SUITE = raw_suite(SPOT_FLOWS, prepare, *RULES)
