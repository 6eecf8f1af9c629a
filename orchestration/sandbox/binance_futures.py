"""Binance USD-M futures REST: https://developers.binance.com/docs/derivatives/usds-margined-futures (market data)."""

from collections.abc import Mapping

import numpy as np

from .amounts import fixed, quotient, rounded, short, step
from .binance import INTERVALS, BinanceError, integer, mandatory
from .limits import MinuteWeight, SlidingWindow
from .market import DAY_MS, HOUR_MS, Bars, Listing, Market, midnight_ms
from .venue import Venue
from .wire import Reply, Request, absent, json_reply

HOSTS = ("fapi.binance.com",)
WEIGHT_LIMIT = 2400
KLINES = "/fapi/v1/klines"
TICKER = "/fapi/v1/ticker/24hr"
WEIGHTS = {"/fapi/v1/ping": 1, "/fapi/v1/time": 1, "/fapi/v1/exchangeInfo": 1, KLINES: 1, TICKER: 1}
ALL_TICKERS_WEIGHT = 40
KLINE_WEIGHTS = ((99, 1), (499, 2), (1000, 5), (1500, 10))
# Counted in requests in five minutes, apart from the weight.
FUNDING, STATISTICS = "/fapi/v1/fundingRate", "/futures/data/"
OPEN_INTEREST, TAKERS = STATISTICS + "openInterestHist", STATISTICS + "takerlongshortRatio"
FUNDING_LIMIT, STATISTICS_LIMIT, SECONDS = 500, 1000, 300.0
SERVED = [*WEIGHTS, FUNDING, OPEN_INTEREST, TAKERS]
LENGTHS = {"1h": HOUR_MS, "1d": DAY_MS}
PERIODS = ["5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d"]
REACH_MS = 30 * DAY_MS
# What a run may ask of contracts; the last two stand in the archive (vision).
TABLES = (
    "perpetual_symbols",
    "perpetual_flows",
    "funding_rates",
    "open_interest",
    "perpetual_metrics",
    "perpetual_depth",
)
# Delivery date of a contract that is never delivered.
NEVER = 4_133_404_800_000


