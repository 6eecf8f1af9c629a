"""Everything that reads what comes from outside, each with recorded bodies of its own.

A target reads one body and says what came of it. It may raise SourceError (ArchiveError where a pack is read) and
nothing else. `parsers`: the functions that it tries; tests/test_fuzz.py holds the list complete.
"""

import functools
import gzip
import hashlib
import json
import math
import random
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from orchestration.archive import Archive, ArchiveError, Asked
from orchestration.asking import open_days
from orchestration.asking.files import row_of
from orchestration.records import RECORDS, TAKER_ESTIMATES
from orchestration.reduce import Reduced, Task, reduce_file
from orchestration.reduce_pages import PageReducer
from orchestration.sources import (
    binance_usdm_days,
    binance_vision,
    bucket,
    bybit,
    http,
    imported,
    json_rows,
    okx,
    registry,
)
from orchestration.sources.binance_vision import KLINE
from orchestration.sources.body import Body, Parsed, Refused, SourceError, Window
from orchestration.sources.exchange import Exchange, Klines, Lacking, TradeFiles, TradePages
from orchestration.sources.http import Answer, Host
from orchestration.sources.reduction import Origin, reduction
from orchestration.sources.trades import TRADES, TradeFile
from tests.fuzz import bodies

FIXTURES = Path(__file__).parent.parent / "fixtures"
NOW = datetime(2026, 8, 1)
START, END = date(2010, 1, 1), date(2026, 8, 1)
WINDOW = {"start": START.isoformat(), "end": END.isoformat(), "now": NOW.isoformat()}
MOST_REQUESTS = 60

Read = Callable[[bytes], Any]


@dataclass(frozen=True)
class Target:
    """`read` gives what came of a body. `seeds`: bodies that it understands; `worst`: made to cost all they can."""

    name: str
    read: Read
    seeds: tuple[bytes, ...]
    parsers: tuple[Callable, ...] = ()
    worst: Callable[[], bodies.Made] = dict


# --- what was recorded


@functools.cache
def _typed(name: str) -> dict[str, Any]:
    return json.loads((FIXTURES / f"{name}.json").read_text())


def _raw(content: Any) -> bytes:
    return content.encode() if isinstance(content, str) else json.dumps(content, separators=(",", ":")).encode()


def _recorded(shared: Path | None, *names: str) -> list[bytes]:
    """What is recorded under these names, short and whole; nothing where nothing is shared."""
    found = []
    for name in names:
        path = shared / name if shared else None
        if path is None or not path.is_file():
            continue
        content = path.read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        found.append(bodies.small(content))
        if len(content) <= 1 << 16 and found[-1] != content:
            found.append(content)
    return found


# --- what must hold of what comes out


def check_parsed(parsed: Parsed) -> None:
    """Tables of the records' schemas whose cells are what the schemas say; refusals that can be stored."""
    assert type(parsed) is Parsed and parsed.rounded_count >= 0
    assert parsed.tables, "no table"
    for name, table in parsed.tables.items():
        check_table(table, RECORDS[name].schema)
    for row in parsed.refused:
        check_refused(row)


def check_table(table: pa.Table, schema: pa.Schema) -> None:
    assert table.schema.equals(schema, check_metadata=True), table.schema
    table.validate(full=True)
    for column, cells in zip(schema, table.columns, strict=True):
        assert column.nullable or not cells.null_count, f"{column.name} is NULL"
        if pa.types.is_floating(column.type):
            assert pc.all(pc.is_finite(cells)).as_py() is not False, f"{column.name} is not finite"
        if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
            cells.to_pylist()


def check_refused(row: Refused) -> None:
    assert row.table in RECORDS
    for text in (row.key, row.reason, row.row, row.body_sha256):
        text.encode()
    assert row.day is None or type(row.day) is date


def check_trades(table: pa.Table) -> None:
    check_table(table, TRADES)
    for text in pc.unique(table["price"]).to_pylist():
        Decimal(text)


