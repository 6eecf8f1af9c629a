"""Binance spot REST: https://developers.binance.com/docs/binance-spot-api-docs/rest-api (market data part)."""

import json
import re

import numpy as np

from .limits import MinuteWeight
from .market import Market, Symbol, midnight_ms
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
WEIGHTS = {"/api/v3/ping": 1, "/api/v3/time": 1, "/api/v3/exchangeInfo": 20, "/api/v3/klines": 2}
SYMBOL = r"^[\w\-._&&[^a-z]]{1,50}$"
SYMBOLS = r"^\[(\"[\w\-._&&[^a-z]]{1,50}\"(,\"[\w\-._&&[^a-z]]{1,50}\"){0,}){0,1}\]$"
UNLIMITED = 1_000_000_000


class BinanceError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Binance:
    """All hosts of one exchange count the same weight."""

    def __init__(self, market: Market, weight_limit: int = 6000) -> None:
        self.market = market
        self.weight = MinuteWeight(weight_limit)
        self._info: dict[frozenset[str] | None, bytes] = {}

    def __call__(self, request: Request) -> Reply:
        weight = WEIGHTS.get(request.path)
        if weight is None:
            return absent(request, sorted(WEIGHTS))
        charge = self.weight.charge(weight)
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
        return json_reply({"serverTime": midnight_ms(self.market.now)} if request.path == "/api/v3/time" else {})

    def _klines(self, request: Request) -> Reply:
        query = request.query
        symbol = mandatory(query, "symbol")
        if not re.fullmatch(r"[\w\-.&]{1,50}", symbol) or re.search("[a-z]", symbol):
            raise BinanceError(-1100, f"Illegal characters found in parameter 'symbol'; legal range is '{SYMBOL}'.")
        interval = mandatory(query, "interval")
        if interval not in INTERVALS.split():
            raise BinanceError(-1120, "Invalid interval.")
        start, end, limit = (integer(query, name) for name in ("startTime", "endTime", "limit"))
        if limit == 0:
            raise BinanceError(-1130, "Data sent for parameter 'limit' is not valid.")
        if query.get("timeZone", "0") not in ("0", "0:00", "00:00"):
            raise BinanceError(-1130, "Data sent for parameter 'timeZone' is not valid.")
        if symbol not in self.market.symbols():
            raise BinanceError(-1121, "Invalid symbol.")
        rows = self.market.klines(symbol, interval)
        if rows is None:
            # An empty array would say that nothing was traded.
            served = {name: symbols or "every symbol" for name, symbols in self.market.intervals().items()}
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

    def _exchange_info(self, request: Request) -> Reply:
        query, listed = request.query, self.market.symbols()
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
