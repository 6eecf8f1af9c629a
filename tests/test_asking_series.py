"""Exchanges of contracts: whom a run follows, what it asks about them, and what it makes of answers that break."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import cast

import pytest

from orchestration.asking.context import Asking, Known, Listing
from orchestration.asking.series import ask_series, followed, series_asks
from orchestration.defs.raw import derivative_assets
from orchestration.load import Fetched
from orchestration.plan import Symbol
from orchestration.settings import Settings
from orchestration.sources.body import Absent, Body, SourceError, Window
from orchestration.sources.exchange import Lacking, Series
from orchestration.sources.http import Http
from orchestration.sources.registry import DERIVATIVES, followed_derivatives, parse, served
from tests.test_source_binance_usdm import DAY, MARCH, NAME, NOON, TABLES, body


def listing_of(*symbols: Symbol, error: SourceError | None = None, start: date = MARCH) -> Listing:
    item = Fetched(NAME, "perpetual_symbols", "", Window(start, date(2026, 3, 8)), error=error)
    return Listing(item, symbols, NOON, item.window)


def following(volumes: object, known: Known, listing: Listing, most: int = 2) -> list[tuple[str, bool]]:
    def fetch_volumes(http: Http) -> dict[str, float]:
        if isinstance(volumes, SourceError):
            raise volumes
        return cast(dict[str, float], volumes)

    exchange = replace(DERIVATIVES[NAME], most_symbols=most, fetch_volumes=fetch_volumes)
    chosen = followed(cast(Asking, Nobody()), exchange, known, listing, None)
    return [(symbol.name, symbol.is_trading) for symbol in chosen.symbols]


class Nobody:
    http = None


A, B, C = (Symbol(name, True) for name in "ABC")
OVER = Symbol("OVER", True, MARCH)


def test_the_greatest_are_followed_and_what_was_followed_until_it_ended():
    listed = listing_of(A, B, C, Symbol("IDLE", False))
    assert following({"C": 3.0, "B": 9.0}, Known(), listed) == [("B", True), ("C", True)]
    stored = Known([A, replace(B, last_bar=MARCH), OVER, Symbol("NEVER", True)], volumes={"A": 1.0, "B": 2.0})
    assert following({"C": 3.0, "A": 1.0}, stored, listed) == [("C", True), ("A", True), ("OVER", False)]


def test_without_volumes_of_now_those_stored_decide_then_the_order_of_the_listing():
    error = SourceError("HTTP 500")
    stored = Known([B], volumes={"B": 2.0})
    assert following(error, stored, listing_of(A, B, C)) == [("B", True), ("A", True)]
    assert following(error, Known(), listing_of(A, B, C)) == [("A", True), ("B", True)]
    # Without a listing, those whose bars are stored.
    unlisted = listing_of(A, replace(B, last_bar=MARCH), error=error)
    assert following({"A": 9.0}, Known([A, replace(B, last_bar=MARCH)]), unlisted) == [("B", True)]


def one(
    series: Series, symbol: Symbol, answered: list[Window], is_named: bool = False, start: date = date(2020, 1, 1)
) -> list[tuple[str, str]]:
    asks = series_asks(series, listing_of(symbol, start=start), {symbol.name: answered}, is_named)
    return [(str(window.start), str(window.end)) for _, window in asks]


FUNDING, OPEN, METRICS, DEPTH = DERIVATIVES[NAME].series


def test_what_is_missing_is_asked_for_as_far_as_it_can_be_had():
    assert one(FUNDING, A, []) == [("2020-01-01", "2026-03-08")]
    assert one(FUNDING, A, [Window(date(2020, 1, 1), date(2026, 3, 7))]) == [("2026-03-06", "2026-03-08")]
    assert one(OPEN, A, []) == [("2026-02-06", "2026-03-08")], "thirty days back, whoever asks"
    assert one(OPEN, A, [], is_named=True) == [("2026-02-06", "2026-03-08")]


def test_archives_are_asked_for_the_newest_days_unless_a_run_names_its_first_day():
    assert one(METRICS, A, []) == [("2026-02-01", "2026-03-08")]
    assert one(METRICS, A, [Window(date(2026, 1, 1), date(2026, 3, 7))]) == [("2026-03-07", "2026-03-08")]
    assert one(METRICS, A, [Window(date(2026, 1, 1), date(2026, 3, 8))]) == []
    named = one(DEPTH, A, [], is_named=True)
    assert named[0][0] == "2023-01-01" and named[-1][1] == "2026-03-08"
    assert [end for _, end in named[:-1]] == [start for start, _ in named[1:]]
    assert one(DEPTH, A, [], is_named=True, start=date(2026, 3, 1)) == [("2026-03-01", "2026-03-08")]


def test_a_contract_that_is_over_is_asked_for_up_to_its_last_day_and_once():
    over = Symbol("A", False, date(2026, 3, 3))
    assert one(METRICS, over, []) == [("2026-02-01", "2026-03-04")]
    assert one(FUNDING, over, [Window(date(2020, 1, 1), date(2026, 3, 4))]) == []
    assert one(METRICS, Symbol("A", False, date(2025, 3, 3)), []) == []


def test_only_the_first_of_those_followed_are_asked_about():
    series = replace(METRICS, most_symbols=1)
    assert {name for name, _ in series_asks(series, listing_of(A, B, C), {}, False)} == {"A"}


def answers(chain: list[Body | Lacking | SourceError]) -> list[tuple[str, str, int, str]]:
    """Start, end, bodies and error of what is put for a chain that breaks at an error."""

    def fetch(http: Http, symbol: str, window: Window, now: datetime) -> Iterator[Body | Lacking]:
        for each in chain:
            if isinstance(each, SourceError):
                raise each
            yield each

    put: list[Fetched] = []

    class Here:
        http, put = None, None
        progress = staticmethod(lambda *_: None)

        class stop:
            is_set = staticmethod(lambda: False)

    here = Here()
    here.put = put.append  # pyright: ignore[reportAttributeAccessIssue]
    series = replace(FUNDING, fetch=fetch)
    ask_series(cast(Asking, here), NAME, series, listing_of(A), {}, False)
    return [(str(i.window.start), str(i.window.end), len(i.bodies), str(i.error or "")) for i in put]


def test_pages_that_tell_the_same_days_are_one_answer():
    page = body("funding_rates", [])
    assert answers([page, page]) == [("2026-03-01", "2026-03-08", 2, "")]


def test_where_a_chain_breaks_its_answer_and_what_follows_lack():
    page, broken = body("funding_rates", []), SourceError("HTTP 500")
    assert answers([page, broken]) == [("2026-03-01", "2026-03-08", 0, "HTTP 500")]
    first, second = body("x", [], MARCH, MARCH + DAY), body("x", [], MARCH + DAY, MARCH + 2 * DAY)
    lacking = Lacking(Window(MARCH + 2 * DAY, MARCH + 3 * DAY), Absent("none", "file_missing"))
    assert answers([first, second, broken]) == [
        ("2026-03-01", "2026-03-02", 1, ""),
        ("2026-03-02", "2026-03-08", 0, "HTTP 500"),
    ]
    assert answers([first, second, lacking, broken]) == [
        ("2026-03-01", "2026-03-02", 1, ""),
        ("2026-03-02", "2026-03-03", 1, ""),
        ("2026-03-03", "2026-03-04", 0, "none"),
        ("2026-03-04", "2026-03-08", 0, "HTTP 500"),
    ]


def test_contracts_are_followed_where_nobody_names_exchanges_and_asked_for_what_a_catalog_has():
    assert followed_derivatives(Settings("live", Path())) == (NAME,)
    assert followed_derivatives(Settings("live", Path(), exchanges=("binance",))) == ()
    assert followed_derivatives(Settings("live", Path(), exchanges=("binance", NAME))) == (NAME,)
    assert followed_derivatives(Settings("sandbox", Path())) == ()
    assert followed_derivatives(Settings("sandbox", Path(), exchanges=("binance", NAME))) == (NAME,)
    assert served(NAME, None) == set(TABLES)
    assert served(NAME, {"upstreams": {}}) == set()
    assert served(NAME, {"upstreams": {NAME: {"tables": ["funding_rates", "other"]}}}) == {"funding_rates"}
    with pytest.raises(KeyError):
        parse([body("spot_flows", [])])


def test_an_asset_for_each_table_in_a_group_of_their_own():
    (step,) = derivative_assets([NAME])
    assert {key.path[-1] for key in step.keys} == set(TABLES)
    assert set(step.group_names_by_key.values()) == {"raw"}
    assert derivative_assets([]) == []
