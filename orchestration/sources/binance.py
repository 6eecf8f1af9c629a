"""Binance spot: daily klines with taker volume, of every symbol that the exchange lists.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
Field 10 of a kline is the quote volume that *takers bought*: no side needs to be inverted.
Another exchange that speaks this dialect is its own `Host`.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import partial

import pyarrow.compute as pc

from orchestration.sources import binance_second, binance_vision
from orchestration.sources.binance_vision import KLINE
from orchestration.sources.body import Body, Parsed, SourceError, Window, distinct
from orchestration.sources.daily_bars import DAY_MS, Page, flows, ms, read_json, utc
from orchestration.sources.exchange import Exchange, Klines, SecondSource, Spare
from orchestration.sources.http import Host, Http
from orchestration.sources.pairs import listed, split
from orchestration.sources.trades import Reported

HOST = Host(
    name="binance",
    hosts=("data-api.binance.vision", "api.binance.com"),
    per_minute=5000,
    burst=5000,
    connections=4,
    weight_header="X-MBX-USED-WEIGHT-1M",
    # The listing of all symbols is some 15 MB.
    max_bytes=64 * 2**20,
)
PAGE = 1000
# Every asset that was ever a quote on the exchange.
QUOTES = frozenset(
    [
        "USDT", "USDC", "FDUSD", "TUSD", "BUSD", "USDP", "USD1", "USDS", "PAX", "DAI", "VAI", "UST", "USD", "EURI",
        "BTC", "ETH", "BNB", "XRP", "TRX", "DOGE", "DOT", "SOL", "TRY", "EUR", "GBP", "AUD", "RUB", "UAH", "NGN",
        "ZAR", "PLN", "RON", "ARS", "BRL", "JPY", "MXN", "COP", "CZK", "IDRT", "BIDR", "BVND", "BKRW",
    ]
)  # fmt: skip


def fetch_symbols(http: Http, host: Host = HOST) -> Iterator[Body]:
    """Yield `exchangeInfo`: every symbol, the delisted ones (BREAK) too, and the server's time."""
    answer = http.get(host, "/api/v3/exchangeInfo", weight=20)
    yield Body(host.name, "spot_symbols", answer.url, answer.status, answer.fetched_at, answer.content)


def parse_symbols(body: Body) -> Parsed:
    """Rows of records.SPOT_SYMBOLS.

    Raises SourceError where the body is not an exchangeInfo."""
    info = body.data
    try:
        server_time(body)
        return listed(
            body,
            (
                (s["symbol"], s["baseAsset"], s["quoteAsset"], s["status"], s["status"] == "TRADING")
                for s in distinct(info["symbols"])
            ),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SourceError(f"{body.url}: not an exchangeInfo ({error!r})") from None


def server_time(body: Body) -> datetime:
    """The exchange's clock (naive UTC), from the same `exchangeInfo`: bars that close later are open.

    Raises SourceError where the body has none, or one that is not in milliseconds."""
    try:
        return utc(body.data["serverTime"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise SourceError(f"{body.url}: no serverTime in milliseconds ({error!r})", content=body.content) from None


def fetch_flows(http: Http, symbol: str, window: Window, now: datetime, host: Host = HOST) -> Iterator[Body]:
    """Yield the pages that hold the daily bars of `symbol` opened in [start, end), oldest first.

    `now` is the exchange's clock; it goes into the context, so that a bar still open is dropped
    whenever the body is parsed."""
    end_ms = ms(window.end) - 1
    start_ms = ms(window.start)
    while start_ms <= end_ms:
        answer = http.get(
            host,
            "/api/v3/klines",
            {"symbol": symbol, "interval": "1d", "startTime": start_ms, "endTime": end_ms, "limit": PAGE},
            weight=2,
        )
        context = {
            "symbol": symbol,
            "start": window.start.isoformat(),
            "end": window.end.isoformat(),
            "now": now.isoformat(),
        }
        body = Body(host.name, "spot_flows", answer.url, answer.status, answer.fetched_at, answer.content, context)
        yield body
        rows = body.once(_page).rows
        if rows.num_rows < PAGE:
            return
        last_ms = pc.max(rows["opened"]).as_py()
        if last_ms < start_ms:
            raise SourceError(f"{answer.url}: the page ends at {last_ms}, before its start: paging would never end")
        start_ms = last_ms + DAY_MS


def parse_flows(*bodies: Body) -> Parsed:
    """Rows of records.SPOT_FLOWS from pages of klines and from files of the archive, in any mixture. Pure: bytes
    in, tables out. Many bodies at once cost little more than one; see daily_bars.flows for what is left out and
    what is refused. Raises SourceError where a body is neither."""
    return flows(bodies, [body.once(_page) for body in bodies])


def _page(body: Body) -> Page:
    return body.once(binance_vision.page) if "form" in body.context else Page(read_json(body, KLINE))


def pair_of(symbol: str) -> tuple[str, str] | None:
    """Base and quote of a symbol that only the archive knows; listings tell it themselves."""
    return split(symbol, QUOTES)


def exchange(host: Host, spare: Spare | None = None, second: SecondSource | None = None) -> Exchange:
    """An exchange that speaks Binance's dialect at `host`."""
    return Exchange(
        host,
        partial(fetch_symbols, host=host),
        parse_symbols,
        server_time,
        Klines(
            Reported("taker_buy_quote", "field 10 of a kline, 'Taker buy quote asset volume'"),
            partial(fetch_flows, host=host),
            parse_flows,
            page_days=PAGE,
            weight=2,
            spare=spare,
            second=second,
        ),
        pair_of,
    )


EXCHANGE = exchange(HOST, binance_vision.SPARE, binance_second.SECOND)
