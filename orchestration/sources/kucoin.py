"""KuCoin spot: an archive with a file of trades per symbol and day, each with its MD5 beside it.

https://www.kucoin.com/docs-new (spot market data), https://historical-data.kucoin.com. The API writes BTC-USDT, the
archive BTCUSDT; here a symbol is spelled as the API does.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from orchestration.sources.body import Body, Parsed, SourceError, Window, distinct
from orchestration.sources.bucket import Listed, list_bucket, list_each
from orchestration.sources.exchange import Exchange, TradeFiles
from orchestration.sources.http import Host, Http, is_json
from orchestration.sources.pairs import listed, split
from orchestration.sources.trades import Layout, Side, TradeFile

# In units of its public pool: 2,000 in 30 s.
HOST = Host(name="kucoin", hosts=("api.kucoin.com",), per_minute=3000, burst=100)
ARCHIVE = Host(name="kucoin_archive", hosts=("historical-data.kucoin.com",), per_minute=3000, burst=50, connections=16)
ROOT = "data/spot/daily/trades/"
CHECKSUM = ".CHECKSUM"
LAG = timedelta(hours=8)
"""a file is there so long after its day is over"""
EPOCH = datetime(1970, 1, 1)
# A name has no mark between its two assets. From listings and from memory.
QUOTES = (
    "USDT",
    "USDC",
    "USDE",
    "USDD",
    "USDG",
    "USD1",
    "TUSD",
    "PAX",
    "UST",
    "DAI",
    "BTC",
    "ETH",
    "KCS",
    "TRX",
    "EUR",
    "BRL",
)
RENAMED = {"BCHSV": "BSV", "WAX": "WAXP", "LOKI": "OXEN", "R": "REV"}
"""coins whose symbols were left as they were: what /api/v1/symbols gives as their base"""
_FOLDER = re.compile(ROOT + r"(\w+)/")
_FILE = re.compile(ROOT + r"(?P<name>\w+)/(?P=name)-trades-(?P<day>\d{4}-\d\d-\d\d)\.zip")
_BUSY = re.compile(rb'"code":\s*"(429000|500000)"')

LAYOUT = Layout(
    positions=("id", "time", "price", "size", "side"),
    names={"trade_id": "id", "trade_time": "time", "price": "price", "size": "size", "side": "side"},
    time_unit="ms",
    side=Side(
        ("buy",),
        ("sell",),
        "taker",
        "https://www.kucoin.com/docs-new/rest/spot-trading/market-data/get-trade-history: side, 'taker order side'; "
        "the archive has the same",
    ),
)


def fetch_symbols(http: Http) -> Iterator[Body]:
    """Yield the symbols that are listed now; the exchange's clock, asked just before, is in the context."""
    told = http.get(HOST, "/api/v1/timestamp", weight=3, wrong=_is_well)
    clock = Body("kucoin", "time", told.url, told.status, told.fetched_at, told.content)
    try:
        now = EPOCH + timedelta(milliseconds=_data(clock))
    except (TypeError, ValueError, OverflowError) as error:
        raise SourceError(f"{clock.url}: no time in milliseconds ({error!r})", content=clock.content) from None
    answer = http.get(HOST, "/api/v2/symbols", weight=4, wrong=_is_well)
    context = {"server_time": now.isoformat()}
    yield Body("kucoin", "spot_symbols", answer.url, answer.status, answer.fetched_at, answer.content, context)


