"""Which server answers for which host, and what an upstream is called.

A server's module is imported, and the server made, when one of its hosts is first asked: the sandbox starts
with every run, and most runs ask few upstreams. A new upstream is its module and one line here; an upstream
with servers of its own for its archive and its API has a line for each, under one name.
"""

from dataclasses import dataclass
from importlib import import_module

from .market import Market
from .wire import Server


@dataclass(frozen=True)
class Entry:
    """`server` is `module:class` in this package; the class is called with (market, is_limited)."""

    upstream: str
    hosts: tuple[str, ...]
    server: str

    def make(self, market: Market, is_limited: bool) -> Server:
        module, _, name = self.server.partition(":")
        return getattr(import_module(f".{module}", __package__), name)(market, is_limited)


ENTRIES = (
    Entry(
        "binance",
        (
            "data-api.binance.vision",
            "api.binance.com",
            "api-gcp.binance.com",
            "api1.binance.com",
            "api2.binance.com",
            "api3.binance.com",
            "api4.binance.com",
        ),
        "binance:Binance",
    ),
    Entry("binance_us", ("api.binance.us",), "binance_us:server"),
    Entry("binance_usdm", ("fapi.binance.com",), "binance_futures:server"),
    Entry("okx", ("www.okx.com", "us.okx.com", "eea.okx.com"), "okx_rest:Okx"),
    Entry("bybit", ("api.bybit.com", "api.bytick.com"), "bybit_rest:Bybit"),
    Entry("kucoin", ("api.kucoin.com",), "kucoin_rest:Kucoin"),
    Entry("gate", ("api.gateio.ws",), "gate_rest:Gate"),
    Entry("htx", ("api.huobi.pro", "huobi-service-data.s3.amazonaws.com"), "htx:Htx"),
    Entry("bitget", ("api.bitget.com", "www.bitget.com", "img.bitgetimg.com"), "bitget:Bitget"),
    Entry("coinbase", ("api.exchange.coinbase.com",), "coinbase:Coinbase"),
    Entry("kraken", ("api.kraken.com",), "kraken:Kraken"),
    Entry("upbit", ("api.upbit.com",), "upbit:Upbit"),
    Entry("bitstamp", ("www.bitstamp.net",), "bitstamp:Bitstamp"),
    Entry("crypto_com", ("api.crypto.com",), "crypto_com:CryptoCom"),
    Entry("poloniex", ("api.poloniex.com",), "poloniex:Poloniex"),
    Entry("coinpaprika", ("api.coinpaprika.com",), "coinpaprika:CoinPaprika"),
    Entry("defillama", ("stablecoins.llama.fi",), "static:StaticBodies"),
    Entry("defillama_api", ("api.llama.fi",), "static:StaticBodies"),
    Entry("coinmetrics", ("community-api.coinmetrics.io",), "coinmetrics:CoinMetrics"),
    Entry("coingecko", ("api.coingecko.com",), "coingecko:CoinGecko"),
    Entry("fred", ("fred.stlouisfed.org",), "static:StaticBodies"),
    Entry("alternative_me", ("api.alternative.me",), "static:StaticBodies"),
    Entry("binance", ("data.binance.vision",), "vision:Vision"),
    Entry("okx", ("static.okx.com",), "okx_archive:OkxArchive"),
    Entry("bybit", ("public.bybit.com",), "bybit:Bybit"),
    Entry("kucoin", ("historical-data.kucoin.com",), "kucoin:KuCoin"),
    Entry("gate", ("download.gatedata.org",), "gate:Gate"),
    Entry("s3", ("s3-ap-northeast-1.amazonaws.com", "s3.ap-southeast-1.amazonaws.com"), "s3:S3"),
)
BY_HOST = {host: entry for entry in ENTRIES for host in entry.hosts}
# name of the upstream -> all its hosts
UPSTREAMS: dict[str, tuple[str, ...]] = {}
for _entry in ENTRIES:
    UPSTREAMS[_entry.upstream] = UPSTREAMS.get(_entry.upstream, ()) + _entry.hosts
