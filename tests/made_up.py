"""An exchange that nobody runs: all that `orchestration/sources/<exchange>.py` of a new one has to say.

It offers a CSV file of every trade per symbol and UTC day, six hours after the day, and names the side of the order
that rested. Nothing lists the files.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta

from orchestration.sources.body import Body, Parsed, SourceError, Window
from orchestration.sources.exchange import Exchange, TradeFiles
from orchestration.sources.http import Host, Http
from orchestration.sources.pairs import listed
from orchestration.sources.trades import Layout, Side, TradeFile

HOST = Host("made_up", ("api.made-up.example",), per_minute=600, burst=20)
FILES = Host("made_up_files", ("files.made-up.example",), per_minute=600, burst=20)
FIRST, LAG, DAY = date(2023, 1, 12), timedelta(hours=6), timedelta(days=1)
LAYOUT = Layout(
    positions=("id", "time", "price", "size", "side"),
    names={"no": "id", "ms": "time", "price": "price", "amount": "size", "resting": "side"},
    time_unit="ms",
    side=Side(("bid",), ("ask",), "maker", "made up: `resting` is the side of the order that was in the book"),
)


def fetch_symbols(http: Http) -> Iterator[Body]:
    answer = http.get(HOST, "/pairs")
    yield Body(HOST.name, "spot_symbols", answer.url, answer.status, answer.fetched_at, answer.content)


def parse_symbols(body: Body) -> Parsed:
    try:
        pairs = body.data["pairs"]
        return listed(body, ((p["name"], p["base"], p["quote"], p["state"], p["state"] == "open") for p in pairs))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SourceError(f"{body.url}: no list of pairs ({error!r})", content=body.content) from None


def server_time(body: Body) -> datetime:
    try:
        return datetime(1970, 1, 1) + timedelta(milliseconds=body.data["now"])
    except (KeyError, TypeError, OverflowError) as error:
        raise SourceError(f"{body.url}: no `now` in milliseconds ({error!r})", content=body.content) from None


def pair_of(symbol: str) -> tuple[str, str] | None:
    base, _, quote = symbol.partition("_")
    return (base, quote) if base and quote else None


def list_files(http: Http, symbols: Sequence[str], window: Window, now: datetime) -> Iterator[TradeFile]:
    for symbol in symbols:
        day = max(window.start, FIRST)
        while day < window.end:
            url, start = f"https://{FILES.hosts[0]}/{symbol}/{day}.csv", datetime.combine(day, time())
            yield TradeFile(url, symbol, start, start + DAY, due(day))
            day += DAY


def due(day: date) -> datetime:
    return datetime.combine(day + DAY, time()) + LAG


FLOWS = TradeFiles(FILES, LAYOUT, list_files, due, first=FIRST, is_listed=False)
EXCHANGE = Exchange(HOST, fetch_symbols, parse_symbols, server_time, FLOWS, pair_of)
