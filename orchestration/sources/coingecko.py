"""CoinGecko, keyless: current market caps and circulating supplies, kept as one snapshot a day.

https://docs.coingecko.com/reference/coins-markets. The keyless limit is shared per address: about
five requests a minute are safe.
"""

import json
from collections.abc import Iterator
from datetime import date

import pyarrow as pa

from orchestration.records import COIN_SNAPSHOTS
from orchestration.sources.body import Body, Parsed, Refused, SourceError, distinct, lacking
from orchestration.sources.exact import amounts, prices
from orchestration.sources.http import Host, Http

HOST = Host("coingecko", ("api.coingecko.com",), per_minute=5, burst=5, connections=1)
PER_PAGE, PAGES = 250, 2


def fetch_snapshot(http: Http, scope: str = "") -> Iterator[Body]:
    """Yield the pages of the 500 largest coins, the largest first."""
    for page in range(1, PAGES + 1):
        params = {"vs_currency": "usd", "order": "market_cap_desc", "per_page": PER_PAGE, "page": page}
        answer = http.get(HOST, "/api/v3/coins/markets", params)
        body = Body("coingecko", "coin_snapshots", answer.url, answer.status, answer.fetched_at, answer.content)
        if page > 1 and body.data == []:
            return
        yield body
        if len(body.data) < PER_PAGE:
            return


def parse_snapshot(body: Body) -> Parsed:
    """Rows of records.COIN_SNAPSHOTS. The snapshot's day is that of its newest row."""
    coins = body.data_as_text
    if not isinstance(coins, list):
        raise SourceError(f"{body.url}: {str(coins)[:120]} instead of a list of coins", content=body.content)
    try:
        coins = distinct(coins)
        day = max(date.fromisoformat(coin["last_updated"][:10]) for coin in coins if coin.get("last_updated"))
        cap = amounts([coin["market_cap"] for coin in coins])
        supply = amounts([coin["circulating_supply"] for coin in coins])
        rates = prices([coin["current_price"] for coin in coins])
        table = pa.table(
            {
                "coin_id": [coin["id"] for coin in coins],
                "symbol": [coin["symbol"].upper() for coin in coins],
                "name": [coin["name"] for coin in coins],
                "utc_date": [day] * len(coins),
                "rank_count": [int(r) if (r := coin["market_cap_rank"]) is not None else None for coin in coins],
                "price_usd": rates.values,
                "cap_usd": cap.values,
                "circulating_supply_base": supply.values,
                "body_sha256": [body.sha256] * len(coins),
            },
            schema=COIN_SNAPSHOTS.schema,
        )
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, pa.ArrowException) as error:
        raise SourceError(f"{body.url}: not a list of coins ({error!r})") from None
    bad = rates.bad | cap.bad | supply.bad
    refused = [
        Refused(COIN_SNAPSHOTS.table, f"{coins[i]['id']} {day}", why, json.dumps(coins[i]), body.sha256, day)
        for i, why in sorted(bad.items())
    ]
    if refused:
        table = table.filter(pa.array([i not in bad for i in range(len(coins))], pa.bool_()))
    if lacks := lacking(table):
        raise SourceError(f"{body.url}: rows without {lacks}", content=body.content)
    return Parsed({COIN_SNAPSHOTS.table: table}, cap.rounded_count + supply.rounded_count, refused)
