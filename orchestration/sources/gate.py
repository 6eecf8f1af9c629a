"""Gate spot: an archive of every deal, one file per pair and month, listed where its bucket lives.

https://www.gate.com/docs/developers/apiv4 documents pairs and clock, https://www.gate.com/developer/historical_quotes
the archive. A month is written once it is over: the running one is not to be had.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from urllib.parse import quote

from orchestration.sources.body import Body, Parsed, SourceError, Window, distinct
from orchestration.sources.bucket import list_bucket
from orchestration.sources.exchange import Exchange, TradeFiles
from orchestration.sources.http import Host, Http
from orchestration.sources.pairs import listed
from orchestration.sources.trades import Layout, Side, TradeFile

# 200 requests in ten seconds and endpoint are allowed; of the archive no limit is known.
HOST = Host("gate", ("api.gateio.ws",), per_minute=600, burst=20)
FILES = Host("gate_files", ("download.gatedata.org",), per_minute=600, burst=60)
# The host of the files gives one and the same listing whatever is asked; the bucket behind it lists.
LISTING = Host("gate_listing", ("s3-ap-northeast-1.amazonaws.com",), per_minute=600, burst=60)
BUCKET = "/gateio-public-data"

FIRST = date(2018, 1, 1)
# Months are written on the 1st of the next; the hour is from memory.
DUE = timedelta(hours=12)
FILE = re.compile(r"spot/deals/(?P<folder>\d{6})/(?P<symbol>[^/]+)-(?P<month>\d{6})\.csv\.gz")
LEVERAGED = re.compile(r".+[35][LS]")

LAYOUT = Layout(
    positions=("time", "id", "price", "size", "side"),
    names={},
    time_unit="s",
    side=Side(
        ("1",),
        ("2",),
        "taker",
        "fifth column of spot/deals: 1 = buy, 2 = sell; that it is the taker's was shown by price impact, and is what "
        "the API documents of `side`",
    ),
)


def fetch_symbols(http: Http) -> Iterator[Body]:
    """Yield the currency pairs, those that trade; the list has no clock in it, so the server's goes into the context.

    Raises SourceError where the server tells no time."""
    answer = http.get(HOST, "/api/v4/spot/time")
    clock = Body("gate", "clock", answer.url, answer.status, answer.fetched_at, answer.content)
    try:
        now = datetime(1970, 1, 1) + timedelta(milliseconds=clock.data["server_time"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise SourceError(f"{answer.url}: no server_time in milliseconds ({error!r})", content=answer.content) from None
    answer = http.get(HOST, "/api/v4/spot/currency_pairs")
    context = {"now": now.isoformat()}
    yield Body("gate", "spot_symbols", answer.url, answer.status, answer.fetched_at, answer.content, context)


def parse_symbols(body: Body) -> Parsed:
    """Rows of records.SPOT_SYMBOLS without leveraged tokens; a pair on which only one side may trade trades.

    Raises SourceError where the body is not a list of currency pairs."""
    try:
        return listed(
            body,
            (
                (pair["id"], pair["base"], pair["quote"], pair["trade_status"], pair["trade_status"] != "untradable")
                for pair in distinct(body.data)
                if not LEVERAGED.fullmatch(pair["base"])
            ),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SourceError(f"{body.url}: not a list of currency pairs ({error!r})") from None


def server_time(body: Body) -> datetime:
    """The exchange's clock (naive UTC) when it listed its pairs. Raises SourceError where nobody asked for it."""
    try:
        return datetime.fromisoformat(body.context["now"])
    except (KeyError, ValueError) as error:
        raise SourceError(f"{body.url}: the server's time was not kept with it ({error!r})") from None


def pair_of(symbol: str) -> tuple[str, str] | None:
    base, _, quoted = symbol.upper().rpartition("_")
    return (base, quoted) if base and quoted else None


def list_files(http: Http, symbols: Sequence[str], window: Window, now: datetime) -> Iterator[TradeFile]:
    """Yield every file of the months that the window touches, as the bucket lists them, month by month: all pairs that
    ever were, whatever `symbols` says, without leveraged tokens. A few pages a month.

    Files of no bytes occur: nothing was traded, or nothing was written."""
    month = max(window.start, FIRST).replace(day=1)
    while month < window.end:
        end = _next(month)
        for found in list_bucket(http, LISTING, BUCKET, f"spot/deals/{month:%Y%m}/"):
            name = FILE.fullmatch(found.key)
            if name is None or name["folder"] != name["month"] or _is_leveraged(name["symbol"]):
                continue
            yield TradeFile(
                f"https://{FILES.hosts[0]}/{quote(found.key)}",
                name["symbol"],
                datetime.combine(month, time()),
                datetime.combine(end, time()),
                due(month),
                found.etag,
                found.byte_count,
            )
        month = end


def due(day: date) -> datetime:
    """When the file of that day's month should be there."""
    return datetime.combine(_next(day), time()) + DUE


def _next(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _is_leveraged(symbol: str) -> bool:
    pair = pair_of(symbol)
    return pair is not None and LEVERAGED.fullmatch(pair[0]) is not None


EXCHANGE = Exchange(
    HOST,
    fetch_symbols,
    parse_symbols,
    server_time,
    TradeFiles(FILES, LAYOUT, list_files, due, FIRST),
    pair_of,
    is_default=False,
)
