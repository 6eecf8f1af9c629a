"""Schemas of the raw tables: grain, unit and meaning of every column.

The record is the schema: sources fill these tables, the warehouse creates them, dbt reads them.
Amounts are exact decimals with 12 places (`amount`), days are UTC calendar days, times are naive
UTC. NULL means that the upstream does not report the value; 0 means that it reported zero.
"""

from dataclasses import dataclass, field

import pyarrow as pa

AMOUNT = pa.decimal128(38, 12)


def _field(name: str, kind: pa.DataType, description: str, nullable: bool) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"description": description})


def text(description: str, nullable: bool = False):
    return pa.string(), description, nullable


def day(description: str, nullable: bool = False):
    return pa.date32(), description, nullable


def amount(description: str, nullable: bool = True):
    return AMOUNT, description, nullable


def price(description: str, nullable: bool = True):
    return pa.float64(), description, nullable


def statistic(description: str, nullable: bool = True):
    return pa.float64(), description, nullable


def moment(description: str, nullable: bool = False):
    return pa.timestamp("us"), description, nullable


def count(description: str, nullable: bool = True):
    return pa.int64(), description, nullable


def flag(description: str, nullable: bool = False):
    return pa.bool_(), description, nullable


@dataclass(frozen=True)
class Record:
    """One raw table. `grain`: columns that name a row. `scope`: the columns of the grain that say
    whose rows one answer replaces. `date`: the column that a window cuts, or None for a table
    whose scope is replaced whole."""

    table: str
    description: str
    grain: tuple[str, ...]
    scope: tuple[str, ...]
    date: str | None
    schema: pa.Schema = field(repr=False)

    @property
    def values(self) -> tuple[str, ...]:
        """The columns whose change makes a row a changed row (provenance is not a value)."""
        return tuple(n for n in self.schema.names if n not in self.grain and n != "body_sha256")


RECORDS: dict[str, Record] = {}


def record(table: str, description: str, grain: str, scope: str, date: str | None, columns: dict) -> Record:
    columns = columns | {"body_sha256": text("the archived body that the row was read from")}
    schema = pa.schema([_field(name, *kind) for name, kind in columns.items()])
    RECORDS[table] = Record(table, description, tuple(grain.split()), tuple(scope.split()), date, schema)
    return RECORDS[table]


def columns_of(like: Record) -> dict:
    """The columns of another record, for a table of the same kind."""
    described = {f.name: (f.type, (f.metadata or {})[b"description"].decode(), f.nullable) for f in like.schema}
    return {name: kind for name, kind in described.items() if name != "body_sha256"}


SPOT_FLOWS = record(
    "spot_flows",
    "One row per exchange, symbol and UTC day. Spot volume and the part of it that takers bought.",
    grain="exchange symbol utc_date",
    scope="exchange symbol",
    date="utc_date",
    columns={
        "exchange": text("key of the exchange"),
        "symbol": text("as the exchange spells it"),
        "utc_date": day("UTC day"),
        "open_price": price("first price, in quote asset per base asset"),
        "high_price": price("highest price"),
        "low_price": price("lowest price"),
        "close_price": price("last price"),
        "open_price_text": text("as received", nullable=True),
        "high_price_text": text("as received", nullable=True),
        "low_price_text": text("as received", nullable=True),
        "close_price_text": text("as received", nullable=True),
        "volume_base": amount("both sides, in base asset"),
        "volume_quote": amount("both sides, in quote asset", nullable=False),
        "taker_buy_base": amount("bought by takers, in base asset; NULL: not reported"),
        "taker_buy_quote": amount("bought by takers, in quote asset; NULL: not reported"),
        "trade_count": count("trades of the day"),
        "source_kind": text("klines, trades or archive: what the row was read from"),
    },
)

SPOT_SYMBOLS = record(
    "spot_symbols",
    "One row per exchange and symbol ever seen. What is traded against what.",
    grain="exchange symbol",
    scope="exchange",
    date=None,
    columns={
        "exchange": text("key of the exchange"),
        "symbol": text("as the exchange spells it"),
        "base_asset": text("upper case, as the exchange spells it"),
        "quote_asset": text("upper case, as the exchange spells it"),
        "status": text("as the exchange spells it (Binance: TRADING, HALT, BREAK …)"),
        "is_trading": flag("true where the exchange says that the symbol trades now"),
        "is_listed": flag("false where the newest listing no longer names the symbol"),
    },
)

