"""DefiLlama: supply of stablecoins, in total, per coin and per chain. Whole history in each answer.

https://api-docs.defillama.com/ (section stablecoins). Numbers are floats on the wire; their text is
kept. A missing peg is absent, not 0.
"""

from collections.abc import Iterator
from datetime import date, timedelta

import pyarrow as pa

from orchestration.records import STABLECOIN_CHAIN_SUPPLIES, STABLECOIN_SUPPLIES, STABLECOIN_TOTALS, STABLECOINS
from orchestration.sources.body import Body, Parsed, Refused, SourceError, distinct, lacking
from orchestration.sources.exact import amounts, prices
from orchestration.sources.http import Host, Http

# The history of a coin on a hundred chains is some 20 MB.
HOST = Host("defillama", ("stablecoins.llama.fi",), per_minute=60, burst=30, connections=2, max_bytes=64 * 2**20)
FOLLOWED = 25
"""How many coins, by supply, have their own history asked for."""


_FOREIGN = (KeyError, TypeError, AttributeError, ValueError, OverflowError, pa.ArrowException)
"""What reading a body of another shape raises."""


def _body(http: Http, dataset: str, path: str, params: dict | None = None, **context: str) -> Body:
    answer = http.get(HOST, path, params)
    return Body("defillama", dataset, answer.url, answer.status, answer.fetched_at, answer.content, context)


def fetch_coins(http: Http, scope: str = "") -> Iterator[Body]:
    """Yield the list of all stablecoins."""
    yield _body(http, "stablecoins", "/stablecoins", {"includePrices": "true"})


def parse_coins(body: Body) -> Parsed:
    """Rows of records.STABLECOINS; the FOLLOWED largest (by units of the peg) are marked."""
    coins = distinct(_list(body, body.data_as_text, "peggedAssets"))
    try:
        pegs = [coin["pegType"] for coin in coins]
        supply = amounts([coin["circulating"].get(peg) for coin, peg in zip(coins, pegs, strict=True)])
        rates = prices([coin.get("price") for coin in coins])
        order = sorted(range(len(coins)), key=lambda i: -(supply.values[i].as_py() or 0))
        followed = set(order[:FOLLOWED])
        columns = {
            "stablecoin_id": [coin["id"] for coin in coins],
            "symbol": [coin["symbol"] for coin in coins],
            "name": [coin["name"] for coin in coins],
            "gecko_id": [coin.get("gecko_id") for coin in coins],
            "peg_type": pegs,
            "peg_mechanism": [coin.get("pegMechanism") for coin in coins],
            "circulating_peg": supply.values,
            "price_usd": rates.values,
            "is_followed": [i in followed for i in range(len(coins))],
            "body_sha256": [body.sha256] * len(coins),
        }
        return _parsed(STABLECOINS, columns, [f"{coin['symbol']} {coin['id']}" for coin in coins], [supply, rates])
    except _FOREIGN as error:
        raise SourceError(f"{body.url}: not a list of stablecoins ({error!r})") from None


def fetch_totals(http: Http, scope: str = "") -> Iterator[Body]:
    """Yield the supply of all stablecoins by peg type, one point a day."""
    yield _body(http, "stablecoin_totals", "/stablecoincharts/all")


def parse_totals(body: Body) -> Parsed:
    """Rows of records.STABLECOIN_TOTALS."""
    rows: dict[tuple[str, date], tuple[str | None, str | None]] = {}
    try:
        for point in _list(body, body.data_as_text):
            native, usd = point.get("totalCirculating") or {}, point.get("totalCirculatingUSD") or {}
            for peg in {**native, **usd}:
                rows[peg, _day(point["date"])] = (native.get(peg), usd.get(peg))
        values = list(rows.values())
        native, usd = amounts([v[0] for v in values]), amounts([v[1] for v in values])
        columns = {
            "peg_type": [key[0] for key in rows],
            "utc_date": [key[1] for key in rows],
            "circulating_peg": native.values,
            "circulating_usd": usd.values,
            "body_sha256": [body.sha256] * len(rows),
        }
        return _parsed(STABLECOIN_TOTALS, columns, [f"{peg} {day}" for peg, day in rows], [native, usd])
    except _FOREIGN as error:
        raise SourceError(f"{body.url}: not a chart of stablecoins ({error!r})") from None