def parse_symbols(body: Body) -> Parsed:
    """Rows of records.SPOT_SYMBOLS. Raises SourceError where the body is no list of symbols."""
    try:
        return listed(
            body,
            (
                (
                    s["symbol"],
                    s["baseCurrency"],
                    s["quoteCurrency"],
                    "enabled" if s["enableTrading"] is True else "disabled",
                    s["enableTrading"] is True,
                )
                for s in distinct(_data(body))
            ),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SourceError(f"{body.url}: no list of symbols ({error!r})", content=body.content) from None


def server_time(body: Body) -> datetime:
    """The exchange's clock (naive UTC) when the symbols were asked for. Raises SourceError where it is not told."""
    try:
        return datetime.fromisoformat(body.context["server_time"])
    except (KeyError, ValueError) as error:
        raise SourceError(f"{body.url}: no server_time beside it ({error!r})") from None


def pair_of(symbol: str) -> tuple[str, str] | None:
    """BTC-USDT → BTC, USDT; None for what is no pair."""
    base, _, quote = symbol.upper().partition("-")
    return (RENAMED.get(base, base), quote) if base and quote and "-" not in quote else None


def symbol_of(name: str) -> str:
    """BTCUSDT → BTC-USDT, by the longest quote asset that is known; a name that ends in none stays as it is."""
    pair = split(name.upper(), QUOTES)
    return "-".join(pair) if pair else name


def list_files(http: Http, symbols: Sequence[str], window: Window, now: datetime) -> Iterator[TradeFile]:
    """Yield every file of a day of `window`, of all symbols that have a folder: who is delisted keeps it.

    Raises SourceError at the end where folders could not be listed."""
    if window.start >= window.end:
        return
    known = {symbol.replace("-", ""): symbol for symbol in symbols}
    folders = list_bucket(http, ARCHIVE, "/", ROOT, is_folded=True)
    names = [found[1] for folder in folders if (found := _FOLDER.fullmatch(folder.key))]

    def files(name: str) -> list[TradeFile]:
        return _files(http, name, known.get(name) or symbol_of(name), window)

    yield from list_each(ARCHIVE.connections, files, names)


def _files(http: Http, name: str, symbol: str, window: Window) -> list[TradeFile]:
    """Names are in the order of time: asked from the window's start on, and read up to its end."""
    found: list[tuple[Listed, date]] = []
    beside: set[str] = set()
    begin = f"{ROOT}{name}/{name}-trades-"
    for entry in list_bucket(http, ARCHIVE, "/", begin, f"{begin}{window.start}"):
        if entry.key.endswith(CHECKSUM):
            beside.add(entry.key.removesuffix(CHECKSUM))
            continue
        day = _day_of(entry.key)
        if day and day >= window.end:
            break
        if day:
            found.append((entry, day))
    return [_file(entry, symbol, day, entry.key in beside) for entry, day in found]


def _day_of(key: str) -> date | None:
    """None for a key that is no file of trades."""
    found = _FILE.fullmatch(key)
    try:
        return date.fromisoformat(found["day"]) if found else None
    except ValueError:
        return None


def _file(entry: Listed, symbol: str, day: date, has_checksum: bool) -> TradeFile:
    url, start = f"https://{ARCHIVE.hosts[0]}/{entry.key}", datetime.combine(day, time())
    checksum_url = url + CHECKSUM if has_checksum else None
    end = start + timedelta(days=1)
    return TradeFile(url, symbol, start, end, end + LAG, entry.etag, entry.byte_count, checksum_url)


def due(day: date) -> datetime:
    """When the file of a UTC day should be there."""
    return datetime.combine(day + timedelta(days=1), time()) + LAG


def _is_well(content: bytes) -> str | None:
    """None for an answer, else what is wrong with it and may pass."""
    busy = _BUSY.search(content[:200])
    return f"code {busy[1].decode()}, busy or asked too often" if busy else is_json(content)


def _data(body: Body) -> Any:
    answer = body.data
    if not isinstance(answer, dict) or answer.get("code") != "200000":
        raise SourceError(f"{body.url}: {str(answer)[:200]} instead of data", content=body.content)
    return answer.get("data")


EXCHANGE = Exchange(
    HOST,
    fetch_symbols,
    parse_symbols,
    server_time,
    TradeFiles(ARCHIVE, LAYOUT, list_files, due),
    pair_of,
    is_default=False,
)