SPOT_TRADE_SIZES = record(
    "spot_trade_sizes",
    "One row per exchange, symbol and UTC day read from trades. Count and amount by the size of the trade in dollars.",
    grain="exchange symbol utc_date",
    scope="exchange symbol",
    date="utc_date",
    columns={
        "exchange": text("key of the exchange"),
        "symbol": text("as the exchange spells it"),
        "utc_date": day("UTC day"),
        **{
            f"{bucket}_{measure}": kind
            for bucket, words in (
                ("below_1k", "below 1,000 dollars"),
                ("from_1k", "of 1,000 to 10,000 dollars"),
                ("from_10k", "of 10,000 to 100,000 dollars"),
                ("from_100k", "of 100,000 dollars and more"),
            )
            for measure, kind in (
                ("count", count(f"trades {words}; NULL: the quote asset is no dollar")),
                ("volume_quote", amount(f"both sides of trades {words}, in quote asset")),
                ("taker_buy_quote", amount(f"bought by takers in trades {words}, in quote asset")),
            )
        },
    },
)

SCREENED = (
    "sampled_count",
    *(f"digit_{digit}_count" for digit in range(1, 10)),
    "round_count",
    "twin_count",
    "crossed_twin_count",
)
"""counts of SPOT_TRADE_SCREENS, in the order of trade_sums.SCREENS"""

SPOT_TRADE_SCREENS = record(
    "spot_trade_screens",
    "One row per exchange, symbol and UTC day read from trades. Counts that screens for wash trades are made of, over "
    "an equally spaced sample of them.",
    grain="exchange symbol utc_date",
    scope="exchange symbol",
    date="utc_date",
    columns={
        "exchange": text("key of the exchange"),
        "symbol": text("as the exchange spells it"),
        "utc_date": day("UTC day"),
        "sampled_count": count("trades of the sample"),
        **{
            f"digit_{digit}_count": count(f"of them with {digit} as the first digit of the size")
            for digit in range(1, 10)
        },
        "round_count": count("of them with a size of 1, 2 or 5 and zeros, in base asset"),
        "twin_count": count("of them that the next trade repeats: same price, same size but for 1 %"),
        "crossed_twin_count": count("of these, those that takers of the other side repeat"),
    },
)

ARCHIVE_FLOWS = record(
    "archive_flows",
    "One row per exchange, symbol, UTC day and kind of file. What the files of an exchange say of days whose flows "
    "came from its API: a sample, to compare.",
    grain="exchange symbol utc_date file_grain",
    scope="exchange symbol file_grain",
    date="utc_date",
    columns=columns_of(SPOT_FLOWS) | {"file_grain": text("monthly or daily: the kind of file the row was read from")},
)

TAKER_ESTIMATES = record(
    "taker_estimates",
    "One row per exchange, asset and UTC day. What the exchange says that takers bought and sold, before its files "
    "of trades are there; against all quote assets together.",
    grain="exchange asset utc_date",
    scope="exchange asset",
    date="utc_date",
    columns={
        "exchange": text("key of the exchange"),
        "asset": text("upper case, as the exchange spells it"),
        "utc_date": day("UTC day, of which all 24 hours were told"),
        "taker_buy_base": amount("bought by takers, in the asset itself", nullable=False),
        "taker_sell_base": amount("sold by takers, in the asset itself", nullable=False),
    },
)

PERPETUAL_SYMBOLS = record(
    "perpetual_symbols",
    "One row per exchange and contract ever seen. What a perpetual, or a future with a date, is a contract on.",
    grain="exchange symbol",
    scope="exchange",
    date=None,
    columns=columns_of(SPOT_SYMBOLS)
    | {
        "contract_type": text(
            "as the exchange spells it (Binance: PERPETUAL, CURRENT_QUARTER …); NULL: not told", nullable=True
        ),
    },
)

PERPETUAL_FLOWS = record(
    "perpetual_flows",
    "One row per exchange, symbol and UTC day. Volume of a perpetual and the part of it that takers bought.",
    grain="exchange symbol utc_date",
    scope="exchange symbol",
    date="utc_date",
    columns=columns_of(SPOT_FLOWS),
)

FUNDING_RATES = record(
    "funding_rates",
    "One row per exchange, symbol, UTC day and moment of payment. What longs paid to shorts.",
    grain="exchange symbol utc_date funded_at",
    scope="exchange symbol",
    date="utc_date",
    columns={
        "exchange": text("key of the exchange"),
        "symbol": text("as the exchange spells it"),
        "utc_date": day("UTC day of funded_at"),
        "funded_at": moment("when it was paid (UTC), as received: some milliseconds after the hour"),
        "funding_ratio": amount("share of a position's value; below 0: shorts paid to longs", nullable=False),
        "mark_price": price("price that the position was valued at; NULL: not reported"),
    },
)

