"""Binance spot REST: https://developers.binance.com/docs/binance-spot-api-docs/rest-api (market data part)."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from .amounts import fixed, quotient
from .limits import MinuteWeight
from .market import DAY_MS, Market, Rows, Symbol, Trades, midnight_ms
from .venue import Venue
from .wire import JSON, Reply, Request, absent, json_reply

HOSTS = (
    "data-api.binance.vision",
    "api.binance.com",
    "api-gcp.binance.com",
    "api1.binance.com",
    "api2.binance.com",
    "api3.binance.com",
    "api4.binance.com",
)
INTERVALS = "1s 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 3d 1w 1M"
# Where the weight depends on the question, `weight_of` says more.
WEIGHTS = {
    "/api/v3/ping": 1,
    "/api/v3/time": 1,
    "/api/v3/exchangeInfo": 20,
    "/api/v3/klines": 2,
    "/api/v3/aggTrades": 4,
    "/api/v3/trades": 25,
    "/api/v3/historicalTrades": 25,
    "/api/v3/depth": 5,
    "/api/v3/ticker/24hr": 2,
    "/api/v3/ticker/price": 2,
}
# The host for market data alone does not list it.
NOT_ON_DATA_HOST = "/api/v3/historicalTrades"
DEPTHS = ((100, 5), (500, 25), (1000, 50), (5000, 250))
TRADES = 1000
SYMBOL = r"^[\w\-._&&[^a-z]]{1,50}$"
SYMBOLS = r"^\[(\"[\w\-._&&[^a-z]]{1,50}\"(,\"[\w\-._&&[^a-z]]{1,50}\"){0,}){0,1}\]$"
UNLIMITED = 1_000_000_000


class BinanceError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Listed(Protocol):
    """The pairs and bars of one exchange in Binance's terms; a market is that for Binance itself."""

    def symbols(self) -> Mapping[str, Symbol]: ...

    def intervals(self) -> Mapping[str, Sequence[str] | None]: ...

    def klines(self, symbol: str, interval: str) -> Rows | None: ...


