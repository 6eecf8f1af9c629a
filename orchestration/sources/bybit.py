"""Bybit spot: an archive with a file of trades per symbol and day, and per symbol and month.

https://bybit-exchange.github.io/docs/v5/market/instrument, https://public.bybit.com/spot/. The site's own index
ignores what is asked; the bucket behind it lists itself.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta

from orchestration.sources.body import Body, Parsed, SourceError, Window, distinct
from orchestration.sources.bucket import Listed, list_bucket, list_each
from orchestration.sources.exchange import Exchange, TradeFiles
from orchestration.sources.http import Host, Http, is_json
from orchestration.sources.pairs import listed, split
from orchestration.sources.trades import Layout, Side, TradeFile

HOST = Host(name="bybit", hosts=("api.bybit.com", "api.bytick.com"), per_minute=600, burst=10)
# Who asks 50 times in a second is refused within five, and for ten minutes.
ARCHIVE = Host(
    name="bybit_archive", hosts=("public.bybit.com",), per_minute=1200, burst=10, connections=8, refuses_with=403
)
LISTING = Host(
    name="bybit_listing", hosts=("s3.ap-southeast-1.amazonaws.com",), per_minute=3000, burst=50, connections=16
)
BUCKET = "/public.bybit.com"
ROOT = "spot/"
FIRST_DAY = date(2022, 11, 10)
LAG = timedelta(hours=8)
"""a file is there so long after its last day is over"""
EPOCH = datetime(1970, 1, 1)
MOST_PAGES = 100
# A name has no mark between its two assets. From listings and from memory.
QUOTES = (
    "RLUSD",
    "USDT",
    "USDC",
    "USDE",
    "USDQ",
    "USDR",
    "USD1",
    "DAI",
    "BTC",
    "ETH",
    "SOL",
    "MNT",
    "EUR",
    "BRL",
    "PLN",
    "TRY",
)
_FOLDER = re.compile(ROOT + r"(\w+)/")
_FILE = re.compile(r"spot/(?P<symbol>\w+)/(?P=symbol)(?:_(?P<day>\d{4}-\d\d-\d\d)|-(?P<month>\d{4}-\d\d))\.csv\.gz")
# Too many visits, server timed out, server error: may pass.
_BUSY = re.compile(rb'"retCode":\s*(10006|10000|10016)\b')

LAYOUT = Layout(
    positions=("id", "time", "price", "size", "side"),
    names={"id": "id", "timestamp": "time", "price": "price", "volume": "size", "side": "side"},
    time_unit="ms",
    side=Side(
        ("buy",),
        ("sell",),
        "taker",
        "https://bybit-exchange.github.io/docs/v5/market/recent-trade: side, 'Side of taker'; the archive has the same",
    ),
)


def fetch_symbols(http: Http) -> Iterator[Body]:
    """Yield the instruments that are listed now (as a rule on one page), each page with the exchange's clock."""
    cursor, seen = "", set()
    for _ in range(MOST_PAGES):
        query = {"category": "spot", "limit": 1000, **({"cursor": cursor} if cursor else {})}
        answer = http.get(HOST, "/v5/market/instruments-info", query, wrong=is_well)
        body = Body("bybit", "spot_symbols", answer.url, answer.status, answer.fetched_at, answer.content)
        yield body
        cursor = _result(body).get("nextPageCursor") or ""
        if not cursor:
            return
        if cursor in seen:
            break
        seen.add(cursor)
    raise SourceError(f"{HOST.name} instruments-info: the pages do not end (cursor {cursor[:80]!r})")


def parse_symbols(body: Body) -> Parsed:
    """Rows of records.SPOT_SYMBOLS. Raises SourceError where the body is no list of instruments."""
    try:
        return listed(
            body,
            (
                (s["symbol"], s["baseCoin"], s["quoteCoin"], s["status"], s["status"] == "Trading")
                for s in distinct(_result(body)["list"])
            ),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SourceError(f"{body.url}: no list of instruments ({error!r})", content=body.content) from None


def server_time(body: Body) -> datetime:
    """The exchange's clock (naive UTC), from the envelope. Raises SourceError where it has none."""
    try:
        return EPOCH + timedelta(milliseconds=body.data["time"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise SourceError(f"{body.url}: no time in milliseconds ({error!r})", content=body.content) from None


def pair_of(symbol: str) -> tuple[str, str] | None:
    """BTCUSDT → BTC, USDT, by the longest quote asset that is known; None where none is."""
    return split(symbol.upper(), QUOTES)


def list_files(http: Http, symbols: Sequence[str], window: Window, now: datetime) -> Iterator[TradeFile]:
    """Yield every file of a day or a month of `window`, of all symbols that have a folder: who is delisted keeps it.

    Raises SourceError at the end where folders could not be listed."""
    window = Window(max(window.start, FIRST_DAY), window.end)
    if window.start >= window.end:
        return
    folders = list_bucket(http, LISTING, BUCKET, ROOT, is_folded=True)
    names = [found[1] for folder in folders if (found := _FOLDER.fullmatch(folder.key))]
    yield from list_each(LISTING.connections, lambda symbol: _files(http, symbol, window, now), names)


def _files(http: Http, symbol: str, window: Window, now: datetime) -> Iterator[TradeFile]:
    """Months first. Their names have a dash where those of days have an underscore, and each are in the order of
    time: asked from the window's start on, and read up to its end."""
    name = f"{ROOT}{symbol}/{symbol}"
    month = window.start.replace(day=1)
    wanted = [("_", window.start.isoformat())]
    if due(_next_month(month) - timedelta(days=1)) <= now:
        wanted.insert(0, ("-", f"{month:%Y-%m}"))
    for mark, since in wanted:
        for entry in list_bucket(http, LISTING, BUCKET, f"{name}{mark}", f"{name}{mark}{since}"):
            file = _file(entry)
            if file and file.start.date() >= window.end:
                break
            if file:
                yield file


def _file(entry: Listed) -> TradeFile | None:
    """None for a key that is no file of trades."""
    found = _FILE.fullmatch(entry.key)
    if found is None:
        return None
    try:
        start = date.fromisoformat(found["day"] or f"{found['month']}-01")
    except ValueError:
        return None
    end = start + timedelta(days=1) if found["day"] else _next_month(start)
    return TradeFile(
        f"https://{ARCHIVE.hosts[0]}/{entry.key}",
        found["symbol"],
        datetime.combine(start, time()),
        datetime.combine(end, time()),
        datetime.combine(end, time()) + LAG,
        entry.etag,
        entry.byte_count,
    )


def due(day: date) -> datetime:
    """When the file of a UTC day should be there."""
    return datetime.combine(day + timedelta(days=1), time()) + LAG


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def is_well(content: bytes) -> str | None:
    """None for an answer, else what is wrong with it and may pass."""
    busy = _BUSY.search(content[:200])
    return f"retCode {busy[1].decode()}, busy or asked too often" if busy else is_json(content)


def _result(body: Body) -> dict:
    answer = body.data
    if not isinstance(answer, dict) or answer.get("retCode") != 0 or not isinstance(answer.get("result"), dict):
        raise SourceError(f"{body.url}: {str(answer)[:200]} instead of a result", content=body.content)
    return answer["result"]


EXCHANGE = Exchange(
    HOST,
    fetch_symbols,
    parse_symbols,
    server_time,
    TradeFiles(ARCHIVE, LAYOUT, list_files, due, first=FIRST_DAY),
    pair_of,
    is_default=False,
)