OPEN_INTEREST = record(
    "open_interest",
    "One row per exchange, symbol and UTC day. Contracts open at the end of the day; perpetual_metrics reaches further "
    "back.",
    grain="exchange symbol utc_date",
    scope="exchange symbol",
    date="utc_date",
    columns={
        "exchange": text("key of the exchange"),
        "symbol": text("as the exchange spells it"),
        "utc_date": day("UTC day that ends with this open interest"),
        "open_interest_base": amount("contracts, in base asset", nullable=False),
        "open_interest_quote": amount("their value, in quote asset"),
    },
)

PERPETUAL_METRICS = record(
    "perpetual_metrics",
    "One row per exchange, symbol and UTC day. Open interest at the end of the day and mean ratios of longs to shorts.",
    grain="exchange symbol utc_date",
    scope="exchange symbol",
    date="utc_date",
    columns={
        "exchange": text("key of the exchange"),
        "symbol": text("as the exchange spells it"),
        "utc_date": day("UTC day"),
        "open_interest_base": amount("contracts in the last row that tells them, in base asset; NULL: none does"),
        "open_interest_quote": amount("their value in the same row, in quote asset; NULL: not reported"),
        "last_row_at": moment("moment of that row, else of the last row of all (UTC)"),
        "mean_top_account_long_short_ratio": statistic(
            "accounts of top traders that are long, by those that are short (0 and up); mean of the rows that tell it"
        ),
        "mean_top_position_long_short_ratio": statistic("positions of top traders, long by short; mean as above"),
        "mean_account_long_short_ratio": statistic("accounts of all traders, long by short; mean as above"),
        "mean_taker_buy_sell_ratio": statistic("what takers bought by what they sold; mean as above"),
        "row_count": count("rows of the day; one every five minutes makes 288", nullable=False),
    },
)

PERPETUAL_DEPTH = record(
    "perpetual_depth",
    "One row per exchange, symbol and UTC day. Median of what rests in the order book near the price.",
    grain="exchange symbol utc_date",
    scope="exchange symbol",
    date="utc_date",
    columns={
        "exchange": text("key of the exchange"),
        "symbol": text("as the exchange spells it"),
        "utc_date": day("UTC day"),
        **{
            f"{side}_within_{percent}_percent_quote": amount(
                f"{side}s within {percent} % of the price, in quote asset; median of the snapshots that tell it, NULL: "
                "none does"
            )
            for percent in (1, 2, 5)
            for side in ("bid", "ask")
        },
        "snapshot_count": count("looks at the book on this day", nullable=False),
    },
)

STABLECOINS = record(
    "stablecoins",
    "One row per stablecoin. The newest list of DefiLlama.",
    grain="stablecoin_id",
    scope="",
    date=None,
    columns={
        "stablecoin_id": text("DefiLlama's id"),
        "symbol": text("ticker"),
        "name": text("name"),
        "gecko_id": text("CoinGecko's id", nullable=True),
        "peg_type": text("peggedUSD, peggedEUR …"),
        "peg_mechanism": text("fiat-backed, crypto-backed, algorithmic", nullable=True),
        "circulating_peg": amount("newest supply, in units of the peg"),
        "price_usd": price("newest price; NULL: not reported"),
        "is_followed": flag("true where its history is asked for"),
    },
)

STABLECOIN_TOTALS = record(
    "stablecoin_totals",
    "One row per peg type and UTC day. Supply of all stablecoins that DefiLlama follows.",
    grain="peg_type utc_date",
    scope="",
    date="utc_date",
    columns={
        "peg_type": text("peggedUSD, peggedEUR …"),
        "utc_date": day("UTC day"),
        "circulating_peg": amount("in units of the peg"),
        "circulating_usd": amount("in US dollars, as DefiLlama converts"),
    },
)

STABLECOIN_SUPPLIES = record(
    "stablecoin_supplies",
    "One row per stablecoin and UTC day. Supply over all chains; the last record of the day.",
    grain="stablecoin_id utc_date",
    scope="stablecoin_id",
    date="utc_date",
    columns={
        "stablecoin_id": text("DefiLlama's id"),
        "symbol": text("ticker"),
        "peg_type": text("peggedUSD, peggedEUR …"),
        "utc_date": day("UTC day"),
        "circulating_peg": amount("in units of the peg"),
    },
)

STABLECOIN_CHAIN_SUPPLIES = record(
    "stablecoin_chain_supplies",
    "One row per stablecoin, chain and UTC day. Supply on one chain; the last record of the day.",
    grain="stablecoin_id chain utc_date",
    scope="stablecoin_id",
    date="utc_date",
    columns={
        "stablecoin_id": text("DefiLlama's id"),
        "chain": text("as DefiLlama spells it"),
        "symbol": text("ticker"),
        "peg_type": text("peggedUSD, peggedEUR …"),
        "utc_date": day("UTC day"),
        "circulating_peg": amount("in units of the peg"),
    },
)