class Binance:
    """All hosts of one exchange count the same weight.

    `exchange` and `listed`: another exchange that speaks the same dialect, and its pairs.
    """

    def __init__(
        self, market: Market, weight_limit: int = 6000, exchange: str = "binance", listed: Listed | None = None
    ) -> None:
        self.market = market
        self.listed: Listed = listed or market
        self.venue = Venue(market, exchange)
        self.weight = MinuteWeight(weight_limit)
        self._info: dict[frozenset[str] | None, bytes] = {}

    def __call__(self, request: Request) -> Reply:
        if request.path not in WEIGHTS or (request.path == NOT_ON_DATA_HOST and request.host == HOSTS[0]):
            return absent(request, sorted(WEIGHTS))
        charge = self.weight.charge(weight_of(request))
        used = str(charge.used)
        headers = (("X-MBX-USED-WEIGHT", used), ("X-MBX-USED-WEIGHT-1M", used))
        if charge.retry_after is not None:
            return self._refused(charge.retry_after, charge.banned_until_ms, headers)
        try:
            reply = self._answer(request)
        except BinanceError as error:
            return json_reply({"code": error.code, "msg": error.message}, 400, headers)
        return Reply(reply.body, reply.status, reply.content_type, headers)

    def _refused(self, retry_after: int, banned_until_ms: int | None, headers) -> Reply:
        headers = (*headers, ("Retry-After", str(retry_after)))
        if banned_until_ms is not None:
            message = f"Way too much request weight used; IP banned until {banned_until_ms}. "
            message += "Please use WebSocket Streams for live updates to avoid bans."
            return json_reply({"code": -1003, "msg": message}, 418, headers)
        message = f"Too much request weight used; current limit is {self.weight.limit} request weight per 1 MINUTE. "
        message += "Please use WebSocket Streams for live updates to avoid polling the API."
        return json_reply({"code": -1003, "msg": message}, 429, headers)

    def _answer(self, request: Request) -> Reply:
        if request.path == "/api/v3/klines":
            return self._klines(request)
        if request.path == "/api/v3/exchangeInfo":
            return self._exchange_info(request)
        if request.path == "/api/v3/aggTrades":
            return self._agg_trades(request)
        if request.path in ("/api/v3/trades", NOT_ON_DATA_HOST):
            return self._trades(request)
        if request.path == "/api/v3/depth":
            return self._depth(request)
        if request.path.startswith("/api/v3/ticker/"):
            return self._tickers(request)
        return json_reply({"serverTime": midnight_ms(self.market.now)} if request.path == "/api/v3/time" else {})

    def _klines(self, request: Request) -> Reply:
        query = request.query
        symbol = legal(mandatory(query, "symbol"))
        interval = mandatory(query, "interval")
        if interval not in INTERVALS.split():
            raise BinanceError(-1120, "Invalid interval.")
        start, end, limit = (integer(query, name) for name in ("startTime", "endTime", "limit"))
        if limit == 0:
            raise BinanceError(-1130, "Data sent for parameter 'limit' is not valid.")
        if query.get("timeZone", "0") not in ("0", "0:00", "00:00"):
            raise BinanceError(-1130, "Data sent for parameter 'timeZone' is not valid.")
        if symbol not in self.listed.symbols():
            raise BinanceError(-1121, "Invalid symbol.")
        rows = self.listed.klines(symbol, interval)
        if rows is None:
            # An empty array would say that nothing was traded.
            served = {name: symbols or "every symbol" for name, symbols in self.listed.intervals().items()}
            return absent(request, served)
        # A limit above 1000 is cut, not refused; both bounds are inclusive and nothing opens at or after now.
        limit = min(limit or 500, 1000)
        now = midnight_ms(self.market.now)
        last = int(np.searchsorted(rows.times, now if end is None else min(end + 1, now)))
        first = 0 if start is None else int(np.searchsorted(rows.times, start))
        if start is None:
            first = max(0, last - limit)
        last = max(first, min(last, first + limit))
        return Reply(b"".join((b"[", rows.slice(first, last), b"]")))

    def _name(self, query: Mapping[str, str]) -> str:
        """`BASE/QUOTE` of the symbol that is asked for."""
        return self._names([legal(mandatory(query, "symbol"))])[0]

    def _names(self, symbols: Sequence[str]) -> list[str]:
        known = self.listed.symbols()
        if not set(symbols) <= known.keys():
            raise BinanceError(-1121, "Invalid symbol.")
        return [f"{known[symbol].base}/{known[symbol].quote}" for symbol in symbols]

    def _has_trades(self, name: str) -> bool:
        return name in self.venue.pairs and self.venue.has_trades(name)

    def _agg_trades(self, request: Request) -> Reply:
        """Every trade is an aggregate of its own. Bounds are inclusive; with `startTime` alone, from there on."""
        query, name = request.query, self._name(request.query)
        if not self._has_trades(name):
            return absent(request, {"trades": []})
        from_id, start, end, limit = (integer(query, key) for key in ("fromId", "startTime", "endTime", "limit"))
        limit = min(limit or 500, TRADES)
        if from_id is not None and (start is not None or end is not None):
            raise BinanceError(-1128, "Combination of optional parameters invalid.")
        until = None if end is None else (end + 1) * 1000
        if from_id is not None:
            found = self.venue.oldest(name, limit, from_id=from_id)
        elif start is not None:
            found = self.venue.oldest(name, limit, from_us=start * 1000, end_us=until)
        else:
            found = self.venue.newest(name, limit, before_us=until)
        price, size = found.price_decimals, found.base_decimals
        return json_reply(
            [
                {
                    "a": trade,
                    "p": fixed(paid, price, 8),
                    "q": fixed(amount, size, 8),
                    "f": trade,
                    "l": trade,
                    "T": time,
                    "m": maker_bought,
                    "M": True,
                }
                for trade, time, paid, amount, maker_bought in rows_of(found)
            ]
        )

    def _trades(self, request: Request) -> Reply:
        """The newest, ascending; /historicalTrades: from an id on."""
        query, name = request.query, self._name(request.query)
        if not self._has_trades(name):
            return absent(request, {"trades": []})
        from_id, limit = integer(query, "fromId"), min(integer(query, "limit") or 500, TRADES)
        if from_id is not None and request.path == NOT_ON_DATA_HOST:
            found = self.venue.oldest(name, limit, from_id=from_id)
        else:
            found = self.venue.newest(name, limit)
        price, size = found.price_decimals, found.base_decimals
        return json_reply(
            [
                {
                    "id": trade,
                    "price": fixed(paid, price, 8),
                    "qty": fixed(amount, size, 8),
                    "quoteQty": fixed(paid * amount, price + size, 8),
                    "time": time,
                    "isBuyerMaker": maker_bought,
                    "isBestMatch": True,
                }
                for trade, time, paid, amount, maker_bought in rows_of(found)
            ]
        )

    def _depth(self, request: Request) -> Reply:
        name = self._name(request.query)
        if not self._has_trades(name):
            return absent(request, {"books": []})
        limit = min(integer(request.query, "limit") or 100, DEPTHS[-1][0])
        listing, book = self.venue.pairs[name], self.venue.book(name, limit)
        sides = {
            side: [[fixed(p, listing.price_decimals, 8), fixed(s, listing.base_decimals, 8)] for p, s in rows]
            for side, rows in (("bids", book.bids), ("asks", book.asks))
        }
        return json_reply({"lastUpdateId": int(self.venue.last_trade(name).ids.sum())} | sides)

    def _tickers(self, request: Request) -> Reply:
        """Of the last 24 hours, that is of the last closed day; of all pairs that trade, or of those asked for."""
        query = request.query
        if "symbol" in query and "symbols" in query:
            raise BinanceError(-1128, "Combination of optional parameters invalid.")
        if "symbol" in query:
            symbols = [legal(mandatory(query, "symbol"))]
        elif "symbols" in query:
            symbols = symbol_list(query["symbols"])
        else:
            symbols = [symbol.symbol for symbol in self.listed.symbols().values() if symbol.is_trading]
        names = self._names(symbols)
        if not all(self._has_trades(name) for name in names[:1]):
            return absent(request, {"tickers": []})
        pairs, is_mini = zip(symbols, names, strict=True), query.get("type") == "MINI"
        if request.path.endswith("price"):
            rows = [self._price(symbol, name) for symbol, name in pairs]
        else:
            rows = [self._ticker(symbol, name, is_mini) for symbol, name in pairs]
        return json_reply(rows[0] if "symbol" in query else rows)

    def _price(self, symbol: str, name: str) -> dict:
        last = self.venue.last_trade(name)
        return {"symbol": symbol, "price": fixed(int(last.price.sum()), last.price_decimals, 8)}

    def _ticker(self, symbol: str, name: str, is_mini: bool) -> dict:
        listing, day, book = self.venue.pairs[name], self.venue.day(name), self.venue.book(name)
        now_ms = self.venue.now_ms
        trades = self.venue.between(name, (now_ms - DAY_MS) * 1000, now_ms * 1000) if day else None
        opened, high, low, close, base, quote = (
            int(getattr(day, column)[0]) if day else 0
            for column in ("open", "high", "low", "close", "volume_base", "volume_quote")
        )
        quote_decimals = day.quote_decimals if day else 8

        def price(units: int) -> str:
            return fixed(units, listing.price_decimals, 8)

        def size(units: int) -> str:
            return fixed(units, listing.base_decimals, 8)

        before = self.venue.day(name, 2)
        has_trades = trades is not None and len(trades.ids) > 0
        ids = (int(trades.ids[0]), int(trades.ids[-1])) if trades is not None and has_trades else (-1, -1)
        last_size = int(trades.size[-1]) if trades is not None and has_trades else 0
        mean = quotient(quote * 10**listing.base_decimals, base * 10**quote_decimals, 8) if base else 0
        percent = quotient(100 * (close - opened), opened, 3) if opened else 0
        ask, bid = next(iter(book.asks), (0, 0)), next(iter(book.bids), (0, 0))
        volumes = {"volume": size(base), "quoteVolume": fixed(quote, quote_decimals, 8)}
        span = {"openTime": now_ms - DAY_MS, "closeTime": now_ms, "firstId": ids[0], "lastId": ids[1]}
        span["count"] = int(day.trades[0]) if day else 0
        prices = {"openPrice": price(opened), "highPrice": price(high), "lowPrice": price(low)}
        if is_mini:
            return {"symbol": symbol, **prices, "lastPrice": price(close), **volumes, **span}
        return {
            "symbol": symbol,
            "priceChange": price(close - opened),
            "priceChangePercent": fixed(percent, 3, 3),
            "weightedAvgPrice": fixed(mean, 8, 8),
            "prevClosePrice": price(int(before.close[0]) if before else opened),
            "lastPrice": price(close),
            "lastQty": size(last_size),
            "bidPrice": price(bid[0]),
            "bidQty": size(bid[1]),
            "askPrice": price(ask[0]),
            "askQty": size(ask[1]),
            **prices,
            **volumes,
            **span,
        }

    def _exchange_info(self, request: Request) -> Reply:
        query, listed = request.query, self.listed.symbols()
        if "symbol" in query and "symbols" in query:
            raise BinanceError(-1128, "Combination of optional parameters invalid.")
        wanted = None
        if "symbol" in query:
            wanted = frozenset([mandatory(query, "symbol")])
        elif "symbols" in query:
            wanted = frozenset(symbol_list(query["symbols"]))
        if wanted is not None and not wanted <= listed.keys():
            raise BinanceError(-1121, "Invalid symbol.")
        status = query.get("symbolStatus")
        if status is not None:
            names = {s.symbol for s in listed.values() if status_of(s) == status}
            wanted = frozenset(names & wanted if wanted is not None else names)
        if wanted not in self._info:
            if len(self._info) > 100:
                self._info.clear()
            chosen = [entry(s) for s in listed.values() if wanted is None or s.symbol in wanted]
            self._info[wanted] = self._info_body(chosen)
        return Reply(self._info[wanted], content_type=JSON)

    def _info_body(self, symbols: list[dict]) -> bytes:
        limit = self.weight.limit or UNLIMITED
        body = {
            "exchangeFilters": [],
            "rateLimits": [
                {"interval": "MINUTE", "intervalNum": 1, "limit": limit, "rateLimitType": "REQUEST_WEIGHT"},
                {"interval": "SECOND", "intervalNum": 10, "limit": 100, "rateLimitType": "ORDERS"},
                {"interval": "DAY", "intervalNum": 1, "limit": 200000, "rateLimitType": "ORDERS"},
                {"interval": "MINUTE", "intervalNum": 5, "limit": 61000, "rateLimitType": "RAW_REQUESTS"},
            ],
            "serverTime": midnight_ms(self.market.now),
            "symbols": symbols,
            "timezone": "UTC",
        }
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def weight_of(request: Request) -> int:
    query = request.query
    if request.path == "/api/v3/depth":
        limit = int(query["limit"]) if query.get("limit", "").isdecimal() else 100
        return next((weight for most, weight in DEPTHS if limit <= most), DEPTHS[-1][1])
    if request.path.startswith("/api/v3/ticker/") and "symbol" not in query:
        asked = query["symbols"].count(",") + 1 if "symbols" in query else 10**6
        if request.path.endswith("price"):
            return 4
        return 2 if asked <= 20 else 40 if asked <= 100 else 80
    return WEIGHTS[request.path]


