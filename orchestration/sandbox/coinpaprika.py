"""CoinPaprika's keyless API: https://docs.coinpaprika.com (a snapshot of all coins; its history costs money)."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from .limits import SlidingWindow
from .market import Market, midnight_ms
from .wire import Reply, Request, absent, json_reply

HOSTS = ("api.coinpaprika.com",)
SERVED = ["/v1/tickers", "/v1/tickers/{id}", "/v1/global"]
# Calls a month, and calls a second.
MONTHLY, MONTH_SECONDS, PER_SECOND = 20_000, 30 * 86_400.0, 10


class CoinPaprika:
    """Only for a generated market: no answer of it is recorded."""

    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.market = market
        self.windows = [
            SlidingWindow(MONTHLY if is_limited else 0, MONTH_SECONDS),
            SlidingWindow(PER_SECOND if is_limited else 0, 1.0),
        ]

    @cached_property
    def tickers(self) -> Mapping[str, dict[str, Any]]:
        rows = [ticker(coin, rank) for rank, coin in enumerate(self.market.coins(), 1)]
        return {row["id"]: row for row in rows}

    def __call__(self, request: Request) -> Reply:
        if not self.market.synthetic:
            return absent(request, [])
        if any([window.charge().retry_after is not None for window in self.windows]):
            return json_reply({"error": "too many requests"}, 429)
        match request.path.strip("/").split("/"):
            case ["v1", "tickers"]:
                return json_reply(list(self.tickers.values()))
            case ["v1", "tickers", coin]:
                if coin not in self.tickers:
                    return json_reply({"error": "id not found"}, 404)
                return json_reply(self.tickers[coin])
            case ["v1", "tickers", _, "historical"]:
                return json_reply({"error": "Getting historical data is not allowed in this plan"}, 402)
            case ["v1", "global"]:
                return json_reply(self._global())
        return absent(request, SERVED)

    def _global(self) -> dict[str, Any]:
        caps = {name: row["quotes"]["USD"]["market_cap"] for name, row in self.tickers.items()}
        total = sum(caps.values())
        volume = sum(row["quotes"]["USD"]["volume_24h"] for row in self.tickers.values())
        change = sum(c["market_cap_change_24h"] or 0 for c in self.market.coins())
        now = self.market.now
        return {
            "market_cap_usd": total,
            "volume_24h_usd": round(volume),
            "bitcoin_dominance_percentage": round(100 * caps.get("btc-bitcoin", 0) / total, 2),
            "cryptocurrencies_number": len(caps),
            "market_cap_ath_value": total,
            "market_cap_ath_date": f"{now}T00:00:00Z",
            "volume_24h_ath_value": round(volume),
            "volume_24h_ath_date": f"{now}T00:00:00Z",
            "market_cap_change_24h": round(100 * change / (total - change), 2),
            "volume_24h_change_24h": 0,
            "last_updated": midnight_ms(now) // 1000,
        }


def ticker(coin: Mapping[str, Any], rank: int) -> dict[str, Any]:
    day = round(float(coin["price_change_percentage_24h"] or 0), 2)
    return {
        "id": f"{coin['symbol']}-{coin['id']}",
        "name": coin["name"],
        "symbol": str(coin["symbol"]).upper(),
        "rank": rank,
        "circulating_supply": round(coin["circulating_supply"]),
        "total_supply": round(coin["total_supply"] or coin["circulating_supply"]),
        "max_supply": round(coin["max_supply"] or 0),
        "beta_value": 1.0,
        "first_data_at": f"{coin['atl_date'][:10]}T00:00:00Z",
        "last_updated": str(coin["last_updated"]).split(".")[0] + "Z",
        "quotes": {
            "USD": {
                "price": coin["current_price"],
                "volume_24h": float(coin["total_volume"]),
                "volume_24h_change_24h": 0,
                "market_cap": round(coin["market_cap"]),
                "market_cap_change_24h": round(float(coin["market_cap_change_percentage_24h"] or 0), 2),
                "percent_change_15m": 0,
                "percent_change_30m": 0,
                "percent_change_1h": 0,
                "percent_change_6h": 0,
                "percent_change_12h": 0,
                "percent_change_24h": day,
                "percent_change_7d": 0,
                "percent_change_30d": 0,
                "percent_change_1y": 0,
                "ath_price": coin["ath"],
                "ath_date": str(coin["ath_date"]).split(".")[0] + "Z",
                "percent_from_price_ath": round(float(coin["ath_change_percentage"]), 2),
            }
        },
    }
