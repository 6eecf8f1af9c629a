"""`altflow doctor`: who is asked, what is said of whom does not answer, and when it fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from orchestration import cli
from orchestration.commands import doctor
from orchestration.sandbox import delivery
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sandbox.server import Upstreams
from orchestration.sandbox.wire import json_reply
from orchestration.settings import Settings
from orchestration.sources.exchange import TradeFiles
from orchestration.sources.http import Http
from orchestration.sources.registry import EXCHANGES, followed
from tests.served import served, upstreams

NOW = date(2023, 2, 9)


@contextmanager
def asking(monkeypatch: pytest.MonkeyPatch, *rules: str) -> Iterator[Upstreams]:
    """Commands of this process ask a small sandbox; `rules` are its faults."""
    application = upstreams(GeneratedMarket(now=NOW, size=12, start=date(2023, 1, 1)), *rules)
    with served(application) as url:
        monkeypatch.setenv("ALTFLOW_UPSTREAMS", url)
        yield application


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[str, str]]:
    """State and message by what was asked."""
    lines = [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    return {name: (state, message) for state, name, message in lines if state in ("ok", "warn", "FAIL")}


def named(*exchanges: str) -> list[str]:
    return [word for name in exchanges for word in ("--exchange", name)]


def test_every_exchange_is_asked_and_one_file_of_each_archive(monkeypatch, capsys):
    with asking(monkeypatch) as sandbox:
        assert cli.main(["doctor", *named(*EXCHANGES)]) == 0
        found = said(capsys)
    assert found.keys() >= {*EXCHANGES, "defillama", "fred", "disk"}
    for name, exchange in EXCHANGES.items():
        assert "symbols trade" in found[name][1]
        if isinstance(exchange.flows, TradeFiles):
            assert "has trades of 2023-0" in found[exchange.flows.host.name][1]
    assert {state for state, _ in found.values()} == {"ok"}
    # No file is read, and an archive's listing only until one is found.
    assert set(sandbox.statuses) <= {200, 404} and sum(sandbox.requests.values()) < 400


def test_without_names_those_are_asked_that_a_run_asks(monkeypatch, capsys):
    with asking(monkeypatch) as sandbox:
        assert cli.main(["doctor"]) == 0
        found = said(capsys)
        hosts = {host for host, _ in sandbox.requests}
    asked = followed(Settings("sandbox", Path("data")))
    assert EXCHANGES.keys() & found.keys() == set(asked)
    assert not hosts & {"www.okx.com", "static.okx.com", "public.bybit.com"}


def test_only_binance_is_required_of_the_exchanges(monkeypatch, capsys):
    with asking(monkeypatch, "okx:500", "coinbase:451"):
        assert cli.main(["doctor", *named("binance", "okx", "coinbase")]) == 0
        found = said(capsys)
    assert found["binance"][0] == "ok"
    state, message = found["okx"]
    assert state == "warn" and "HTTP 500" in message and "Try again later" in message
    assert "A run goes on without okx; ALTFLOW_EXCHANGES names those to ask." in message
    state, message = found["coinbase"]
    assert state == "warn" and "blocked" in message and "run altflow elsewhere" in message
    # That this is the doctor need not be said, nor what a run would do.
    assert not any("altflow doctor" in message or "next run" in message for _, message in found.values())


def test_without_binance_it_fails(monkeypatch, capsys):
    with asking(monkeypatch, "binance:451"):
        assert cli.main(["doctor", *named("binance", "kraken")]) == 1
        found = said(capsys)
    assert found["binance"][0] == "FAIL" and found["kraken"][0] == "ok"
    assert "tried data-api.binance.vision, api.binance.com" in found["binance"][1]


def test_an_archive_that_has_moved_is_named(monkeypatch, capsys):
    with asking(monkeypatch, "static.okx.com:missing"):
        assert cli.main(["doctor", *named("okx")]) == 0
        found = said(capsys)
    assert found["okx"][0] == "ok"
    state, message = found["okx_archive"]
    assert state == "warn" and "https://static.okx.com/" in message and "has moved" in message


def test_an_exchange_that_nobody_has_is_wrong_usage(monkeypatch, capsys):
    for command in (["doctor", "--exchange", "mtgox"], ["run", "--exchange", "mtgox"], ["run", "--dry-run"]):
        monkeypatch.setenv("ALTFLOW_EXCHANGES", "binance,mtgox")
        assert cli.main(command) == 2
        assert "unknown exchange mtgox; known: binance," in capsys.readouterr().err


def test_a_clock_that_is_wrong_here_is_told(tmp_path: Path):
    live = Settings("live", tmp_path)
    with served(upstreams(GeneratedMarket(now=NOW, size=12))) as url:
        http = Http(url, doctor.PATIENCE)
        (found,) = doctor._exchange(http, "kraken", EXCHANGES["kraken"], live, doctor._clock())
        http.close()
    assert not found.is_fine and "set it by NTP" in found.message


def test_an_answer_of_another_form_is_told_apart_from_none(tmp_path: Path):
    async def renamed(scope, receive, send) -> None:
        path = scope["path"]
        clock = {"code": "0", "data": [{"ts": "1675900800000"}]}
        pairs = {"code": "0", "data": [{"instrument": "BTC-USDT"}]}
        await delivery.whole(json_reply(clock if path.endswith("/time") else pairs), send)

    with served(renamed) as url:
        http = Http(url, doctor.PATIENCE)
        settings = Settings("sandbox", tmp_path)
        found, archive = doctor._exchange(http, "okx", EXCHANGES["okx"], settings, doctor._clock())
        http.close()
    assert not found.is_fine and "look for a newer altflow" in found.message
    assert archive.name == "okx_archive"