class BinanceFutures:
    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.market, self.venue = market, Venue(market, "binance_usdm")
        self.weight = MinuteWeight(WEIGHT_LIMIT if is_limited else 0)
        self.funding_window = SlidingWindow(FUNDING_LIMIT if is_limited else 0, SECONDS)
        self.statistics_window = SlidingWindow(STATISTICS_LIMIT if is_limited else 0, SECONDS)
        self.names = {listing.base + listing.quote: name for name, listing in self.venue.pairs.items()}

    @property
    def paths(self) -> list[str]:
        """What is served."""
        return SERVED if self.venue.pairs else []

    @property
    def tables(self) -> list[str]:
        return [*TABLES] if self.venue.pairs else []

    def __call__(self, request: Request) -> Reply:
        if request.path not in self.paths:
            return absent(request, self.paths)
        headers = ()
        if request.path in WEIGHTS:
            charge = self.weight.charge(weight_of(request))
            headers = (("X-MBX-USED-WEIGHT-1M", str(charge.used)),)
            limit = f"{WEIGHT_LIMIT} request weight per 1 MINUTE"
        elif request.path == FUNDING:
            charge, limit = self.funding_window.charge(), f"{FUNDING_LIMIT} requests per 5 MINUTE"
        else:
            charge, limit = self.statistics_window.charge(), f"{STATISTICS_LIMIT} requests per 5 MINUTE"
        if charge.retry_after is not None:
            headers += (("Retry-After", str(charge.retry_after)),)
            if charge.banned_until_ms is not None:
                message = f"Way too many requests; IP banned until {charge.banned_until_ms}. "
                message += "Please use the websocket for live updates to avoid bans."
                return json_reply({"code": -1003, "msg": message}, 418, headers)
            message = f"Too many requests; current limit is {limit}. "
            message += "Please use the websocket for live updates to avoid polling the API."
            return json_reply({"code": -1003, "msg": message}, 429, headers)
        try:
            reply = self._answer(request)
        except BinanceError as error:
            return json_reply({"code": error.code, "msg": error.message}, 400, headers)
        return Reply(reply.body, reply.status, reply.content_type, headers)

    def _answer(self, request: Request) -> Reply:
        match request.path:
            case "/fapi/v1/time":
                return json_reply({"serverTime": self.venue.now_ms})
            case "/fapi/v1/exchangeInfo":
                return self._exchange_info()
            case "/fapi/v1/klines":
                return self._klines(request)
            case "/fapi/v1/ticker/24hr":
                return self._tickers(request.query)
            case "/fapi/v1/fundingRate":
                return self._funding(request.query)
            case "/futures/data/openInterestHist":
                return self._open_interest(request)
            case "/futures/data/takerlongshortRatio":
                return self._takers(request)
        return json_reply({})

    def _name(self, query: Mapping[str, str]) -> str:
        symbol = mandatory(query, "symbol")
        if symbol not in self.names:
            raise BinanceError(-1121, "Invalid symbol.")
        return self.names[symbol]

    def _exchange_info(self) -> Reply:
        """Contracts that are over are not listed."""
        return self._info([contract(listing) for listing in self.venue.live.values()])

    def _info(self, symbols: list[dict]) -> Reply:
        return json_reply(
            {
                "timezone": "UTC",
                "serverTime": self.venue.now_ms,
                "futuresType": "U_MARGINED",
                "rateLimits": [
                    {
                        "rateLimitType": "REQUEST_WEIGHT",
                        "interval": "MINUTE",
                        "intervalNum": 1,
                        "limit": self.weight.limit or 1_000_000_000,
                    },
                    {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
                    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
                ],
                "exchangeFilters": [],
                "assets": [
                    {"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"},
                    {"asset": "BTC", "marginAvailable": True, "autoAssetExchange": "-0.10000000"},
                ],
                "symbols": symbols,
            }
        )

    def _klines(self, request: Request) -> Reply:
        query, name = request.query, self._name(request.query)
        interval = mandatory(query, "interval")
        if interval not in INTERVALS.split():
            raise BinanceError(-1120, "Invalid interval.")
        bars = self.venue.bars(name, interval) if interval in LENGTHS else None
        if bars is None:
            return absent(request, list(LENGTHS))
        limit = min(integer(query, "limit") or 500, KLINE_WEIGHTS[-1][0])
        first, last = page(bars.times_ms, integer(query, "startTime"), integer(query, "endTime"), limit)
        return json_reply([kline(bars, i, LENGTHS[interval]) for i in range(first, last)])

    def _tickers(self, query: Mapping[str, str]) -> Reply:
        """Of the last 24 hours, that is of the last closed day; of all contracts that trade where none is named."""
        names = [self._name(query)] if "symbol" in query else list(self.venue.live)
        rows = [row for name in names if (row := self._ticker(name))]
        return json_reply(rows[0] if "symbol" in query and rows else rows)

    def _ticker(self, name: str) -> dict | None:
        day = self.venue.day(name)
        if day is None:
            return None
        listing, last = self.venue.pairs[name], self.venue.last_trade(name)
        opened, high, low, close = (int(column[0]) for column in (day.open, day.high, day.low, day.close))
        base, quote, count = int(day.volume_base[0]), int(day.volume_quote[0]), int(day.trades[0])

        def price(units: int) -> str:
            return fixed(units, listing.price_decimals, listing.price_decimals)

        percent = quotient(100 * (close - opened), opened, 3)
        mean = quotient(quote * 10**listing.base_decimals, base * 10**day.quote_decimals, 8)
        return {
            "symbol": listing.base + listing.quote,
            "priceChange": price(close - opened),
            "priceChangePercent": fixed(percent, 3, 3),
            "weightedAvgPrice": fixed(mean, 8, 8),
            "lastPrice": price(close),
            "lastQty": fixed(int(last.size[-1]), listing.base_decimals, listing.base_decimals),
            "openPrice": price(opened),
            "highPrice": price(high),
            "lowPrice": price(low),
            "volume": fixed(base, listing.base_decimals, listing.base_decimals),
            "quoteVolume": fixed(quote, day.quote_decimals, day.quote_decimals),
            "openTime": self.venue.now_ms - DAY_MS,
            "closeTime": self.venue.now_ms,
            "firstId": int(last.ids[-1]) - count + 1,
            "lastId": int(last.ids[-1]),
            "count": count,
        }

    def _funding(self, query: Mapping[str, str]) -> Reply:
        """Ascending; of all contracts where none is named."""
        names = [self._name(query)] if "symbol" in query else list(self.names.values())
        limit = min(integer(query, "limit") or 100, 1000)
        start, end = integer(query, "startTime"), integer(query, "endTime")
        rows = []
        for name in names:
            found = self.market.funding(name)
            if found is None:
                continue
            times, rates = found
            first, last = page(times, start, end, limit)
            symbol = self.venue.pairs[name].base + self.venue.pairs[name].quote
            rows += [
                {"symbol": symbol, "fundingTime": int(times[i]), "fundingRate": fixed(int(rates[i]), 8, 8)}
                for i in range(first, last)
            ]
        rows.sort(key=lambda row: row["fundingTime"])
        return json_reply(rows[:limit] if start is not None else rows[-limit:])

    def _period(self, query: Mapping[str, str]) -> tuple[str, str, int, int | None, int | None]:
        """Name, period, limit and bounds of a question for the last thirty days."""
        name, period = self._name(query), mandatory(query, "period")
        if period not in PERIODS:
            raise BinanceError(-1130, "Data sent for parameter 'period' is not valid.")
        start, end = integer(query, "startTime"), integer(query, "endTime")
        if start is not None and start < self.venue.now_ms - REACH_MS:
            raise BinanceError(-1130, "parameter 'startTime' is invalid.")
        return name, period, min(integer(query, "limit") or 30, 500), start, end

    def _open_interest(self, request: Request) -> Reply:
        name, period, limit, start, end = self._period(request.query)
        found, bars = self.market.open_interest(name), self.venue.bars(name, "1d")
        if period != "1d" or found is None or bars is None:
            return absent(request, {"period": ["1d"]})
        days, open_interest = found
        # What was open at the end of a day stands at the midnight that ends it.
        closes = dict(zip((bars.times_ms + DAY_MS).tolist(), bars.close.tolist(), strict=True))
        times = (days.astype(np.int64) + 1) * DAY_MS
        listing = self.venue.pairs[name]
        kept = (times <= self.venue.now_ms) & (times >= self.venue.now_ms - REACH_MS) & np.isin(times, [*closes])
        times, open_interest = times[kept], open_interest[kept]
        first, last = page(times, start, end, limit)
        rows = []
        for i in range(first, last):
            units = int(open_interest[i])
            value = units * closes[int(times[i])]
            rows.append(
                {
                    "symbol": request.query["symbol"],
                    "sumOpenInterest": fixed(units, listing.base_decimals, 8),
                    "sumOpenInterestValue": fixed(value, listing.base_decimals + listing.price_decimals, 8),
                    "timestamp": int(times[i]),
                }
            )
        return json_reply(rows)

    def _takers(self, request: Request) -> Reply:
        """Bought and sold by takers in base units."""
        name, period, limit, start, end = self._period(request.query)
        bars = self.venue.bars(name, period) if period in LENGTHS else None
        if bars is None:
            return absent(request, {"period": list(LENGTHS)})
        oldest = int(np.searchsorted(bars.times_ms, self.venue.now_ms - REACH_MS))
        first, last = page(bars.times_ms, start, end, limit)
        rows = []
        for i in range(max(oldest, first), last):
            bought, sold = int(bars.taker_buy_base[i]), int(bars.volume_base[i] - bars.taker_buy_base[i])
            ratio = fixed(quotient(bought, sold, 4) if sold else 0, 4, 4)
            volumes = [rounded(units, bars.base_decimals, 4) for units in (bought, sold)]
            row = {"buySellRatio": ratio, "buyVol": volumes[0], "sellVol": volumes[1]}
            rows.append(row | {"timestamp": int(bars.times_ms[i])})
        return json_reply(rows)


def weight_of(request: Request) -> int:
    if request.path == TICKER and "symbol" not in request.query:
        return ALL_TICKERS_WEIGHT
    if request.path != KLINES:
        return WEIGHTS[request.path]
    limit = int(request.query["limit"]) if request.query.get("limit", "").isdecimal() else 500
    return next((weight for most, weight in KLINE_WEIGHTS if limit <= most), KLINE_WEIGHTS[-1][1])


def page(times: np.ndarray, start: int | None, end: int | None, limit: int) -> tuple[int, int]:
    """First row and end of a page: both bounds inclusive, the newest where no start is given."""
    last = len(times) if end is None else int(np.searchsorted(times, end, "right"))
    first = max(0, last - limit) if start is None else int(np.searchsorted(times, start))
    return first, max(first, min(last, first + limit))


def kline(bars: Bars, i: int, length: int) -> list:
    """Twelve fields; unlike those of spot with the places of the contract, whole prices without any."""
    prices = []
    for column in (bars.open, bars.high, bars.low, bars.close):
        text = fixed(int(column[i]), bars.price_decimals, bars.price_decimals)
        prices.append(text if text.rstrip("0")[-1:] != "." else short(int(column[i]), bars.price_decimals))
    opens, places = int(bars.times_ms[i]), bars.price_decimals + bars.base_decimals
    base, bought = (
        fixed(int(column[i]), bars.base_decimals, bars.base_decimals)
        for column in (bars.volume_base, bars.taker_buy_base)
    )
    quote, paid = (
        fixed(int(column[i]), bars.quote_decimals, places) for column in (bars.volume_quote, bars.taker_buy_quote)
    )
    return [opens, *prices, base, opens + length - 1, quote, int(bars.trades[i]), bought, paid, "0"]


def contract(listing: Listing) -> dict:
    """One element of `symbols`, with the fields of the recorded answer of 2025-08."""
    symbol, tick, lot = listing.base + listing.quote, step(listing.price_decimals), step(listing.base_decimals)
    return {
        "symbol": symbol,
        "pair": symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": NEVER,
        "onboardDate": midnight_ms(listing.first),
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": listing.base,
        "quoteAsset": listing.quote,
        "marginAsset": listing.quote,
        "pricePrecision": listing.price_decimals,
        "quantityPrecision": listing.base_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["Layer-1"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": [
            {"filterType": "PRICE_FILTER", "maxPrice": "4529764", "minPrice": tick, "tickSize": tick},
            {"filterType": "LOT_SIZE", "maxQty": "1000000", "minQty": lot, "stepSize": lot},
            {"filterType": "MARKET_LOT_SIZE", "maxQty": "100000", "minQty": lot, "stepSize": lot},
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierDecimal": "4",
                "multiplierDown": "0.9500",
                "multiplierUp": "1.0500",
            },
            {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"]
        + ["TRAILING_STOP_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "permissionSets": ["GRID", "COPY"],
    }


def server(market: Market, is_limited: bool = True) -> BinanceFutures:
    if market.kind == "recorded":
        from .recorded_futures import RecordedFutures

        return RecordedFutures(market, is_limited)
    return BinanceFutures(market, is_limited)
