"""CoinGecko's keyless API: https://docs.coingecko.com/reference (coins/markets, market_chart, global)."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .amounts import short
from .limits import SlidingWindow
from .market import DAY_MS, Market, midnight_ms
from .wire import Reply, Request, absent, json_reply

HOSTS = ("api.coingecko.com",)
MARKETS = "/api/v3/coins/markets"
PING, GLOBAL, CHART = "/api/v3/ping", "/api/v3/global", "/api/v3/coins/{id}/market_chart"
# Calls a minute of one address, and how long to wait.
PER_MINUTE, RETRY_AFTER = 10, "60"
REACH_DAYS = 365
# Of a row of /coins/markets.
FIELDS = [
    "id",
    "symbol",
    "name",
    "image",
    "current_price",
    "market_cap",
    "market_cap_rank",
    "fully_diluted_valuation",
    "total_volume",
    "high_24h",
    "low_24h",
    "price_change_24h",
    "price_change_percentage_24h",
    "market_cap_change_24h",
    "market_cap_change_percentage_24h",
    "circulating_supply",
    "total_supply",
    "max_supply",
    "ath",
    "ath_change_percentage",
    "ath_date",
    "atl",
    "atl_change_percentage",
    "atl_date",
    "roi",
    "last_updated",
]
TOO_OLD = (
    "Your request exceeds the allowed time range. Public API users are limited to querying historical data within the "
    "past 365 days. Upgrade to a paid plan to enjoy full historical data access: "
    "https://www.coingecko.com/en/api/pricing. "
)
TOO_MANY = (
    "You've exceeded the Rate Limit. Please visit https://www.coingecko.com/en/api/pricing to subscribe to our API "
    "plans for higher rate limits."
)
ORDERS = {
    "market_cap_desc": ("market_cap", True),
    "market_cap_asc": ("market_cap", False),
    "volume_desc": ("total_volume", True),
    "volume_asc": ("total_volume", False),
    "id_asc": ("id", False),
    "id_desc": ("id", True),
}


class CoinGecko:
    """Only US dollars; a page of at most 250 coins. History and totals only of a generated market."""

    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.market = market
        self.window = SlidingWindow(PER_MINUTE if is_limited else 0, 60.0)

    @cached_property
    def coins(self) -> Sequence[Mapping[str, Any]]:
        """In the order of fields that is on the wire, whatever the market's is."""
        return [{name: coin[name] for name in FIELDS if name in coin} | dict(coin) for coin in self.market.coins()]

    @cached_property
    def caps(self) -> pa.Table:
        return self.market.caps()

    def __call__(self, request: Request) -> Reply:
        chart = re.fullmatch(r"/api/v3/coins/([^/]+)/market_chart(/range)?", request.path)
        served = [MARKETS, PING]
        if self.market.synthetic:
            served += [GLOBAL, CHART, CHART + "/range"]
        if request.path not in served and not (chart and self.market.synthetic):
            return absent(request, served)
        if self.window.charge().retry_after is not None:
            error = {"status": {"error_code": 429, "error_message": TOO_MANY}}
            return json_reply(error, 429, (("Retry-After", RETRY_AFTER),))
        if request.path == PING:
            return json_reply({"gecko_says": "(V3) To the Moon!"})
        if request.path == GLOBAL:
            return json_reply({"data": self._global()})
        return self._chart(request, chart[1], bool(chart[2])) if chart else self._markets(request)

    def _markets(self, request: Request) -> Reply:
        query = request.query
        currency = query.get("vs_currency")
        if not currency:
            return json_reply({"error": "Missing parameter vs_currency"}, 422)
        if currency != "usd":
            return json_reply({"error": "invalid vs_currency"}, 422)
        order, size, page = query.get("order", "market_cap_desc"), query.get("per_page", "100"), query.get("page", "1")
        if order not in ORDERS or not size.isdecimal() or not page.isdecimal() or int(page) < 1 or int(size) < 1:
            return json_reply({"error": "Invalid parameter"}, 400)
        coins = self.coins
        if "ids" in query:
            wanted = set(query["ids"].split(","))
            coins = [coin for coin in coins if coin["id"] in wanted]
        if order != "market_cap_desc":
            key, is_descending = ORDERS[order]
            coins = sorted(coins, key=lambda coin: coin[key] or 0, reverse=is_descending)
        per_page = min(int(size), 250)
        first = (int(page) - 1) * per_page
        headers = (("per-page", str(per_page)), ("total", str(len(coins))))
        return json_reply(coins[first : first + per_page], headers=headers)

    def _global(self) -> dict[str, Any]:
        caps = {str(coin["symbol"]): float(coin["market_cap"]) for coin in self.coins}
        before = sum(float(coin["market_cap"] - coin["market_cap_change_24h"]) for coin in self.coins)
        total, volume = sum(caps.values()), float(sum(coin["total_volume"] for coin in self.coins))
        bitcoin = next((float(coin["current_price"]) for coin in self.coins if coin["symbol"] == "btc"), 1.0)
        return {
            "active_cryptocurrencies": len(caps),
            "upcoming_icos": 0,
            "ongoing_icos": 49,
            "ended_icos": 3376,
            "markets": len(self.market.exchanges()),
            "total_market_cap": {"btc": total / bitcoin, "usd": total},
            "total_volume": {"btc": volume / bitcoin, "usd": volume},
            "market_cap_percentage": {name: 100 * cap / total for name, cap in list(caps.items())[:10]},
            "market_cap_change_percentage_24h_usd": 100 * (total / before - 1),
            "updated_at": midnight_ms(self.market.now) // 1000,
        }

    def _chart(self, request: Request, coin_id: str, is_range: bool) -> Reply:
        """Points [ms, value] of one coin, ascending: what a day ended with stands at the midnight after it."""
        query, now = request.query, midnight_ms(self.market.now)
        coin = next((coin for coin in self.coins if coin["id"] == coin_id), None)
        if coin is None:
            return json_reply({"error": "coin not found"}, 404)
        if query.get("vs_currency") != "usd":
            missing = "Missing parameter vs_currency" if not query.get("vs_currency") else "invalid vs_currency"
            return json_reply({"error": missing}, 422)
        if is_range:
            bounds = [query.get(name, "") for name in ("from", "to")]
            if not all(bound.isdecimal() for bound in bounds):
                return json_reply({"error": "Invalid parameter"}, 422)
            start, end = (int(bound) * 1000 for bound in bounds)
        else:
            days = query.get("days", "")
            if not days.isdecimal() and days != "max":
                return json_reply({"error": "Missing parameter days"}, 422)
            start, end = now - (int(days) if days != "max" else 10 * REACH_DAYS) * DAY_MS, now
        if start < now - REACH_DAYS * DAY_MS:
            stamp = f"{self.market.now}T00:00:00.000+00:00"
            status = {"timestamp": stamp, "error_code": 10012, "error_message": TOO_OLD}
            return json_reply({"error": {"status": status}}, 401)
        table = self.caps.filter(pc.equal(self.caps["asset"], str(coin["symbol"])))
        if not table.num_rows:
            return absent(request, {"assets": self.caps["asset"].unique().to_pylist()})
        times = table["time"].to_numpy(zero_copy_only=False).astype("datetime64[ms]").astype(np.int64) + DAY_MS
        first, last = (int(i) for i in np.searchsorted(times, (start, min(end, now) + 1)))
        series = {"prices": "ReferenceRateUSD", "market_caps": "CapMrktEstUSD"}
        parts = []
        for name, column in series.items():
            values = table[column].slice(first, last - first).to_pylist()
            points = (f"[{at},{value}]" for at, value in zip(times[first:last].tolist(), values, strict=True))
            parts.append(f'"{name}":[{",".join(points)}]')
        parts.append(f'"total_volumes":[{",".join(self._volumes(str(coin["symbol"]), times[first:last]))}]')
        return Reply(f"{{{','.join(parts)}}}".encode())

    def _volumes(self, symbol: str, times: np.ndarray) -> list[str]:
        """Of the greatest exchange's pair against Tether."""
        name = f"{symbol.upper()}/USDT"
        bars = self.market.bars("binance", name, "1d") if name in self.market.listings("binance") else None
        if bars is None:
            return []
        volumes = dict(zip((bars.times_ms + DAY_MS).tolist(), bars.volume_quote.tolist(), strict=True))
        return [f"[{at},{short(volumes[at], bars.quote_decimals)}]" for at in times.tolist() if at in volumes]