def fetch_supply(http: Http, scope: str) -> Iterator[Body]:
    """Yield one coin's history, over all chains and by chain. `scope`: DefiLlama's id."""
    yield _body(http, "stablecoin_supplies", f"/stablecoin/{scope}", stablecoin_id=scope)


def parse_supply(body: Body) -> Parsed:
    """Rows of records.STABLECOIN_SUPPLIES and records.STABLECOIN_CHAIN_SUPPLIES.

    Records carry the time of their making: the last one of a UTC day counts."""
    coin = body.data_as_text
    try:
        coin_id, symbol, peg = str(coin["id"]), coin["symbol"], coin["pegType"]
        if coin_id != body.context["stablecoin_id"]:
            raise SourceError(f"{body.url}: answers with coin {coin_id}")
        whole = _daily(coin["tokens"], peg)
        chains = {
            (chain, day): value
            for chain, balance in (coin.get("chainBalances") or {}).items()
            for day, value in _daily(balance.get("tokens") or [], peg).items()
        }
        return _histories(body, coin_id, symbol, peg, whole, chains)
    except _FOREIGN as error:
        raise SourceError(f"{body.url}: not the history of a stablecoin ({error!r})") from None


def _histories(
    body: Body, coin_id: str, symbol: str, peg: str, whole: dict[date, str], chains: dict[tuple[str, date], str]
) -> Parsed:
    supply, by_chain = amounts(list(whole.values())), amounts(list(chains.values()))

    def same(rows) -> dict:
        return {
            "stablecoin_id": [coin_id] * len(rows),
            "symbol": [symbol] * len(rows),
            "peg_type": [peg] * len(rows),
            "body_sha256": [body.sha256] * len(rows),
        }

    first = _parsed(
        STABLECOIN_SUPPLIES,
        {**same(whole), "utc_date": list(whole), "circulating_peg": supply.values},
        [f"{symbol} {day}" for day in whole],
        [supply],
    )
    second = _parsed(
        STABLECOIN_CHAIN_SUPPLIES,
        {
            **same(chains),
            "chain": [key[0] for key in chains],
            "utc_date": [key[1] for key in chains],
            "circulating_peg": by_chain.values,
        },
        [f"{symbol} {chain} {day}" for chain, day in chains],
        [by_chain],
    )
    return Parsed(
        first.tables | second.tables, first.rounded_count + second.rounded_count, first.refused + second.refused
    )


def _daily(points: list, peg: str) -> dict[date, str]:
    """Day → supply text, in the order of days; a point without this peg is absent, not 0."""
    latest: dict[date, tuple[int, str]] = {}
    for point in points:
        value = (point.get("circulating") or {}).get(peg)
        if value is None:
            continue
        day, second = _day(point["date"]), int(point["date"])
        if day not in latest or second >= latest[day][0]:
            latest[day] = (second, value)
    return {day: latest[day][1] for day in sorted(latest)}


def _parsed(record, columns: dict, keys: list[str], cells: list) -> Parsed:
    """A table of the record; rows with a cell that is no amount are refused."""
    table = pa.table({name: columns[name] for name in record.schema.names}, schema=record.schema)
    bad: dict[int, str] = {}
    for column in cells:
        bad |= column.bad
    if bad:
        table = table.filter(pa.array([i not in bad for i in range(len(keys))], pa.bool_()))
    if lacks := lacking(table):
        raise ValueError(f"{lacks} is missing")
    days = columns.get("utc_date") or [None] * len(keys)
    refused = [
        Refused(record.table, keys[i], why, keys[i], columns["body_sha256"][i], days[i])
        for i, why in sorted(bad.items())
    ]
    return Parsed({record.table: table}, sum(column.rounded_count for column in cells), refused)


def _day(seconds: str) -> date:
    return date(1970, 1, 1) + timedelta(days=int(float(seconds)) // 86_400)


def _list(body: Body, data, key: str | None = None) -> list:
    found = data.get(key) if key and isinstance(data, dict) else data
    if not isinstance(found, list) or not found:
        raise SourceError(f"{body.url}: {str(data)[:120]} instead of a list of points", content=body.content)
    return found
