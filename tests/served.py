"""A generated market's upstreams on loopback, in this process; and what the files of an archive come to."""

import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn

from orchestration.reduce import Task, reduce_file
from orchestration.sandbox import faults
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sandbox.server import Upstreams
from orchestration.sandbox.truth_flows import flow_table
from orchestration.sandbox.truth_ledger import Ledger
from orchestration.sources.body import SourceError
from orchestration.sources.exchange import Exchange, TradeFiles
from orchestration.sources.http import Answer, Http
from orchestration.sources.trades import TradeFile
from orchestration.trade_sums import Sums, merged

Flows = dict[tuple[str, date], tuple[Decimal, Decimal]]
"""taker buy and taker sell, in the quote asset, by symbol and UTC day"""


def upstreams(market: GeneratedMarket, *rules: str, weight_limit: int = 0) -> Upstreams:
    """All upstreams over `market`; `rules`: faults; without a limit on Binance's weight nobody limits."""
    return Upstreams(market, faults.Faults(faults.load(rules)), weight_limit)


@contextmanager
def served(application: Any) -> Iterator[str]:
    """The base URL of an ASGI application."""
    config = uvicorn.Config(application, port=0, interface="asgi3", lifespan="off", log_config=None, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def downloaded(http: Http, flows: TradeFiles, file: TradeFile, to: Path) -> bytes:
    """The file, from the first of its places where it is. Raises SourceError with status 404 where it is nowhere."""
    for url in (file.url, *file.also):
        try:
            http.download(flows.host, urlsplit(url).path, to)
            return to.read_bytes()
        except SourceError as error:
            if error.status != 404 or url == (file.url, *file.also)[-1]:
                raise
    raise AssertionError


def reduced(http: Http, flows: TradeFiles, files: Iterable[TradeFile], folder: Path) -> Sums:
    """All files as one; every row of them is a trade."""
    parts = []
    for file in files:
        path = folder / "trades"
        downloaded(http, flows, file, path)
        done = reduce_file(Task(str(path), file.url, flows.layout, file.symbol, (file.start, file.end)))
        assert not done.refused.count and not done.repeated_count, (file.url, done.refused.rows[:3])
        parts.append(done.sums)
    return merged(parts)


def sides(sums: Sums, start: date, end: date) -> Flows:
    return {key: (day.buys.quote, day.all.quote - day.buys.quote) for key, day in sums.items() if start <= key[1] < end}


def truth_of(market: GeneratedMarket, exchange: str, start: date, end: date, as_labelled: bool = False) -> Flows:
    """What the market itself says; `as_labelled`: by the sides that the exchange writes."""
    rows = flow_table(Ledger(market, [exchange], start, as_labelled=as_labelled)).to_pylist()
    return {
        (row["symbol"], row["utc_date"]): (row["taker_buy_quote"], row["taker_sell_quote"])
        for row in rows
        if row["utc_date"] < end
    }


def check_oracle(shared: Path, tmp_path: Path, exchange: Exchange, fixture: str, symbol: str | None) -> None:
    """The recorded file comes to what others worked out from its rows, to the twelfth decimal."""
    assert isinstance(exchange.flows, TradeFiles)
    ((day, wanted),) = json.loads((shared / "fixtures/ORACLE.json").read_text())["expected"][fixture].items()
    done = reduce_file(Task(str(shared / "fixtures" / fixture), fixture, exchange.flows.layout, symbol))
    ((key, total),) = done.sums.items()
    found = total.buys.quote, total.all.quote - total.buys.quote, total.all.count
    rounded = [Decimal(wanted[f"taker_{side}_quote"]).quantize(Decimal("1e-12")) for side in ("buy", "sell")]
    assert key[1] == date.fromisoformat(day) and not done.refused.count
    assert (found[0].quantize(Decimal("1e-12")), found[1].quantize(Decimal("1e-12")), found[2]) == (
        *rounded,
        wanted["trades"],
    )


def check_403_stops(exchange: Exchange, path: str, folder: Path) -> None:
    """Whatever comes with it: one request, and none after it in the same run."""
    assert isinstance(exchange.flows, TradeFiles)
    for content in (b"403, access too frequent", b"<html>Request blocked</html>"):
        asked = []

        async def refuse(scope, receive, send, content=content, asked=asked) -> None:
            asked.append(scope["path"])
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": content})

        with served(refuse) as url:
            http = Http(url)
            for said in ("refuses this address", "not asked"):
                with pytest.raises(SourceError, match=said) as caught:
                    http.download(exchange.flows.host, path, folder / "trades")
                assert caught.value.reason == "failed" and caught.value.status != 404
            http.close()
        assert len(asked) == 1


class Listings:
    """Stands for `Http`: lists the given keys as S3 does, and keeps prefix and marker of what was asked."""

    def __init__(self, *keys: str, page: int = 1000, failing: str = ""):
        self.keys, self.page, self.failing = sorted(keys), page, failing
        self.asked: list[tuple[str, str]] = []

    def get(self, host, path, params=None, weight=1, wrong=None) -> Answer:
        params = params or {}
        prefix, marker = params["prefix"], params.get("marker", "")
        self.asked.append((prefix, marker))
        if self.failing and self.failing in prefix:
            raise SourceError(f"{host.name} {prefix}: HTTP 503 after 5 tries")
        names = [key for key in self.keys if key.startswith(prefix)]
        if "delimiter" in params:
            names = sorted({key[: key.find("/", len(prefix)) + 1] or key for key in names})
        names = [name for name in names if name > marker]
        parts = [
            f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
            if name.endswith("/")
            else f"<Contents><Key>{name}</Key><ETag>&quot;{len(name):x}&quot;</ETag><Size>{len(name)}</Size></Contents>"
            for name in names[: self.page]
        ]
        is_cut = str(len(names) > self.page).lower()
        xml = f"<?xml?><ListBucketResult ><IsTruncated>{is_cut}</IsTruncated>{''.join(parts)}</ListBucketResult>"
        return Answer(f"https://{host.hosts[0]}{path}", 200, xml.encode(), datetime(2026, 3, 8))