def legal(symbol: str) -> str:
    if not re.fullmatch(r"[\w\-.&]{1,50}", symbol) or re.search("[a-z]", symbol):
        raise BinanceError(-1100, f"Illegal characters found in parameter 'symbol'; legal range is '{SYMBOL}'.")
    return symbol


def rows_of(trades: Trades) -> list[tuple[int, int, int, int, bool]]:
    """Id, milliseconds, price, size and whether the buyer was the maker, of each trade."""
    columns = (trades.ids, trades.times_us // 1000, trades.price, trades.size, ~trades.labelled_buys)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def mandatory(query, name: str) -> str:
    if not query.get(name):
        message = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
        raise BinanceError(-1102, message)
    return query[name]


def integer(query, name: str) -> int | None:
    if name not in query:
        return None
    if not re.fullmatch("[0-9]{1,20}", query[name]):
        message = f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'."
        raise BinanceError(-1100, message)
    value = int(query[name])
    # Times may come in microseconds: https://developers.binance.com/docs/binance-spot-api-docs (timing parameters).
    return value // 1000 if name != "limit" and value >= 10**14 else value


def symbol_list(text: str) -> list[str]:
    try:
        symbols = json.loads(text)
    except ValueError:
        symbols = None
    if not isinstance(symbols, list) or not all(isinstance(s, str) for s in symbols):
        raise BinanceError(-1100, f"Illegal characters found in parameter 'symbols'; legal range is '{SYMBOLS}'.")
    return symbols


def status_of(symbol: Symbol) -> str:
    return "TRADING" if symbol.is_trading else "BREAK"


def entry(symbol: Symbol) -> dict:
    """One element of `symbols`; fields and order as in the recorded answer of 2025-08."""
    return {
        "allowTrailingStop": True,
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"],
        "amendAllowed": symbol.is_trading,
        "baseAsset": symbol.base,
        "baseAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "cancelReplaceAllowed": True,
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "maxPrice": "1000000.00000000",
                "minPrice": symbol.tick_size,
                "tickSize": symbol.tick_size,
            },
            {
                "filterType": "LOT_SIZE",
                "maxQty": "92141578.00000000",
                "minQty": symbol.step_size,
                "stepSize": symbol.step_size,
            },
            {"filterType": "ICEBERG_PARTS", "limit": 10},
            {
                "filterType": "MARKET_LOT_SIZE",
                "maxQty": "92141578.00000000",
                "minQty": "0.00000000",
                "stepSize": "0.00000000",
            },
            {
                "filterType": "TRAILING_DELTA",
                "maxTrailingAboveDelta": 2000,
                "maxTrailingBelowDelta": 2000,
                "minTrailingAboveDelta": 10,
                "minTrailingBelowDelta": 10,
            },
            {
                "askMultiplierDown": "0.2",
                "askMultiplierUp": "5",
                "avgPriceMins": 5,
                "bidMultiplierDown": "0.2",
                "bidMultiplierUp": "5",
                "filterType": "PERCENT_PRICE_BY_SIDE",
            },
            {
                "applyMaxToMarket": False,
                "applyMinToMarket": True,
                "avgPriceMins": 5,
                "filterType": "NOTIONAL",
                "maxNotional": "9000000.00000000",
                "minNotional": "5.00000000",
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
        ],
        "icebergAllowed": True,
        "isMarginTradingAllowed": "MARGIN" in symbol.permissions,
        "isSpotTradingAllowed": True,
        "ocoAllowed": True,
        "orderTypes": [
            "LIMIT",
            "LIMIT_MAKER",
            "MARKET",
            "STOP_LOSS",
            "STOP_LOSS_LIMIT",
            "TAKE_PROFIT",
            "TAKE_PROFIT_LIMIT",
        ],
        "otoAllowed": symbol.is_trading,
        "permissionSets": [list(symbol.permissions)],
        "permissions": [],
        "quoteAsset": symbol.quote,
        "quoteAssetPrecision": 8,
        "quoteCommissionPrecision": 8,
        "quoteOrderQtyMarketAllowed": True,
        "quotePrecision": 8,
        "status": status_of(symbol),
        "symbol": symbol.symbol,
    }