def _plain(value: Any) -> None:
    """Names and addresses that can be written and sent."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, Iterable):
        for each in value:
            _plain(each)


# --- parsers of the registry


def body_of(upstream: str, dataset: str, content: bytes, url: str = "", **context: str) -> Body:
    return Body(upstream, dataset, url or f"https://{upstream}.example/", 200, NOW, content, context)


def _parser(name: str, dataset: str, parse: Callable[..., Parsed | pa.Table], url: str = "", **context: str) -> Read:
    def read(content: bytes) -> Parsed:
        body = body_of(name, dataset, content, url, **context)
        try:
            parsed = parse(body)
        except SourceError as error:
            assert "://" in str(error) or name == imported.UPSTREAM, f"{error}: of which address?"
            raise
        parsed = parsed if isinstance(parsed, Parsed) else Parsed({TAKER_ESTIMATES.table: parsed})
        check_parsed(parsed)
        return parsed

    return read


def _many(name: str, dataset: str, parse: Callable[..., Parsed], seed: bytes, url: str = "", **context: str) -> Read:
    """The same of a body between two that are sound: what is wrong with one must not touch the others."""

    def read(content: bytes) -> Parsed:
        own = body_of(name, dataset, content, url, **context)
        others = body_of(name, dataset, seed, url, **context), body_of(name, dataset, seed, url, **context)
        parsed = parse(others[0], own, others[1])
        check_parsed(parsed)
        return parsed

    return read


def _clock(name: str, server_time: Callable[[Body], datetime]) -> Read:
    def read(content: bytes) -> datetime:
        context = {"server_time": NOW.isoformat(), "now": NOW.isoformat()}
        told = server_time(body_of(name, "spot_symbols", content, **context))
        assert type(told) is datetime and told.tzinfo is None
        return told

    return read


def _pages(name: str, pages: TradePages, symbol: str) -> Read:
    def read(content: bytes) -> Parsed:
        repeated = {"repeated": json.dumps(["801", "None 1772323200000100 60000.1 0.2 b"])}
        table = pages.parse(body_of(name, "spot_trades", content, symbol=symbol, **WINDOW, **repeated))
        check_trades(table)
        reducer = PageReducer(pages.side, symbol)
        reducer.add(table)
        reducer.add(table)
        body = _reduction(name, symbol, reducer.sums, reducer.refused.rows, reducer.refused.count)
        parsed = registry.parse_flows(registry.EXCHANGES[name])(body)
        check_parsed(parsed)
        return parsed

    return read


def _reduction(name: str, scope: str, sums: dict, refused: Sequence, refused_count: int) -> Body:
    rows = [row_of(symbol, day, total) for (symbol, day), total in sums.items()]
    origins = [Origin(f"https://{name}.example/file", "0" * 64, 1)]
    window = Window(START, END)
    return reduction(name, scope, window, NOW, NOW, rows, origins, refused, refused_count)


def _file(name: str, flows: TradeFiles, symbol: str | None) -> Read:
    """A file of trades, to its sums, to the body that stands for it, to rows."""

    def read(content: bytes) -> Parsed:
        with tempfile.TemporaryDirectory(prefix="altflow-fuzz-") as folder:
            path = Path(folder) / "file"
            path.write_bytes(content)
            covers = datetime(2010, 1, 1), datetime(2026, 8, 1)
            done = reduce_file(Task(str(path), name, flows.layout, symbol, covers))
        assert type(done) is Reduced and done.refused.count >= len(done.refused.rows)
        pair_of = registry.EXCHANGES[name].pair_of
        assert pair_of, "who gives trades in files tells the pair by the name"
        sums = {key: day for key, day in done.sums.items() if pair_of(key[0])}
        parsed = registry.parse_flows(registry.EXCHANGES[name])(
            _reduction(name, symbol or "*", sums, done.refused.rows, done.refused.count)
        )
        check_parsed(parsed)
        return parsed

    return read


# --- fetching: whoever asks reads answers too, to know what to ask next


class Answering:
    """Stands for `Http`: answers with bodies of an upstream, which `content` changes; refuses as Http does what is not
    of the expected kind, and ends what would never end."""

    def __init__(self, pool: Sequence[bytes], content: bytes):
        self._pool, self._content = pool, content
        self._choose = random.Random(hashlib.sha256(content).digest())
        self._left = MOST_REQUESTS

    def get(self, host: Host, path: str, params=None, weight=1, wrong=http.is_json, post=None) -> Answer:
        _plain(path)
        http.query_of(host, params)
        json.dumps(post).encode()
        self._left -= 1
        if self._left < 0:
            raise SourceError(f"{host.name} {path}: no more")
        content = self._content if self._choose.random() < 0.6 else self._choose.choice(self._pool)
        if fault := wrong(content):
            raise SourceError(f"{host.name} {path}: HTTP 200 with {fault}")
        return Answer(f"https://{host.hosts[0]}{path}", 200, content, NOW, None)


def _as_http(answering: Answering) -> http.Http:
    """All that sources ask of Http is `get`."""
    return cast(http.Http, answering)


def _fetcher(fetch: Callable[..., Iterable], pool: Sequence[bytes], *asked: Any) -> Read:
    def read(content: bytes) -> int:
        count = 0
        for found in islice(fetch(Answering(pool, content), *asked), 500):
            count += 1
            if isinstance(found, Body):
                assert found.url.startswith("https://") and all(type(v) is str for v in found.context.values())
            elif isinstance(found, TradeFile):
                assert found.url.startswith("https://") and found.start < found.end
                _plain((found.url, found.symbol or "", *found.also))
            else:
                assert isinstance(found, Lacking | str)
        return count

    return read


def _of_exchange(name: str, exchange: Exchange, shared: Path | None) -> Iterator[Target]:
    typed = _typed(name) if (FIXTURES / f"{name}.json").is_file() else {"symbols": [], "flows": {}}
    flows, window = exchange.flows, Window(date(2026, 2, 25), date(2026, 3, 2))
    symbol = typed["flows"].get("symbol") or {"okx": "BTC-USDT"}.get(name, "BTCUSDT")
    listings = [_raw(each) for each in typed["symbols"]] + _recorded(shared, *RECORDED.get(f"{name} symbols", ()))
    parse_flows = registry.parse_flows(exchange)
    yield Target(
        f"{name} symbols",
        _parser(name, exchange.symbols_table, exchange.parse_symbols),
        tuple(listings),
        (exchange.parse_symbols,),
    )
    if exchange.server_time:
        yield Target(f"{name} clock", _clock(name, exchange.server_time), tuple(listings), (exchange.server_time,))
    pool = [*listings, *CLOCKS]
    yield Target(f"{name} asked for symbols", _fetcher(exchange.fetch_symbols, pool), tuple(pool))
    if isinstance(flows, Klines):
        pages = [_raw(each) for each in typed["flows"].get("klines", ())]
        pages += _recorded(shared, *RECORDED.get(f"{name} flows", ()))
        context = {"symbol": symbol, **WINDOW}
        read = _parser(name, exchange.flows_table, parse_flows, **context)
        yield Target(f"{name} flows", read, tuple(pages), (flows.parse,), worst=_bars)
        read = _many(name, exchange.flows_table, parse_flows, pages[0], **context)
        yield Target(f"{name} flows of many", read, tuple(pages))
        asked = _fetcher(flows.fetch, [*pages, LISTING], symbol, Window(date(2019, 1, 1), END), NOW)
        yield Target(f"{name} asked for flows", asked, tuple(pages))
    elif isinstance(flows, TradePages):
        pages = [_raw(each) for each in typed["flows"]["pages"]] + _recorded(shared, *RECORDED.get(f"{name} flows", ()))
        yield Target(f"{name} pages", _pages(name, flows, symbol), tuple(pages), (flows.parse,))
        now = datetime(2026, 3, 2, 0, 0, 0)
        fetchers = [flows.fetch] if name != "bitstamp" else []
        for fetch in fetchers:
            yield Target(
                f"{name} asked for pages", _fetcher(fetch, [*pages, *CLOCKS], symbol, window, now), tuple(pages)
            )
        if flows.fetch_since:
            asked = _fetcher(flows.fetch_since, [*pages, *CLOCKS], symbol, datetime(2026, 3, 1, 12), now)
            yield Target(f"{name} asked since", asked, (*pages, *CLOCKS))
    else:
        lines = "".join(line + "\n" for line in typed["flows"]["lines"]).encode(flows.layout.encoding)
        plain = [lines, *_recorded(shared, *RECORDED.get(f"{name} flows", ()))]
        files = [*plain, *(gzip.compress(each, mtime=0) for each in plain), bodies.zip_of("trades.csv", lines)]
        own = typed["flows"]["symbol"]
        yield Target(f"{name} file", _file(name, flows, own), tuple(files), worst=_files)
        if name not in READ_BY_NAME:
            asked = _fetcher(flows.list_files, [LISTING, INDEX, *listings], [symbol], window, NOW)
            yield Target(f"{name} asked for files", asked, (LISTING, INDEX))
        written = _file(name, flows, own)(plain[0])
        assert written.tables["spot_flows"].num_rows, f"{name}: a file without a trade proves nothing"
    if not isinstance(flows, Klines):
        yield _reduced(name, symbol)
    if exchange.estimates:
        estimates = exchange.estimates
        rows = _recorded(shared, "fixtures/okx/rubik_taker_volume_spot_1D.json") or []
        rows += [_hours()]
        names = [_raw({"code": "0", "data": {"spot": ["BTC", "ETH"], "contract": ["BTC"]}, "msg": ""})]
        read = _parser(name, "taker_estimates", estimates.parse, asset="BTC", **WINDOW)
        yield Target(f"{name} estimates", read, tuple(rows), (estimates.parse,))
        yield Target(
            f"{name} estimated assets",
            lambda content: _plain(estimates.assets(body_of(name, "estimated_assets", content))),
            tuple(names),
            (estimates.assets,),
        )
        asked = _fetcher(estimates.fetch, rows, "BTC", window, datetime(2026, 3, 3))
        yield Target(f"{name} asked for estimates", asked, tuple(rows))
    for spare in filter(None, [getattr(flows, "spare", None)]):
        yield Target(
            f"{name} archive's names",
            lambda content, spare=spare: _plain(spare.names(body_of(name, "spot_names", content))),
            (FOLDERS,),
            (spare.names,),
        )
        asked = _fetcher(spare.fetch, [LISTING, CHECKSUM, *ZIPS], "BTCUSDT", window, NOW)
        yield Target(f"{name} asked for the archive", asked, (LISTING, CHECKSUM, *ZIPS))
        yield Target(f"{name} asked for the archive's names", _fetcher(spare.fetch_symbols, [FOLDERS]), (FOLDERS,))
        read = _parser(name, exchange.flows_table, parse_flows, ZIP_URL, symbol="BTCUSDT", form="zip", **WINDOW)
        yield Target(f"{name} archive", read, ZIPS, worst=lambda: bodies.zips(f"{ZIP_NAME}.csv"))
        read = _parser(name, exchange.flows_table, parse_flows, symbol="BTCUSDT", form="listing", **WINDOW)
        yield Target(f"{name} archive's listing", read, (LISTING,))
    if exchange.second:
        second = exchange.second
        read = _parser(
            name, "archive_flows", second.parse, ZIP_URL, symbol="BTCUSDT", form="zip", grain="daily", **WINDOW
        )
        yield Target(f"{name} second source", read, ZIPS, (second.parse,))
        asked = _fetcher(second.fetch, [LISTING, CHECKSUM, *ZIPS], "BTCUSDT", "daily", window, NOW)
        yield Target(f"{name} asked for the second source", asked, (LISTING, CHECKSUM, *ZIPS))
    for series in exchange.series:
        yield from _of_series(name, series, shared)
    if exchange.fetch_volumes:
        fetch_volumes = exchange.fetch_volumes
        seeds = _recorded(shared, "fixtures/binance_rest/ticker24hr_all_6kept.json")
        seeds.append(b'[{"symbol":"BTCUSDT","quoteVolume":"1.5"},{"symbol":"ETHUSDT","quoteVolume":"0.1"}]')

        def volumes(content: bytes) -> None:
            told = fetch_volumes(_as_http(Answering([content], content)))
            assert all(type(symbol) is str and math.isfinite(value) for symbol, value in told.items())

        yield Target(f"{name} volumes", volumes, tuple(seeds))


def _of_series(name: str, series: Any, shared: Path | None) -> Iterator[Target]:
    day = {"symbol": "BTCUSDT", "start": "2026-07-29", "end": "2026-07-30", "now": NOW.isoformat()}
    wide = {"symbol": "BTCUSDT", **WINDOW}
    window = Window(date(2026, 7, 28), date(2026, 7, 30))
    table = series.table
    if table in ("perpetual_metrics", "perpetual_depth"):
        kind = {"perpetual_metrics": "metrics", "perpetual_depth": "bookDepth"}[table]
        rows = {"metrics": METRICS_CSV, "bookDepth": DEPTH_CSV}[kind]
        texts = [rows, *_recorded(shared, f"fixtures/binance_vision/um_{kind}_BTCUSDT_2026-07-29.csv")]
        stem = f"BTCUSDT-{kind}-2026-07-29"
        url = f"https://data.binance.vision/data/{stem}.zip"
        zips = tuple(bodies.zip_of(f"{stem}.csv", text) for text in texts)
        listing = _listing(f"data/futures/um/daily/{kind}/BTCUSDT/{stem}.zip")

        def worst() -> bodies.Made:
            return bodies.zips(f"{stem}.csv") | _rows_of(f"{stem}.csv", rows)

        asked = _fetcher(series.fetch, [listing, CHECKSUM, *zips], "BTCUSDT", window, NOW)
        yield Target(f"{name} asked for {table}", asked, (listing, CHECKSUM, *zips))
        if table == "perpetual_metrics":
            read = _parser(name, table, series.parse, url, **day)
            yield Target(f"{name} {table}", read, zips, (series.parse,), worst)
            yield Target(f"{name} {table} of many", _many(name, table, series.parse, zips[0], url, **day), zips)
            return

        def look(content: bytes) -> bytes:
            depth = binance_usdm_days.day_depth(body_of(name, table, content, url, **day))
            written = binance_usdm_days.written([depth])
            check_parsed(series.parse(body_of(name, table, written, url, **day)))
            return written

        yield Target(f"{name} looks at depth", look, zips, (binance_usdm_days.day_depth,), worst)
        seeds = tuple(look(each) for each in zips)
        yield Target(f"{name} {table}", _parser(name, table, series.parse, **day), seeds, (series.parse,))
        return
    recorded = {
        "funding_rates": "fixtures/binance_futures/fundingRate_BTCUSDT_100.json",
        "open_interest": "fixtures/binance_futures/openInterestHist_LTCUSDT_1d_10.json",
    }
    seeds = [SERIES[table], *_recorded(shared, recorded[table])]
    read = _parser(name, table, series.parse, **wide)
    yield Target(f"{name} {table}", read, tuple(seeds), (series.parse,))
    yield Target(f"{name} {table} of many", _many(name, table, series.parse, seeds[0], **wide), tuple(seeds))
    asked = _fetcher(series.fetch, seeds, "BTCUSDT", window, NOW)
    yield Target(f"{name} asked for {table}", asked, tuple(seeds))


def _reduced(name: str, symbol: str) -> Target:
    """The body that stands for reduced trades comes from our own archive; it may be older or damaged all the same."""
    row = [
        symbol,
        "2026-03-01",
        3,
        "1",
        "2",
        "1",
        "1.5",
        "10",
        "15.000",
        "5",
        "7.5",
        *[[[3, "15", "7.5"]] + [[0, "0", "0"]] * 3],
    ]
    columns = ["symbol", "utc_date", "trade_count", "open_price", "high_price", "low_price", "close_price"]
    columns += ["volume_base", "volume_quote", "taker_buy_base", "taker_buy_quote", "sizes"]
    content = {
        "kind": "trades",
        "columns": columns,
        "rows": [row, [symbol, "2026-03-02", *row[2:]]],
        "repeated_count": 0,
        "refused_count": 3,
        "refused": [["a,b", "is no trade", "2026-03-01"], ["c", "is no trade", None]],
    }
    parse = registry.parse_flows(registry.EXCHANGES[name])
    return Target(
        f"{name} reduced trades", _parser(name, "spot_flows", parse, symbol=symbol, **WINDOW), (_raw(content),)
    )


def _of_dataset(dataset: registry.Dataset, shared: Path | None) -> Iterator[Target]:
    name = f"{dataset.upstream} {dataset.name}"
    scope, contexts = DATASETS[name.replace("macro_observations", "macro")]
    seeds = [*TYPED[name], *_recorded(shared, *RECORDED.get(name, ()))]
    read = _parser(dataset.upstream, dataset.name, dataset.parse, **contexts)
    yield Target(name, read, tuple(seeds), (dataset.parse,))
    yield Target(f"{name} asked for", _fetcher(dataset.fetch, [*seeds, *CLOCKS], scope), (*seeds, *CLOCKS))


def _hours() -> bytes:
    start = 1772323200000
    rows = [[str(start + i * 3_600_000), "10.5", "9.25"] for i in range(24)]
    return _raw({"code": "0", "data": rows, "msg": ""})


def _listing(*keys: str) -> bytes:
    entries = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2026-07-30T00:00:00.000Z</LastModified>"
        f"<ETag>&quot;{'0' * 32}&quot;</ETag><Size>100</Size></Contents>"
        for key in sorted(keys)
    )
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    return f"{head}<Name>b</Name><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>".encode()


def _files() -> bodies.Made:
    return bodies.zips("trades.csv") | bodies.gzips() | {"no trades": lambda: b"a,b\n" * 200_000}


def _bars() -> bodies.Made:
    return {
        "a page of a row 8,000 times": lambda: (
            b"[" + b",".join([b'[1772323200000,"1","1","1","1","1",1772409599999,"1",1,"1","1","0"]'] * 8_000) + b"]"
        ),
        "a page of rows that open nowhere": lambda: (
            b"["
            + b",".join(b'[%d,"1","1","1","1","1",1772409599999,"1",1,"1","1","0"]' % i for i in range(15_000))
            + b"]"
        ),
        "a page of lists": lambda: b"[" + b"[]," * 300_000 + b"[]]",
        "a page of zeros": lambda: b"[" + b"0," * 500_000 + b"0]",
    }


def _rows_of(member: str, text: bytes) -> bodies.Made:
    """Files of a day that hold far more rows than a day has, sound ones and others."""
    head, _, rows = text.partition(b"\n")
    row = rows.splitlines()[0] + b"\n"
    nothing = b",".join([b"x"] * (row.count(b",") + 1)) + b"\n"
    return {
        "zip of one row 60,000 times": lambda: bodies.zip_of(member, head + b"\n" + row * 60_000),
        "zip of 200,000 rows of nothing": lambda: bodies.zip_of(member, head + b"\n" + nothing * 200_000),
        "zip of distinct rows of nothing": lambda: bodies.zip_of(
            member, head + b"\n" + b"".join(b"%d" % i + nothing for i in range(100_000))
        ),
    }


ZIP_NAME = "BTCUSDT-1d-2026-03-01"
ZIP_URL = f"https://data.binance.vision/data/spot/daily/klines/BTCUSDT/1d/{ZIP_NAME}.zip"
_KLINE_ROW = "1772323200000000,1.5,2,1,1.75,10,1772409599999999,15,3,5,7.5,0\n"
ZIPS = (
    bodies.zip_of(f"{ZIP_NAME}.csv", _KLINE_ROW.encode()),
    bodies.zip_of(f"{ZIP_NAME}.csv", f"{','.join(KLINE)}\n{_KLINE_ROW.replace('000000,', '000,')}".encode()),
)
CHECKSUM = f"{hashlib.sha256(ZIPS[0]).hexdigest()}  {ZIP_NAME}.zip\n".encode()
LISTING = _listing(
    f"data/spot/daily/klines/BTCUSDT/1d/{ZIP_NAME}.zip",
    f"data/spot/daily/klines/BTCUSDT/1d/{ZIP_NAME}.zip.CHECKSUM",
    "data/spot/monthly/klines/BTCUSDT/1d/BTCUSDT-1d-2026-02.zip",
    "data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2026-03-01.zip",
    "data/trades/spot/daily/btcusdt/btcusdt-trades-2026-01-31.zip",
    "historical_data/spot/daily/trades/BTC-USDT/BTC-USDT-trades-2026-03-01.zip",
    "spot/BTCUSDT/BTCUSDT_2026-03-01.csv.gz",
    "spot/BTCUSDT/BTCUSDT-2026-02.csv.gz",
    "spot/deals/202602/BTC_USDT-202602.csv.gz",
)
FOLDERS = LISTING.replace(
    b"<IsTruncated>",
    b"".join(
        b"<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>" % folder
        for folder in (
            b"data/spot/monthly/klines/BTCUSDT/",
            b"data/spot/daily/trades/BTCUSDT/",
            b"spot/BTCUSDT/",
            b"data/trades/spot/daily/btcusdt/",
            b"historical_data/spot/daily/trades/BTC-USDT/",
        )
    )
    + b"<IsTruncated>",
)
INDEX = _raw(
    {
        "code": "200",
        "data": [
            {
                "displayName": "BTC/USDT",
                "fileUrl": "https://img.bitgetimg.com/online/trades/SPBL/BTCUSDT_SPBL/20260301_001.zip",
            }
        ],
    }
)
CLOCKS = (
    b'{"serverTime":1772323200000}',
    b'{"server_time":1772323200000}',
    b'{"code":"0","data":[{"ts":"1772323200000"}]}',
    b'{"code":"200000","data":1772323200000}',
    b'{"status":"ok","data":1772323200000}',
    b'{"iso":"2026-03-02T00:00:00.123Z","epoch":1772323200.123}',
    b'{"error":[],"result":{"unixtime":1772323200}}',
    b'{"timestamp":"1772409600"}',
    b'{"code":0,"result":{"data":[{"t":1772323200000}]}}',
)
METRICS_CSV = (
    b"create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    b"sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio\n"
    b"2026-07-29 00:00:00,BTCUSDT,103264.4740000000000000,6610597893.7543930000000000,1.81,1.63,1.72,1.68\n"
    b"2026-07-29 00:05:00,BTCUSDT,103125.9630000000000000,6602949158.9640000000000000,1.82,,1.73,1.81\n"
)
DEPTH_CSV = (
    b"timestamp,percentage,depth,notional\n"
    b"2026-07-29 00:00:01,-5.00,9219.90400000,576994834.42020000\n"
    b"2026-07-29 00:00:01,-1.00,19.90400000,1994834.42020000\n"
    b"2026-07-29 00:00:01,1.00,19.90400000,1984834.42020000\n"
    b"2026-07-29 00:00:31,1.00,19.90400000,1984834.42020000\n"
)
SERIES = {
    "funding_rates": b'[{"symbol":"BTCUSDT","fundingTime":1772323200000,"fundingRate":"0.0001","markPrice":"60000.5"},'
    b'{"symbol":"BTCUSDT","fundingTime":1772352000000,"fundingRate":"-0.0001","markPrice":""}]',
    "open_interest": b'[{"symbol":"BTCUSDT","sumOpenInterest":"10.5","sumOpenInterestValue":"630000.1",'
    b'"timestamp":1772323200000}]',
}
READ_BY_NAME = ("okx",)
"""whose files nothing lists"""
RECORDED = {
    "binance symbols": ("fixtures/binance_rest/exchangeInfo_25symbols_2025-08.json",),
    "binance flows": ("fixtures/binance_rest/klines_BTCUSDT_1d_2019_365.json",),
    "binance_us flows": ("fixtures/binance_rest/klines_ETHBTC_1d_2019_366.json",),
    "binance_usdm symbols": ("fixtures/binance_futures/fapi_exchangeInfo_25symbols_2025-08.json",),
    "binance_usdm flows": ("fixtures/binance_futures/fapi_klines_BTCUSDT_1d_2019_116.json",),
    "okx symbols": ("fixtures/okx/instruments_spot.json",),
    "okx flows": ("fixtures/okx/spot_trades_BTC-USDT_2026-07-29.csv",),
    "bybit symbols": ("fixtures/bybit/v5_instruments-info_spot.json",),
    "bybit flows": ("fixtures/bybit/spot_trades_BTCUSDT_2026-07-29.csv",),
    "kucoin flows": ("fixtures/kucoin/spot_trades_BTCUSDT_2026-07-29.csv",),
    "gate flows": ("fixtures/gate/spot_deals_BTC_USDT_2026-06.csv",),
    "htx flows": ("fixtures/htx/spot_trades_BTC-USDT_2026-07-29.csv",),
    "bitget flows": ("fixtures/bitget/spot_trades_BTCUSDT_20260728_001.csv",),
    "coinbase symbols": ("fixtures/coinbase_exchange/products.json",),
    "coinbase flows": ("fixtures/coinbase_exchange/trades.json",),
    "kraken symbols": ("fixtures/kraken/AssetPairs_2021.json",),
    "kraken flows": ("fixtures/kraken/Trades.json", "fixtures/kraken/Trades_2013_6fields.json"),
    "upbit symbols": ("fixtures/upbit/market_all.json",),
    "upbit flows": ("fixtures/upbit/trades_ticks.json", "fixtures/upbit/trades_ticks_BTC-ETH_2018.json"),
    "bitstamp symbols": ("fixtures/bitstamp/trading-pairs-info.json",),
    "bitstamp flows": ("fixtures/bitstamp/transactions_btcusd_hour.json",),
    "crypto_com flows": ("fixtures/cryptocom/get-trades.json",),
    "defillama stablecoins": (
        "fixtures/defillama/stablecoins_usdt_abridged.json",
        "market/http/stablecoins.llama.fi/stablecoins__includePrices=true.gz",
    ),
    "defillama stablecoin_totals": ("fixtures/defillama/stablecoincharts_all_shape.json",),
    "defillama stablecoin_supplies": ("market/http/stablecoins.llama.fi/stablecoin/1.gz",),
    "defillama_api chain_tvl": ("market/http/api.llama.fi/v2/historicalChainTvl.gz",),
    "coingecko coin_snapshots": ("fixtures/coingecko/coins_markets.json",),
    "fred macro_observations": ("fixtures/fred/M2SL_real_points.csv",),
    "alternative_me macro_observations": ("fixtures/fng/fng_limit2.json",),
    "binance order_books": (
        "fixtures/binance_rest/depth_BTCUSDT_trimmed.json",
        "fixtures/binance_rest/depth_NKNUSDT_1000.json",
    ),
    "bybit order_books": ("fixtures/bybit/v5_orderbook.json",),
}
DATASETS: dict[str, tuple[str, dict[str, str]]] = {
    "defillama stablecoins": ("", {}),
    "defillama stablecoin_totals": ("", {}),
    "defillama stablecoin_supplies": ("1", {"stablecoin_id": "1"}),
    "coinmetrics asset_caps": ("", {}),
    "coingecko coin_snapshots": ("", {}),
    "fred macro": ("M2SL", {"series_id": "M2SL"}),
    "alternative_me macro": ("FNG", {}),
    "defillama_api chain_tvl": ("all", {"chain": "all"}),
    "defillama_api dex_volumes": ("all", {"chain": "all"}),
    "binance order_books": ("BTCUSDT", {"symbol": "BTCUSDT", "levels": "5000", "now": NOW.isoformat()}),
    "okx order_books": ("BTC-USDT", {"symbol": "BTC-USDT", "levels": "400"}),
    "bybit order_books": ("BTCUSDT", {"symbol": "BTCUSDT", "levels": "200"}),
}
_BOOK: dict[str, Any] = {"bids": [["10.5", "1"], ["10.4", "2.5"]], "asks": [["10.6", "1"], ["10.7", "0.5"]]}
TYPED: dict[str, list[bytes]] = {
    "defillama stablecoins": [
        _raw(
            {
                "peggedAssets": [
                    {"id": "1", "name": "A", "symbol": "AUSD", "gecko_id": None, "pegType": "peggedUSD", "price": 1.001,
                     "pegMechanism": "fiat-backed", "circulating": {"peggedUSD": 1000.5}},
                    {"id": "2", "name": "B", "symbol": "B", "pegType": "peggedEUR", "price": None, "circulating": {}},
                ]
            }
        )
    ],
    "defillama stablecoin_totals": [
        _raw([{"date": "1704067200", "totalCirculating": {"peggedUSD": 1}, "totalCirculatingUSD": {"peggedUSD": 1.5}}])
    ],
    "defillama stablecoin_supplies": [
        _raw(
            {
                "id": "1", "symbol": "USDT", "name": "Tether", "pegType": "peggedUSD",
                "tokens": [{"date": 1704067200, "circulating": {"peggedUSD": 10.5}}, {"date": 1704153600}],
                "chainBalances": {"Ethereum": {"tokens": [{"date": 1704067200, "circulating": {"peggedUSD": 10.5}}]}},
            }
        )
    ],
    "coinmetrics asset_caps": [
        _raw(
            {
                "data": [
                    {"asset": "btc", "time": "2024-01-01T00:00:00.000000000Z", "CapMrktEstUSD": "1e12",
                     "ReferenceRateUSD": "42000.1"},
                    {"asset": "eth", "time": "2024-01-01T00:00:00.000000000Z", "CapMrktEstUSD": "3.5"},
                ],
                "next_page_token": "abc",
            }
        )
    ],
    "coingecko coin_snapshots": [
        _raw(
            [
                {"id": "bitcoin", "symbol": "btc", "name": "Bitcoin", "market_cap_rank": 1, "current_price": 1.5,
                 "market_cap": 1000, "circulating_supply": 19.5, "last_updated": "2026-01-28T00:00:00.000Z"}
            ]
        )
    ],
    "fred macro_observations": [b"observation_date,M2SL\n1959-01-01,286.6\n1959-02-01,.\n"],
    "alternative_me macro_observations": [_raw({"name": "FNG", "data": [{"value": "40", "timestamp": "1704067200"}]})],
    "defillama_api chain_tvl": [_raw([{"date": 1704067200, "tvl": 10.5}, {"date": 1704153600, "tvl": 11}])],
    "defillama_api dex_volumes": [_raw({"totalDataChart": [[1704067200, 10.5], [1704153600, None]]})],
    "binance order_books": [_raw({"lastUpdateId": 1} | _BOOK)],
    "okx order_books": [_raw({"code": "0", "data": [_BOOK | {"ts": "1772323200000"}]})],
    "bybit order_books": [
        _raw({"retCode": 0, "result": {"s": "BTCUSDT", "b": _BOOK["bids"], "a": _BOOK["asks"], "ts": 1772323200000}})
    ],
}  # fmt: skip


# --- files of our own, and what is below the parsers


def _import(table: str, unit: str | None) -> Read:
    context = {"file": "mine.csv"} | ({"unit": unit} if unit else {})
    return _parser(imported.UPSTREAM, table, registry.IMPORTS[table], **context)


def _pack(content: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="altflow-fuzz-") as folder:
        path = Path(folder) / "x" / "2026-03" / "run.pack"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        archive = Archive(Path(folder))
        for entry in archive.entries():
            json.dumps(entry.row(), default=str).encode()
            assert (
                archive.read(entry.pack, entry.offset, entry.length, len(entry.body.content), entry.body.sha256)
                == entry.body.content
            )


def _packed() -> bytes:
    with tempfile.TemporaryDirectory(prefix="altflow-fuzz-") as folder:
        archive = Archive(Path(folder))
        for page in range(2):
            body = body_of("x", "spot_flows", b"[[%d]]" % page, symbol="BTCUSDT", **WINDOW)
            entry = archive.append(body, Asked("BTCUSDT", Window(START, END), page, 2, 0), "run")
        archive.close()
        return (Path(folder) / entry.pack).read_bytes()


def _open_days(content: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="altflow-fuzz-") as folder:
        path = Path(folder) / "bitstamp.json"
        path.write_bytes(content)
        assert isinstance(open_days.load(path), dict)


OPEN_DAYS = _raw(
    {
        "btcusd": {
            "2026-03-01": {
                "until": "2026-03-01T12:00:00",
                "ids": [[1, 1772323200000000]],
                "files": [],
                "total": {
                    "all": [1, "1", "2"],
                    "buys": [1, "1", "2"],
                    "sized": [[0, "0", "0"]] * 3,
                    "sized_buys": [[0, "0", "0"]] * 3,
                    "low": "2",
                    "high": "2",
                    "first": [1772323200000000, 1, "2"],
                    "last": [1772323200000000, 1, "2"],
                },
            },
            "2026-03-02": {"until": "2026-03-02T00:00:00", "ids": [], "files": [], "total": None},
        }
    }
)


def _listed(content: bytes) -> None:
    for each in bucket.parse_listing(Answer("https://bucket.example/", 200, content, NOW)):
        _plain((each.key, each.etag or ""))
        assert each.byte_count is None or each.byte_count >= 0


def _pages_of_listing(content: bytes) -> None:
    answering = _as_http(Answering([LISTING, content], content))
    for each in bucket.list_bucket(answering, bybit.LISTING, "/b", "data/"):
        _plain(each.key)


def _kinds(content: bytes) -> None:
    for look in KINDS:
        said = look(content)
        assert said is None or said.encode()


KINDS = (
    http.is_json,
    http.is_csv,
    http.is_xml,
    http.is_packed,
    http.anything,
    binance_vision.no_zip,
    bybit.is_well,
    okx.is_well,
)


def _columns(content: bytes) -> None:
    table = json_rows.columns(content, KLINE)
    if table is not None:
        table.validate(full=True)


def _of_own() -> Iterator[Target]:
    caps = b'Date,Coin,Mkt Cap\n2024-01-01,BTC,"$800,000.5"\n2024-01-01,ETH,270000\n'
    flows = b"Date,Total\n11 Jan 2024,655.3\n12 Jan 2024,203\n15 Jan 2024,-\nTotal,858.3\n"
    for table, seed in (("imported_caps", caps), ("imported_etf_flows", flows)):
        seeds = (seed, gzip.compress(seed, mtime=0), b"\xef\xbb\xbf" + seed)
        yield Target(table, _import(table, "millions"), seeds, (registry.IMPORTS[table],), bodies.gzips)
        yield Target(f"{table} in what they say", _import(table, None), seeds)
    yield Target("a bucket's listing", _listed, (LISTING, FOLDERS), (bucket.parse_listing,), _listings)
    yield Target("a bucket's pages", _pages_of_listing, (LISTING, FOLDERS))
    yield Target("a pack of the archive", _pack, (_packed(),), (), _packs)
    yield Target("days that are not over", _open_days, (OPEN_DAYS,))
    yield Target("kinds of bodies", _kinds, (*CLOCKS, LISTING, *ZIPS, *TYPED["fred macro_observations"]), KINDS)
    rows = b'[[1,"1","1","1","1","1",2,"1",1,"1","1","0"],[3,"1","1","1","1","1",4,"1",1,"1","1","0"]]'
    yield Target("rows of JSON as columns", _columns, (rows,))
    for name, parse in (("zip of klines", binance_vision.page),):
        context = {"symbol": "BTCUSDT", "form": "zip", **WINDOW}

        def read(content: bytes, parse=parse, context=context) -> None:
            parse(body_of("binance", "spot_flows", content, ZIP_URL, **context)).rows.validate(full=True)

        yield Target(
            name,
            read,
            ZIPS,
            (parse, binance_vision.unpacked, binance_vision.end_of),
            lambda: bodies.zips(f"{ZIP_NAME}.csv"),
        )
    yield Target(
        "written depth",
        lambda content: check_parsed(
            binance_usdm_days.parse_depth(
                body_of("binance_usdm", "perpetual_depth", content, symbol="BTCUSDT", **WINDOW)
            )
        ),
        (
            binance_usdm_days.written(
                [
                    binance_usdm_days.DayDepth(
                        date(2026, 7, 29), 3, dict.fromkeys(binance_usdm_days.BANDS, "1.5"), [("a", "b")]
                    )
                ]
            ),
        ),
        (binance_usdm_days.parse_depth,),
    )


def _card(**card: Any) -> bytes:
    import struct

    text = json.dumps(
        {
            "sha256": "0" * 64, "bytes": 1, "length": 1, "upstream": "x", "dataset": "d", "url": "u", "status": 200,
            "fetched_at": "2026-03-01T00:00:00", "context": {}, "scope": "", "window": ["2026-03-01", "2026-03-02"],
            "page": 0, "pages": 1, "batch": 0,
        }
        | card
    ).encode()  # fmt: skip
    return struct.pack("<II", 0x184D2A50, len(text)) + text


def _zstd_zeros() -> bytes:
    """A frame that unpacks to far more than it is."""
    return bytes(pa.compress(bytes(64 << 20), "zstd", asbytes=True)).ljust(1 << 15, b"\0")


def _packs() -> bodies.Made:
    return {
        "a card that says 1 TB": lambda: _card(bytes=10**12, length=9) + b"(\xb5/\xfd\x04\x00\x01\x00\x00",
        "a card that says less than nothing": lambda: _card(bytes=-1, length=9) + bytes(9),
        "a card that goes backwards": lambda: _card(length=-200) + bytes(9),
        "a pack of zstd zeros": lambda: _card(bytes=1 << 30, length=(1 << 15)) + _zstd_zeros(),
        "cards without end": lambda: _card(length=0, bytes=0) * 3,
    }


def _listings() -> bodies.Made:
    return {
        "open entries": lambda: b'<?xml version="1.0"?><ListBucketResult >' + b"<Contents>" * 90_000,
        "open keys": lambda: b'<?xml version="1.0"?><ListBucketResult >' + b"<Contents><Key>" * 60_000 + b"</Contents>",
        "open prefixes": lambda: b'<?xml version="1.0"?><ListBucketResult >' + b"<CommonPrefixes><Prefix>" * 40_000,
        "open roots": lambda: b"<ListBucketResult " * 50_000,
        "many entries": lambda: (
            b'<?xml version="1.0"?><ListBucketResult >' + b"<Contents><Key>a</Key></Contents>" * 30_000
        ),
    }


def targets(shared: Path | None) -> list[Target]:
    """Every target, each name once."""
    found = [*_of_own()]
    for name, exchange in (registry.EXCHANGES | registry.DERIVATIVES).items():
        found += _of_exchange(name, exchange, shared)
    for dataset in registry.DATASETS:
        found += _of_dataset(dataset, shared)
    assert len({target.name for target in found}) == len(found)
    return found


ALLOWED = (SourceError, ArchiveError)
"""what a body may come to instead of rows"""