ASSET_CAPS = record(
    "asset_caps",
    "One row per upstream, asset and UTC day. Market capitalisation as the upstream reports it.",
    grain="upstream asset utc_date",
    scope="upstream",
    date="utc_date",
    columns={
        "upstream": text("coinmetrics"),
        "asset": text("lower case, as the upstream spells it"),
        "utc_date": day("UTC day"),
        "cap_usd": amount("market capitalisation; NULL: not reported"),
        "price_usd": price("reference rate; NULL: not reported"),
    },
)

COIN_SNAPSHOTS = record(
    "coin_snapshots",
    "One row per coin and UTC day of the snapshot. Current cap and supply as CoinGecko reports them.",
    grain="coin_id utc_date",
    scope="",
    date="utc_date",
    columns={
        "coin_id": text("CoinGecko's id"),
        "symbol": text("upper case ticker; not unique"),
        "name": text("name"),
        "utc_date": day("UTC day on which the snapshot was taken"),
        "rank_count": count("rank by market capitalisation"),
        "price_usd": price("current price"),
        "cap_usd": amount("current market capitalisation"),
        "circulating_supply_base": amount("coins in circulation"),
    },
)

MACRO_OBSERVATIONS = record(
    "macro_observations",
    "One row per series and observation day. FRED series and the Fear & Greed index (FNG).",
    grain="series_id utc_date",
    scope="series_id",
    date="utc_date",
    columns={
        "series_id": text("FRED's id, or FNG"),
        "utc_date": day("first day of the period observed"),
        "upstream": text("fred or alternative_me"),
        "value": amount("in the unit of the series (see the seed macro_series); NULL: published as missing"),
    },
)

CHAIN_TVL = record(
    "chain_tvl",
    "One row per chain and UTC day. Value locked in the protocols of a chain, as DefiLlama counts it, without liquid "
    "staking and what would count twice.",
    grain="chain utc_date",
    scope="chain",
    date="utc_date",
    columns={
        "chain": text("as it is asked for; all: the total that DefiLlama gives for every chain together"),
        "utc_date": day("UTC day"),
        "tvl_usd": amount("in US dollars, at the start of the day", nullable=False),
    },
)

DEX_VOLUMES = record(
    "dex_volumes",
    "One row per chain and UTC day. Spot volume of the decentralised exchanges on a chain that DefiLlama follows.",
    grain="chain utc_date",
    scope="chain",
    date="utc_date",
    columns={
        "chain": text("as it is asked for; all: the total that DefiLlama gives for every chain together"),
        "utc_date": day("UTC day"),
        "volume_usd": amount("in US dollars", nullable=False),
    },
)

ORDER_BOOKS = record(
    "order_books",
    "One row per exchange, symbol, UTC day and moment of a look at the order book. What rested within a distance of "
    "the mid price; forward only, no look replaces another.",
    grain="exchange symbol utc_date snapshot_at",
    scope="exchange symbol",
    date="utc_date",
    columns={
        "exchange": text("key of the exchange"),
        "symbol": text("as the exchange spells it"),
        "utc_date": day("UTC day of snapshot_at"),
        "snapshot_at": moment("by the clock of the exchange (UTC)"),
        "mid_price": price("half of best bid and best ask together, in quote asset"),
        **{
            f"{side}_within_{percent}_percent_quote": amount(
                f"{side}s within {percent} % of mid_price, in quote asset; NULL: the answer ends before that distance"
            )
            for percent in (1, 2, 5)
            for side in ("bid", "ask")
        },
        "bid_level_count": count("price levels of the answer on the side of the bids", nullable=False),
        "ask_level_count": count("price levels of the answer on the side of the asks", nullable=False),
    },
)

IMPORTED_CAPS = record(
    "imported_caps",
    "One row per asset and UTC day of a snapshot. Market capitalisations that a user imported from a file.",
    grain="asset utc_date",
    scope="",
    date="utc_date",
    columns={
        "asset": text("upper case ticker; coins of one ticker on one day are added"),
        "utc_date": day("UTC day of the snapshot"),
        "cap_usd": amount("market capitalisation in US dollars", nullable=False),
        "coin_count": count("lines of the file in it, more than one where coins share a ticker", nullable=False),
    },
)

IMPORTED_ETF_FLOWS = record(
    "imported_etf_flows",
    "One row per UTC day. Net flow into exchange-traded funds that a user imported from a file.",
    grain="utc_date",
    scope="",
    date="utc_date",
    columns={
        "utc_date": day("trading day that the file names"),
        "net_flow_usd": amount("creations less redemptions, in US dollars; NULL: the file has a dash or nothing there"),
    },
)

LOOKS = frozenset({"coin_snapshots", "order_books"})
"""Tables of what an upstream says of now, not of closed days: their rows may be dated after a run's last day."""
