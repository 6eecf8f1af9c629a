"""What the tests of sources that page through trades share: upstreams that are made up, one that is served, sums."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
from hypothesis import strategies as st

from orchestration.reduce_pages import PageReducer
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sandbox.limits import SlidingWindow
from orchestration.sandbox.truth_ledger import Ledger
from orchestration.sources.body import Body, SourceError, Window
from orchestration.sources.exchange import Exchange, TradePages
from orchestration.sources.http import Answer, Budget, Host, Http, is_json
from orchestration.sources.trades import TRADES
from orchestration.trade_sums import Sums
from tests.served import served, upstreams

FIRST = date(2026, 3, 1)
DAY_US = 86_400_000_000
START_US = (FIRST - date(1970, 1, 1)).days * DAY_US
NOON = datetime(2026, 3, 8, 12)
CONTEXT = {"symbol": "X", "start": "2026-03-01", "end": "2026-03-02", "now": "2026-03-02T00:00:00"}


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def window(first: int, end: int) -> Window:
    """Days since FIRST."""
    return Window(day(first), day(end))


def midnight(number: int) -> datetime:
    return datetime.combine(day(number), time())


def flows_of(source: ModuleType) -> TradePages:
    assert isinstance(source.EXCHANGE.flows, TradePages)
    return source.EXCHANGE.flows


def page(source: ModuleType, content: object, dataset: str = "spot_trades", **context: str) -> Body:
    """A body as fetched; anything but bytes is written as JSON."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    name = source.HOST.name
    return Body(name, dataset, f"https://{name}.example/x", 200, NOON, raw, CONTEXT | context)


class Upstream:
    """Stands for `Http`: `answer` makes content of path and query. Keeps what was asked, and fails where that never
    ends."""

    def __init__(self, answer: Callable[[str, dict[str, Any]], object], most: int = 400):
        self.answer, self.most = answer, most
        self.asked: list[dict[str, Any]] = []

    def get(self, host, path, params=None, weight=1, wrong=is_json) -> Answer:
        self.asked.append({"path": path, **(params or {})})
        assert len(self.asked) <= self.most, f"{len(self.asked)} requests: paging does not end"
        content = self.answer(path, dict(params or {}))
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        assert wrong(raw) is None
        return Answer(f"https://{host.hosts[0]}{path}", 200, raw, NOON)

    @property
    def http(self) -> Http:
        return cast(Http, self)


def script(*contents: object) -> Upstream:
    """Answers with the contents, one after the other, and goes on with the last."""
    left = list(contents)
    return Upstream(lambda path, query: left.pop(0) if len(left) > 1 else left[0])


def fetched(source: ModuleType, upstream: Upstream, of: Window, now: datetime, symbol: str = "X") -> list[dict]:
    """The trades that a fetch hands on, page by page, in their order."""
    flows = flows_of(source)
    found = []
    for body in flows.fetch(upstream.http, symbol, of, now):
        table = flows.parse(body)
        assert table.schema.equals(TRADES) and (body.upstream, body.dataset) == (source.HOST.name, "spot_trades")
        assert body.context["symbol"] == symbol
        found += table.to_pylist()
    return found


def inside(trades: Iterable[dict], of: Window) -> list[dict]:
    start, end = ((d - FIRST).days * DAY_US + START_US for d in (of.start, of.end))
    return [trade for trade in trades if start <= trade["time_us"] < end]


