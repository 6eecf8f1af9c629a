"""Bitget spot: an archive of every trade, some files per pair and day of UTC+8; only an index tells their names.

https://www.bitget.com/api-doc/spot/market/Get-Symbols documents pairs and clock. The index is what the page
https://www.bitget.com/data-download asks: undocumented, seven days and five pairs at a time, about once a second.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta

from orchestration.sources.body import Body, Parsed, SourceError, Window, distinct
from orchestration.sources.exchange import Exchange, TradeFiles
from orchestration.sources.http import Host, Http
from orchestration.sources.pairs import listed, split
from orchestration.sources.trades import Layout, Side, TradeFile

HOST = Host("bitget", ("api.bitget.com",), per_minute=600, burst=20)
FILES = Host("bitget_files", ("img.bitgetimg.com",), per_minute=1200, burst=100, hides_missing=True)
# To be confirmed on the first live run: the index and its path. It answers in a web page's tow, and may refuse who
# is no browser.
INDEX = Host("bitget_index", ("www.bitget.com",), per_minute=60, burst=5, connections=1)
INDEX_PATH = "/v1/statistics/public/download/getPublicDataV2"
SPOT, TRADES, DAILY = 1, 2, 1
DAYS_ASKED, PAIRS_ASKED = 7, 5

FIRST = date(2018, 7, 25)
CLOCK = timedelta(hours=8)
ONE_DAY = timedelta(days=1)
# Files of a day were seen to come at 03:00 UTC of the day after the next, some of them later.
DUE = timedelta(hours=40)
# Names have changed twice; day and part ended them each time.
FILE = re.compile(
    rf"(?P<stem>https://{re.escape(FILES.hosts[0])}/online/trades/SPBL/[!-~]+?(?P<day>\d{{8}})_)(?P<part>\d{{3}})\.zip"
)
# Quote assets: a symbol has no mark between its two. From memory.
QUOTES = ("USDT", "USDC", "USDE", "USD1", "BTC", "ETH", "BGB", "EUR", "GBP", "BRL", "TRY", "USD")

LAYOUT = Layout(
    positions=("id", "time", "price", "side", "", "size"),
    names={"trade_id": "id", "timestamp": "time", "price": "price", "side": "side", "size(base)": "size"},
    time_unit="ms",
    side=Side(("buy",), ("sell",), "taker", "`side` of /api/v2/spot/market/fills-history, the taker's; same in files"),
    clock_hours=8,
)


def fetch_symbols(http: Http) -> Iterator[Body]:
    """Yield the pairs, those that are offline too, with the server's time around them."""
    answer = http.get(HOST, "/api/v2/spot/public/symbols")
    yield Body("bitget", "spot_symbols", answer.url, answer.status, answer.fetched_at, answer.content)


def parse_symbols(body: Body) -> Parsed:
    """Rows of records.SPOT_SYMBOLS. Raises SourceError where the body is not a list of pairs."""
    try:
        return listed(
            body,
            (
                (pair["symbol"], pair["baseCoin"], pair["quoteCoin"], pair["status"], pair["status"] == "online")
                for pair in distinct(body.data["data"])
            ),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SourceError(f"{body.url}: not a list of pairs ({error!r})") from None


def server_time(body: Body) -> datetime:
    """The exchange's clock (naive UTC), from the same answer. Raises SourceError where it has none in milliseconds."""
    try:
        return datetime(1970, 1, 1) + timedelta(milliseconds=body.data["requestTime"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise SourceError(f"{body.url}: no requestTime in milliseconds ({error!r})", content=body.content) from None


def pair_of(symbol: str) -> tuple[str, str] | None:
    return split(symbol.upper(), QUOTES)


def list_files(http: Http, symbols: Sequence[str], window: Window, now: datetime) -> Iterator[TradeFile]:
    """Yield the files that the index names for `symbols`, pair by pair of a few: all parts of a day, which together
    are its trades. Pairs that are not in `symbols`, or whose quote asset is not known, cannot be asked for.

    The files of day D hold D-1 16:00 to D 16:00 UTC: a UTC day is in those of two days. The index tells of no day
    that is younger than two days, and of some later than that."""
    shown = {f"{pair[0]}/{pair[1]}": symbol for symbol in symbols if (pair := pair_of(symbol))}
    names = list(shown)
    start, end = max(window.start, FIRST), window.end + ONE_DAY
    for at in range(0, len(names), PAIRS_ASKED):
        asked = {name: shown[name] for name in names[at : at + PAIRS_ASKED]}
        for begin in range((start - date.min).days, (end - date.min).days, DAYS_ASKED):
            first = date.min + timedelta(days=begin)
            last = min(first + timedelta(days=DAYS_ASKED), end) - ONE_DAY
            yield from _files(http, asked, first, last)


def due(day: date) -> datetime:
    """When the files with the last eight hours of that UTC day should be there."""
    return _start(day + ONE_DAY) + ONE_DAY + DUE


def _files(http: Http, asked: Mapping[str, str], first: date, last: date) -> Iterator[TradeFile]:
    """`asked`: symbols by the name that the index knows; `last` included. Raises SourceError where it refuses, or
    names what was not asked for."""
    query = {
        "displaySymbol": list(asked),
        "businessLine": SPOT,
        "businessType": TRADES,
        "dateType": DAILY,
        "beginTimeStr": first.isoformat(),
        "endTimeStr": last.isoformat(),
    }
    answer = http.get(INDEX, INDEX_PATH, post=query)
    body = Body("bitget", "index", answer.url, answer.status, answer.fetched_at, answer.content)
    parts: dict[tuple[str, date], tuple[str, int]] = {}
    try:
        if str(body.data["code"]) != "200":
            raise ValueError(f"code {body.data['code']}: {body.data.get('msg')}")
        for row in body.data["data"] or []:
            file = FILE.fullmatch(row["fileUrl"])
            if file is None or row["displayName"] not in asked:
                raise ValueError(f"a file of another name or pair: {row['displayName']} {row['fileUrl']}")
            key = asked[row["displayName"]], date.fromisoformat(file["day"])
            # Every file is named several times; a day that has files of an old and a new name has the same in both.
            stem, count = parts.get(key, (file["stem"], 0))
            parts[key] = stem, max(count, int(file["part"]))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SourceError(f"{answer.url}: {first} to {last}: {error!r}"[:500], content=answer.content) from None
    for (symbol, day), (stem, count) in sorted(parts.items()):
        begin = _start(day)
        for part in range(1, count + 1):
            end = begin + ONE_DAY
            yield TradeFile(f"{stem}{part:03}.zip", symbol, begin, end, end + DUE)


def _start(day: date) -> datetime:
    """When (naive UTC) the day begins by the exchange's clock."""
    return datetime.combine(day, time()) - CLOCK


EXCHANGE = Exchange(
    HOST,
    fetch_symbols,
    parse_symbols,
    server_time,
    TradeFiles(FILES, LAYOUT, list_files, due, FIRST, has_silent_days=False),
    pair_of,
    is_default=False,
)
