"""Who can be asked: the exchanges and the data services, and what understands their bodies.

A new exchange is one file in this folder, one fixture and one line in EXCHANGES.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from orchestration.settings import Settings, SettingsError
from orchestration.sources import (
    alternative_me,
    binance,
    binance_us,
    binance_usdm,
    bitget,
    bitstamp,
    bybit,
    coinbase,
    coingecko,
    coinmetrics,
    crypto_com,
    defillama,
    defillama_api,
    fred,
    gate,
    htx,
    imported,
    kraken,
    kucoin,
    okx,
    order_books,
    poloniex,
    upbit,
)
from orchestration.sources.body import Body, Parsed
from orchestration.sources.exchange import Exchange, Klines
from orchestration.sources.http import Host, Http
from orchestration.sources.reduction import parser


@dataclass(frozen=True)
class Dataset:
    """What a data service answers with its whole history each time.

    `name` is the raw table that it fills first; `scopes` are the things to ask for, one answer each
    (`None`: the ids that the table `scopes_from` follows); `catalog` is the key under which a sandbox
    says which of them it has."""

    name: str
    host: Host
    fetch: Callable[[Http, str], Iterator[Body]]
    parse: Callable[[Body], Parsed]
    scopes: tuple[str, ...] | None = ("",)
    catalog: str | None = None
    noncommercial: bool = False

    @property
    def upstream(self) -> str:
        return self.host.name


EXCHANGES: dict[str, Exchange] = {
    "binance": binance.EXCHANGE,
    "binance_us": binance_us.EXCHANGE,
    "poloniex": poloniex.EXCHANGE,
    "okx": okx.EXCHANGE,
    "bybit": bybit.EXCHANGE,
    "kucoin": kucoin.EXCHANGE,
    "gate": gate.EXCHANGE,
    "htx": htx.EXCHANGE,
    "bitget": bitget.EXCHANGE,
    "coinbase": coinbase.EXCHANGE,
    "kraken": kraken.EXCHANGE,
    "upbit": upbit.EXCHANGE,
    "bitstamp": bitstamp.EXCHANGE,
    "crypto_com": crypto_com.EXCHANGE,
}


DERIVATIVES: dict[str, Exchange] = {"binance_usdm": binance_usdm.EXCHANGE}
"""Where contracts are traded: context of the flows of spot, never a part of them."""


def followed(settings: Settings) -> tuple[str, ...]:
    """The exchanges that a run asks: those named in the settings, else those that cost requests and not gigabytes.
    A recorded market holds what was recorded: Binance. On a generated one nobody waits a minute and a half for
    Kraken's one request a second, unless he names it. Raises SettingsError for a name that nobody has."""
    known = EXCHANGES | DERIVATIVES
    unknown = [name for name in settings.exchanges if name not in known]
    if unknown:
        raise SettingsError(f"unknown exchange {', '.join(unknown)}; known: {', '.join(known)}")
    if settings.exchanges:
        return tuple(dict.fromkeys(name for name in settings.exchanges if name not in DERIVATIVES))
    if settings.source == "recorded":
        return ("binance",)
    slow = {"kraken"} if settings.source == "sandbox" else set()
    return tuple(name for name, exchange in EXCHANGES.items() if exchange.is_default and name not in slow)


def followed_derivatives(settings: Settings) -> tuple[str, ...]:
    """The exchanges of contracts that a run asks: those named in the settings, else all. A generated market makes
    their thousands of small files one by one, and no mart reads them yet: there they are asked for by name."""
    if settings.source == "sandbox":
        return tuple(name for name in DERIVATIVES if name in settings.exchanges)
    return tuple(name for name in DERIVATIVES if not settings.exchanges or name in settings.exchanges)


def served(name: str, catalog: dict | None) -> set[str]:
    """The datasets of an exchange of contracts that there are to ask for, by a sandbox's `catalog` (None: all)."""
    tables = DERIVATIVES[name].tables
    told = tables if catalog is None else catalog["upstreams"].get(name, {}).get("tables", ())
    return {table for table in tables if table in told}


