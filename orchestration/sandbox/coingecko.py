"""CoinGecko's keyless /coins/markets: https://docs.coingecko.com/reference/coins-markets."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from .market import Market
from .wire import Reply, Request, absent, json_reply

HOSTS = ("api.coingecko.com",)
MARKETS = "/api/v3/coins/markets"
ORDERS = {
    "market_cap_desc": ("market_cap", True),
    "market_cap_asc": ("market_cap", False),
    "volume_desc": ("total_volume", True),
    "volume_asc": ("total_volume", False),
    "id_asc": ("id", False),
    "id_desc": ("id", True),
}


class CoinGecko:
    """A snapshot; only US dollars, at most 250 coins a page."""

    def __init__(self, market: Market) -> None:
        self.market = market

    @cached_property
    def coins(self) -> Sequence[Mapping[str, Any]]:
        return self.market.coins()

    def __call__(self, request: Request) -> Reply:
        if request.path == "/api/v3/ping":
            return json_reply({"gecko_says": "(V3) To the Moon!"})
        if request.path != MARKETS:
            return absent(request, [MARKETS, "/api/v3/ping"])
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