@contextmanager
def pages_of(source: ModuleType, count: int) -> Iterator[None]:
    """Pages of `count` trades, so that few trades are many pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "PAGE", count)
        yield


_edges = [number * DAY_US + offset for number in range(4) for offset in (0, 1, DAY_US // 2, DAY_US - 1_000, DAY_US - 1)]
moments = st.lists(st.sampled_from(_edges) | st.integers(0, 4 * DAY_US - 1), max_size=40).map(
    lambda offsets: sorted(START_US + offset for offset in offsets)
)
"""Times of trades of the four days from FIRST on, many of them at the edges of days and several at one moment"""


# --- against a sandbox


def reduced(source: ModuleType, http: Http, symbol: str, of: Window, now: datetime) -> tuple[Sums, int]:
    """Exact sums of a symbol, as a run makes them, and how many pages that took. No page holds a trade twice."""
    flows = flows_of(source)
    reducer, pages = PageReducer(flows.side, symbol), 0
    for body in flows.fetch(http, symbol, of, now):
        reducer.add(flows.parse(body))
        pages += 1
    assert not reducer.refused.count and not reducer.repeated_count
    return reducer.sums, pages


def assert_true(source: ModuleType, market: GeneratedMarket, of: Window, count: int | None = None) -> int:
    """Asks a sandbox of `market`, by HTTP, for every symbol that trades: all that was traded comes, exactly. Returns
    the number of pages. `count`: trades of a page."""
    exchange: Exchange = source.EXCHANGE
    ledger = Ledger(market, [exchange.host.name], as_labelled=True)
    days = [i for i, d in enumerate(ledger.days) if of.start <= d < of.end]
    wanted = {
        (book.symbol, ledger.days[i]): (int(book.trades[i]), int(book.volume_quote[i]), int(book.buy_quote[i]))
        for book in ledger.books
        for i in days
        if book.present[i]
    }
    found: dict[tuple[str, date], tuple[int, int, int]] = {}
    pages = 0
    with pytest.MonkeyPatch.context() as patch, served(upstreams(market)) as url:
        patch.setattr(source, "HOST", replace(source.HOST, per_minute=600_000, burst=600_000))
        if count:
            patch.setattr(source, "PAGE", count)
        http = Http(url)
        (listing,) = exchange.fetch_symbols(http)
        now = exchange.server_time(listing) if exchange.server_time else datetime.combine(market.now, time())
        assert now == datetime.combine(market.now, time())
        rows = exchange.parse_symbols(listing).tables["spot_symbols"].to_pylist()
        assert exchange.pair_of
        for row in rows:
            assert exchange.pair_of(row["symbol"]) == (row["base_asset"], row["quote_asset"])
            if not row["is_trading"]:
                continue
            sums, asked = reduced(source, http, row["symbol"], of, now)
            pages += asked
            for key, total in sums.items():
                if of.start <= key[1] < of.end:
                    found[key] = total.all.count, int(total.all.quote.scaleb(8)), int(total.buys.quote.scaleb(8))
        http.close()
    assert wanted and found == wanted
    return pages


def assert_within(host: Host, limit: int, seconds: float) -> None:
    """Asked as fast as its budget allows, for three times as long as the limit counts, an upstream refuses nothing."""
    now = 0.0
    budget = Budget(host.per_minute, host.burst, lambda: now)
    window = SlidingWindow(limit, seconds, lambda: now)
    end = 3 * seconds
    while now < end:
        now += budget.reserve(1)
        assert window.charge().retry_after is None, f"{host.name}: refused after {now:.1f} s"


# --- recorded answers


def assert_oracle(shared: Path, source: ModuleType, name: str) -> None:
    """A recorded answer comes to the sums that were worked out independently, to twelve decimals."""
    wanted = json.loads((shared / "fixtures/ORACLE.json").read_text())["expected"][name]
    flows = flows_of(source)
    reducer = PageReducer(flows.side, "X")
    reducer.add(flows.parse(page(source, (shared / "fixtures" / name).read_bytes())))
    assert not reducer.refused.count and {str(d) for _, d in reducer.sums} == set(wanted)
    for (_, d), total in reducer.sums.items():
        sums, twelve = wanted[str(d)], Decimal("1e-12")
        found = total.buys.quote, total.all.quote - total.buys.quote
        told = Decimal(sums["taker_buy_quote"]), Decimal(sums["taker_sell_quote"])
        assert [x.quantize(twelve) for x in found] == [x.quantize(twelve) for x in told]
        assert total.all.count == sums["trades"]


# --- bodies gone wrong


def check_trades(source: ModuleType, content: bytes) -> None:
    """A table that can be summed, or a SourceError that says what came."""
    try:
        table = flows_of(source).parse(page(source, content))
    except SourceError as error:
        assert "https://" in str(error) and error.reason == "failed"
        str(error).encode()
    else:
        assert table.schema.equals(TRADES)
        table.validate(full=True)
        assert all(table[name].null_count == 0 for name in ("time_us", "price", "size", "side"))
        PageReducer(flows_of(source).side, "X").add(table)


def check_symbols(source: ModuleType, content: bytes) -> None:
    body = page(source, content, "spot_symbols")
    try:
        parsed = source.EXCHANGE.parse_symbols(body)
    except SourceError as error:
        assert "https://" in str(error)
        str(error).encode()
    else:
        parsed.tables["spot_symbols"].validate(full=True)
        assert all(column.null_count == 0 for column in parsed.tables["spot_symbols"].columns)