DATASETS: tuple[Dataset, ...] = (
    Dataset("stablecoins", defillama.HOST, defillama.fetch_coins, defillama.parse_coins),
    Dataset("stablecoin_totals", defillama.HOST, defillama.fetch_totals, defillama.parse_totals),
    Dataset(
        "stablecoin_supplies",
        defillama.HOST,
        defillama.fetch_supply,
        defillama.parse_supply,
        scopes=None,
        catalog="stablecoins",
    ),
    Dataset("asset_caps", coinmetrics.HOST, coinmetrics.fetch_caps, coinmetrics.parse_caps, noncommercial=True),
    Dataset("coin_snapshots", coingecko.HOST, coingecko.fetch_snapshot, coingecko.parse_snapshot),
    Dataset(
        "macro_observations", fred.HOST, fred.fetch_series, fred.parse_series, scopes=fred.SERIES, catalog="series"
    ),
    Dataset(
        "macro_observations",
        alternative_me.HOST,
        alternative_me.fetch_index,
        alternative_me.parse_index,
        scopes=(alternative_me.SERIES,),
    ),
    Dataset(
        "chain_tvl",
        defillama_api.HOST,
        defillama_api.fetch_tvl,
        defillama_api.parse_tvl,
        scopes=defillama_api.CHAINS,
        catalog="tvl",
    ),
    Dataset(
        "dex_volumes",
        defillama_api.HOST,
        defillama_api.fetch_volumes,
        defillama_api.parse_volumes,
        scopes=defillama_api.TRADED,
        catalog="dexs",
    ),
    *(
        Dataset("order_books", host, fetch, understand, scopes=symbols, catalog="order_books")
        for host, fetch, understand, symbols in (
            (binance.HOST, order_books.fetch_binance, order_books.parse_binance, order_books.BINANCE),
            (okx.HOST, order_books.fetch_okx, order_books.parse_okx, order_books.OKX),
            (bybit.HOST, order_books.fetch_bybit, order_books.parse_bybit, order_books.BYBIT),
        )
    ),
)

IMPORTS: dict[str, Callable[[Body], Parsed]] = {
    "imported_caps": imported.parse_caps,
    "imported_etf_flows": imported.parse_etf_flows,
}
"""What understands files that a user imports, by the raw table that they fill."""


def datasets_of(settings: Settings) -> list[Dataset]:
    """The datasets that a run asks for: without what is not allowed, and of exchanges only of those that the settings
    name, where they name any."""
    return [
        dataset
        for dataset in DATASETS
        if (settings.allow_noncommercial or not dataset.noncommercial)
        and (dataset.upstream not in EXCHANGES or not settings.exchanges or dataset.upstream in settings.exchanges)
    ]


def parse(bodies: Sequence[Body]) -> list[Parsed]:
    """The rows of bodies of one upstream and dataset, fetched or archived.

    Raises KeyError for bodies that nothing here fetched, SourceError for one that is not understood."""
    upstream, dataset = bodies[0].upstream, bodies[0].dataset
    understand = {(d.upstream, d.name): d.parse for d in DATASETS} | {
        (imported.UPSTREAM, table): understood for table, understood in IMPORTS.items()
    }
    if (upstream, dataset) in understand:
        return [understand[upstream, dataset](body) for body in bodies]
    if upstream in DERIVATIVES:
        exchange = DERIVATIVES[upstream]
        if dataset == exchange.symbols_table:
            return [exchange.parse_symbols(body) for body in bodies]
        parsers = {series.table: series.parse for series in exchange.series}
        return [(parsers | {exchange.flows_table: parse_flows(exchange)})[dataset](*bodies)]
    exchange = EXCHANGES[upstream]
    if dataset == "spot_flows":
        return [parse_flows(exchange)(*bodies)]
    if dataset == "taker_estimates" and exchange.estimates:
        return [Parsed({dataset: exchange.estimates.parse(body)}) for body in bodies]
    if dataset == "archive_flows" and exchange.second:
        return [exchange.second.parse(*bodies)]
    return [{"spot_symbols": exchange.parse_symbols}[dataset](body) for body in bodies]


def parse_flows(exchange: Exchange) -> Callable[..., Parsed]:
    """What understands the archived bodies of an exchange's flows: bars as received, or reduced trades."""
    if isinstance(exchange.flows, Klines):
        return exchange.flows.parse
    assert exchange.pair_of is not None, f"{exchange.host.name}: trades need to know base and quote of a symbol"
    return parser(exchange.pair_of)
