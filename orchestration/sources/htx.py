"""HTX spot: two archives of every trade in one bucket, a file per pair and day of UTC+8.

https://www.htx.com/en-us/opend/newApiPages/ documents pairs and clock. Up to 2026-01-31 `data/` is read, which goes
back to 2020 and which nobody promises; from then on `historical_data/`, which is offered and has no holes. A file is
there where something was traded.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from orchestration.sources.body import Body, Parsed, SourceError, Window, distinct
from orchestration.sources.bucket import list_bucket, list_each
from orchestration.sources.exchange import Exchange, TradeFiles
from orchestration.sources.http import Host, Http
from orchestration.sources.pairs import listed, split
from orchestration.sources.trades import Layout, Side, TradeFile

HOST = Host("htx", ("api.huobi.pro",), per_minute=300, burst=10)
# To be confirmed on the first live run: the bucket's own host. www.htx.com/data/ serves the same files and stops
# answering after a few listings.
ARCHIVE = Host("htx_files", ("huobi-service-data.s3.amazonaws.com",), per_minute=1200, burst=100)

CLOCK = timedelta(hours=8)
ONE_DAY = timedelta(days=1)
# The newest file was seen to be that of the day before; the hour at which it comes is not known.
DUE = timedelta(days=1)
LEVERAGED = re.compile(r".+[1-5][LS]")
# Quote assets of pairs that only the archive still knows. From memory.
QUOTES = (
    *("USDT", "USDC", "USDD", "TUSD", "HUSD", "USD1", "BTC", "ETH", "HT", "TRX"),
    *("USD", "EUR", "EUROC", "GBP", "TRY", "RUB", "UAH", "BRL", "KRW"),
)


@dataclass(frozen=True)
class Tree:
    """Files of the days [first, end), in a folder per pair below `root`; `mark` stands between base and quote."""

    root: str
    first: date
    end: date
    mark: str


SINCE = date(2026, 2, 1)
TREES = (
    Tree("data/trades/spot/daily/", date(2020, 6, 1), SINCE, ""),
    Tree("historical_data/spot/daily/trades/", SINCE, date.max, "-"),
)

LAYOUT = Layout(
    # Without a header, up to 2026: the order is that of the header which these files had at last.
    positions=("id", "time", "price", "size", "side"),
    names={
        **{"tradeid": "id", "ts": "time", "px": "price", "size": "size", "side": "side"},
        **{"trade id": "id", "trade time": "time", "trade price": "price", "volume (base currency)": "size"},
        "side (buy": "side",
    },
    time_unit="ms",
    side=Side(("buy",), ("sell",), "taker", "`direction` of /market/history/trade, the taker's; `side` in the files"),
    clock_hours=8,
)


def fetch_symbols(http: Http) -> Iterator[Body]:
    """Yield the pairs, those that trade no more too; the list has no clock in it, so the server's goes into the
    context. Raises SourceError where the server tells no time."""
    answer = http.get(HOST, "/v1/common/timestamp")
    clock = Body("htx", "clock", answer.url, answer.status, answer.fetched_at, answer.content)
    try:
        now = datetime(1970, 1, 1) + timedelta(milliseconds=clock.data["data"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise SourceError(f"{answer.url}: no time in milliseconds ({error!r})", content=answer.content) from None
    answer = http.get(HOST, "/v1/common/symbols")
    context = {"now": now.isoformat()}
    yield Body("htx", "spot_symbols", answer.url, answer.status, answer.fetched_at, answer.content, context)


def parse_symbols(body: Body) -> Parsed:
    """Rows of records.SPOT_SYMBOLS without leveraged tokens, spelled as the archive does: BASE-QUOTE.

    Raises SourceError where the body is not the answer of /v1/common/symbols."""
    try:
        return listed(
            body,
            (
                (f"{base}-{quoted}", base, quoted, pair["state"], pair["state"] == "online")
                for pair in distinct(body.data["data"])
                for base, quoted in [(pair["base-currency"].upper(), pair["quote-currency"].upper())]
                if not LEVERAGED.fullmatch(base)
            ),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SourceError(f"{body.url}: not a list of pairs ({error!r})") from None


def server_time(body: Body) -> datetime:
    """The exchange's clock (naive UTC) when it listed its pairs. Raises SourceError where nobody asked for it."""
    try:
        return datetime.fromisoformat(body.context["now"])
    except (KeyError, ValueError) as error:
        raise SourceError(f"{body.url}: the server's time was not kept with it ({error!r})") from None


def pair_of(symbol: str) -> tuple[str, str] | None:
    base, _, quoted = symbol.rpartition("-")
    return (base, quoted) if base and quoted else None


def list_files(http: Http, symbols: Sequence[str], window: Window, now: datetime) -> Iterator[TradeFile]:
    """Yield the files of every pair that has a folder, without leveraged tokens; of folders that no listing names any
    more those whose quote asset is known. One page for each pair, more only for years.

    The file of day D holds D-1 16:00 to D 16:00 UTC: a UTC day is in two of them."""
    joined = {symbol.replace("-", ""): symbol for symbol in symbols}
    for tree in TREES:
        days = Window(max(window.start, tree.first), min(window.end + ONE_DAY, tree.end))
        if days.start >= days.end:
            continue
        folders: dict[str, str] = {}
        for folder in list_bucket(http, ARCHIVE, "/", tree.root, is_folded=True):
            name = folder.key.removeprefix(tree.root).removesuffix("/")
            symbol = _spelled(name, tree, joined)
            if folder.key.endswith("/") and symbol and not LEVERAGED.fullmatch(symbol.rpartition("-")[0]):
                folders[name] = symbol

        def files(name: str, tree=tree, days=days, folders=folders) -> Iterator[TradeFile]:
            return _files(http, tree, name, folders[name], days)

        yield from list_each(ARCHIVE.connections, files, folders)


def due(day: date) -> datetime:
    """When the file with the last eight hours of that UTC day should be there."""
    return _start(day + ONE_DAY) + ONE_DAY + DUE


def _files(http: Http, tree: Tree, name: str, symbol: str, days: Window) -> Iterator[TradeFile]:
    prefix = f"{tree.root}{name}/{name}-trades-"
    file = re.compile(re.escape(prefix) + r"(\d{4}-\d\d-\d\d)\.zip")
    for found in list_bucket(http, ARCHIVE, "/", prefix, marker=f"{prefix}{days.start}"):
        dated = file.fullmatch(found.key)
        if dated is None:
            continue
        day = date.fromisoformat(dated[1])
        if day >= days.end:
            return
        url, start = f"https://{ARCHIVE.hosts[0]}/{found.key}", _start(day)
        end = start + ONE_DAY
        yield TradeFile(url, symbol, start, end, end + DUE, found.etag, found.byte_count)


def _start(day: date) -> datetime:
    """When (naive UTC) the day begins by the exchange's clock."""
    return datetime.combine(day, time()) - CLOCK


def _spelled(name: str, tree: Tree, joined: Mapping[str, str]) -> str | None:
    """BASE-QUOTE of a folder; None where its quote asset is not known."""
    if tree.mark:
        return name if pair_of(name) else None
    pair = split(name, QUOTES)
    return joined.get(name) or (f"{pair[0]}-{pair[1]}" if pair else None)


EXCHANGE = Exchange(
    HOST,
    fetch_symbols,
    parse_symbols,
    server_time,
    TradeFiles(ARCHIVE, LAYOUT, list_files, due, TREES[0].first, has_silent_days=False),
    pair_of,
    is_default=False,
)
