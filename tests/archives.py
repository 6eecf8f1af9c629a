"""Trade files by real HTTP from a sandbox in this process, reduced, beside what the market itself says was traded."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from orchestration.reduce import Reduced, Task, reduce_file
from orchestration.sandbox import truth
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sandbox.truth_ledger import Ledger
from orchestration.sources.body import Window
from orchestration.sources.exchange import Exchange, TradeFiles
from orchestration.sources.http import Answer, Http
from orchestration.sources.trades import TradeFile
from orchestration.trade_sums import DaySum, Sums, merged
from tests.served import served, upstreams

NOON = datetime(2026, 3, 8, 12)
Keyed = dict[tuple[str, date], Any]


class Script:
    """Stands for `Http`: answers with the given contents, one after the other, and keeps what was asked."""

    def __init__(self, *contents: object):
        self.contents = list(contents)
        self.asked: list[tuple[str, Any]] = []

    def get(self, host, path, params=None, weight=1, wrong=None, post=None) -> Answer:
        self.asked.append((host.hosts[0] + path, post if post is not None else dict(params or {})))
        content = self.contents.pop(0)
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        return Answer(f"https://{host.hosts[0]}{path}", 200, raw, NOON)

    @property
    def http(self) -> Http:
        return cast(Http, self)


def page(*entries: tuple[str, int], folders: Sequence[str] = (), is_cut: bool = False) -> bytes:
    """A listing of a bucket: keys with their sizes, each tagged by its own name."""
    tagged = [(key, f"&quot;tag of {key.rpartition('/')[2]}&quot;", size) for key, size in entries]
    keys = "".join(
        f"<Contents><Key>{key}</Key><ETag>{tag}</ETag><Size>{size}</Size></Contents>" for key, tag, size in tagged
    )
    names = "".join(f"<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>" for folder in folders)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    return f"{head}<IsTruncated>{str(is_cut).lower()}</IsTruncated>{keys}{names}</ListBucketResult>".encode()


@contextmanager
def asking(market: GeneratedMarket) -> Iterator[Http]:
    """A client of a sandbox without rate limits."""
    with served(upstreams(market)) as base:
        http = Http(base)
        yield http
        http.close()


def files_of(exchange: Exchange) -> TradeFiles:
    assert isinstance(exchange.flows, TradeFiles)
    return exchange.flows


def listed(exchange: Exchange, http: Http, window: Window) -> list[TradeFile]:
    """As a run does it: symbols and clock from the API, then the archive."""
    (body,) = exchange.fetch_symbols(http)
    assert exchange.server_time
    symbols = exchange.parse_symbols(body).tables["spot_symbols"]["symbol"].to_pylist()
    return list(files_of(exchange).list_files(http, symbols, window, exchange.server_time(body)))


def reduced(exchange: Exchange, http: Http, files: Sequence[TradeFile], folder: Path) -> list[Reduced]:
    """Every file downloaded and reduced. AssertionError where a row is refused or repeated, or a listing told of
    another size or tag."""
    flows, found = files_of(exchange), []
    for file in files:
        path = folder / "file"
        got = http.download(flows.host, urlsplit(file.url).path, path)
        assert file.byte_count in (None, got.byte_count) and f'"{file.etag}"' in (got.etag, '"None"')
        done = reduce_file(Task(str(path), file.url, flows.layout, file.symbol, (file.start, file.end)))
        assert not done.refused.count and not done.repeated_count, done.refused.rows[:3]
        found.append(done)
    return found


def inside(sums: Sums, window: Window) -> dict[tuple[str, date], DaySum]:
    return {key: day for key, day in sums.items() if window.start <= key[1] < window.end}


def assert_true(market: GeneratedMarket, name: str, done: Sequence[Reduced], window: Window) -> Keyed:
    """Every day of every pair, exactly: counts, amounts and closes by the sides that the exchange writes, and what
    takers bought and sold in truth. Returns the sums of the window's days."""
    sums = inside(merged([one.sums for one in done]), window)
    assert {key: _figures(day) for key, day in sums.items()} == _labelled(market, name, window)
    true = {
        (row["symbol"], row["utc_date"]): (row["taker_buy_quote"], row["taker_sell_quote"])
        for row in truth.flows(market, [name]).to_pylist()
        if window.start <= row["utc_date"] < window.end
    }
    assert {key: (day.buys.quote, day.all.quote - day.buys.quote) for key, day in sums.items()} == true
    return sums


def _figures(day: DaySum) -> tuple:
    assert day.last is not None
    return day.all.count, day.all.base, day.all.quote, day.buys.quote, float(day.last[2])


def _labelled(market: GeneratedMarket, name: str, window: Window) -> Keyed:
    ledger, found = Ledger(market, [name], as_labelled=True), {}
    for book in ledger.books:
        base, quote = Decimal(1).scaleb(-book.base_decimals), Decimal(1).scaleb(-8)
        for at, day in enumerate(ledger.days):
            if book.present[at] and window.start <= day < window.end:
                found[book.symbol, day] = (
                    int(book.trades[at]),
                    int(book.volume_base[at]) * base,
                    int(book.volume_quote[at]) * quote,
                    int(book.buy_quote[at]) * quote,
                    float(book.close[at]),
                )
    return found
