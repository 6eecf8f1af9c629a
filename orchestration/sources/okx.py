"""OKX spot: every trade of a day in one file, and what takers bought today before that file is there.

https://www.okx.com/docs-v5/en/ (public data; trading statistics, called rubik), https://www.okx.com/historical-data.
Files are cut by the clock of UTC+8: that of day D holds D-1 16:00 to D 16:00 UTC, so a UTC day needs two.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Context, Decimal, DecimalException

import pyarrow as pa

from orchestration.records import TAKER_ESTIMATES
from orchestration.sources.body import Body, Parsed, SourceError, Window, distinct
from orchestration.sources.exact import amounts
from orchestration.sources.exchange import Estimates, Exchange, TradeFiles
from orchestration.sources.http import Host, Http, is_json
from orchestration.sources.pairs import listed
from orchestration.sources.trades import Layout, Side, TradeFile

# Taker volume may be asked for 5 times in 2 s, everything else more often. One entity only: the others list others.
HOST = Host(name="okx", hosts=("www.okx.com",), per_minute=120, burst=1, connections=2)
# 100 requests in a second go well; who asks 200 is refused for minutes.
ARCHIVE = Host(name="okx_archive", hosts=("static.okx.com",), per_minute=1200, burst=5, connections=2, refuses_with=403)
ROOT = f"https://{ARCHIVE.hosts[0]}/cdn/okex/traderecords/trades"
FIRST_DAY = date(2021, 9, 1)
LAG = timedelta(days=2)
# The file of all pairs stood in the folder of its month (seen in 2024-09), later in its day's (seen in 2025-07).
OWN_FOLDER_SINCE = date(2025, 1, 1)
CLOCK = timedelta(hours=8)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EPOCH = datetime(1970, 1, 1)
REACH = timedelta(days=30)
"""so far back hours of taker volume can be had"""
# Too many requests, unavailable, timed out, busy: may pass.
_BUSY = re.compile(rb'"code":\s*"(50011|50001|50004|50013)"')
_WIDE = Context(prec=60)
_MOST = Decimal("1e26")

LAYOUT = Layout(
    positions=("symbol", "id", "side", "price", "size", "time"),
    names={
        "instrument_name": "symbol",
        "trade_id": "id",
        "side": "side",
        "price": "price",
        "size": "size",
        "created_time": "time",
    },
    time_unit="ms",
    side=Side(
        ("buy",),
        ("sell",),
        "taker",
        "https://www.okx.com/docs-v5/en/#order-book-trading-market-data-get-trades-history (the taker's)",
    ),
    encoding="gbk",
    clock_hours=8,
)


def fetch_symbols(http: Http) -> Iterator[Body]:
    """Yield the instruments that are listed now; the exchange's clock, asked just before, is in the context."""
    told = http.get(HOST, "/api/v5/public/time", wrong=is_well)
    clock = Body("okx", "time", told.url, told.status, told.fetched_at, told.content)
    try:
        now = EPOCH + timedelta(milliseconds=int(_data(clock)[0]["ts"]))
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise SourceError(f"{clock.url}: no ts in milliseconds ({error!r})", content=clock.content) from None
    answer = http.get(HOST, "/api/v5/public/instruments", {"instType": "SPOT"}, wrong=is_well)
    context = {"server_time": now.isoformat()}
    yield Body("okx", "spot_symbols", answer.url, answer.status, answer.fetched_at, answer.content, context)


def parse_symbols(body: Body) -> Parsed:
    """Rows of records.SPOT_SYMBOLS; the exchange's own test instruments are none.

    Raises SourceError where the body is no list of instruments."""
    try:
        return listed(
            body,
            (
                (s["instId"], s["baseCcy"], s["quoteCcy"], s["state"], s["state"] == "live")
                for s in distinct(_data(body))
                if pair_of(s["instId"]) and s["state"] != "test"
            ),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise SourceError(f"{body.url}: no list of instruments ({error!r})", content=body.content) from None


def server_time(body: Body) -> datetime:
    """The exchange's clock (naive UTC) when the instruments were asked for. Raises SourceError where it is not told."""
    try:
        return datetime.fromisoformat(body.context["server_time"])
    except (KeyError, ValueError) as error:
        raise SourceError(f"{body.url}: no server_time beside it ({error!r})") from None


def pair_of(symbol: str) -> tuple[str, str] | None:
    """BTC-USDT → BTC, USDT; None for what is no pair, and for the exchange's own tests (XTEST…)."""
    base, _, quote = symbol.upper().partition("-")
    return (base, quote) if base and quote and "-" not in quote and not base.startswith("XTEST") else None


def list_files(http: Http, symbols: Sequence[str], window: Window, now: datetime) -> Iterator[TradeFile]:
    """Yield the files of all pairs that hold trades of the UTC days of `window`. Nothing lists them: each is where
    it should be, or where older ones are."""
    day = max(window.start, FIRST_DAY)
    last = window.end if window.start < window.end else window.start - DAY
    while day <= last:
        end = datetime.combine(day, time()) + DAY - CLOCK
        name = f"allspot-trades-{day}.zip"
        places = (f"{ROOT}/daily/{day:%Y%m%d}/{name}", f"{ROOT}/monthly/{day:%Y%m}/{name}")
        first, other = places if day >= OWN_FOLDER_SINCE else places[::-1]
        yield TradeFile(first, None, end - DAY, end, datetime.combine(day, time()) + LAG, also=(other,))
        day += DAY


def due(day: date) -> datetime:
    """When all trades of a UTC day should be there: with the file of the day after."""
    return datetime.combine(day + DAY, time()) + LAG


def fetch_estimated(http: Http) -> Iterator[Body]:
    """Yield the currencies of which taker volume is told."""
    answer = http.get(HOST, "/api/v5/rubik/stat/trading-data/support-coin", wrong=is_well)
    yield Body("okx", "estimated_assets", answer.url, answer.status, answer.fetched_at, answer.content)


def parse_estimated(body: Body) -> set[str]:
    """Those of spot. Raises SourceError where the body is no such list."""
    told = body.data.get("data") if isinstance(body.data, dict) else None
    spot = told.get("spot") if isinstance(told, dict) else None
    if not isinstance(spot, list) or not all(isinstance(name, str) and name.isprintable() for name in spot):
        raise SourceError(f"{body.url}: {str(body.data)[:200]} instead of currencies", content=body.content)
    return {name.upper() for name in spot}


def fetch_estimate(http: Http, currency: str, window: Window, now: datetime) -> Iterator[Body]:
    """Yield what takers sold and bought of `currency` in each hour of the days of `window` that can be had in whole,
    against all quotes together; nothing where there is no such day.

    Days (1D) would be those of UTC+8, so hours are asked for."""
    start = max(window.start, (now - REACH + DAY - timedelta(microseconds=1)).date())
    if start >= window.end:
        return
    # Whether a bound itself is in the answer is not documented: one hour more at both ends.
    begin, end = _ms(start) - 3_600_000, _ms(window.end)
    query = {"ccy": currency, "instType": "SPOT", "period": "1H", "begin": begin, "end": end}
    answer = http.get(HOST, "/api/v5/rubik/stat/taker-volume", query, wrong=is_well)
    context = {
        "asset": currency,
        "start": start.isoformat(),
        "end": window.end.isoformat(),
        "now": now.isoformat(),
    }
    yield Body("okx", "taker_estimates", answer.url, answer.status, answer.fetched_at, answer.content, context)


def parse_estimate(body: Body) -> pa.Table:
    """Rows of records.TAKER_ESTIMATES: UTC days of which all 24 hours are there and over, oldest first.

    A row is [start of the hour in ms, sold, bought], in the currency itself: sold comes first. An hour that is no
    number, or that comes twice and differs, is not known. Raises SourceError where the body is no such list."""
    start, end = (date.fromisoformat(body.context[name]) for name in ("start", "end"))
    now = datetime.fromisoformat(body.context["now"])
    days: dict[date, dict[int, tuple[Decimal, Decimal]]] = {}
    for row in distinct(_data(body)):
        try:
            at = EPOCH + timedelta(milliseconds=int(row[0]))
            sold, bought = Decimal(row[1]), Decimal(row[2])
        except (IndexError, KeyError, TypeError, ValueError, OverflowError, DecimalException):
            continue
        if not all(side.is_finite() and 0 <= side < _MOST for side in (sold, bought)):
            continue
        if start <= at.date() < end and at + HOUR <= now and not (at - EPOCH) % HOUR:
            hours = days.setdefault(at.date(), {})
            hours[at.hour] = (sold, bought) if at.hour not in hours else (Decimal("NaN"), bought)
    rows = []
    for day, hours in sorted(days.items()):
        sums = [sum_of(side) for side in zip(*hours.values(), strict=True)]
        if len(hours) == 24 and all(total.is_finite() for total in sums):
            rows.append((day, *sums))
    exact = [amounts([f"{row[side]:f}" for row in rows]) for side in (1, 2)]
    columns = {
        "exchange": [body.upstream] * len(rows),
        "asset": [body.context["asset"].upper()] * len(rows),
        "utc_date": [row[0] for row in rows],
        "taker_buy_base": exact[1].values,
        "taker_sell_base": exact[0].values,
        "body_sha256": [body.sha256] * len(rows),
    }
    table = pa.table(columns, schema=TAKER_ESTIMATES.schema.remove_metadata())
    kept = [i not in exact[0].bad and i not in exact[1].bad for i in range(len(rows))]
    return table.filter(pa.array(kept, pa.bool_())).cast(TAKER_ESTIMATES.schema)


def sum_of(values: Sequence[Decimal]) -> Decimal:
    total = Decimal(0)
    for value in values:
        total = _WIDE.add(total, value)
    return total


def is_well(content: bytes) -> str | None:
    """None for an answer, else what is wrong with it and may pass."""
    busy = _BUSY.search(content[:200])
    return f"code {busy[1].decode()}, busy or asked too often" if busy else is_json(content)


def _data(body: Body) -> list:
    answer = body.data
    if not isinstance(answer, dict) or answer.get("code") != "0" or not isinstance(answer.get("data"), list):
        raise SourceError(f"{body.url}: {str(answer)[:200]} instead of data", content=body.content)
    return answer["data"]


def _ms(day: date) -> int:
    return (day - EPOCH.date()).days * 86_400_000


ESTIMATES = Estimates(fetch_estimated, parse_estimated, fetch_estimate, parse_estimate)
EXCHANGE = Exchange(
    HOST,
    fetch_symbols,
    parse_symbols,
    server_time,
    TradeFiles(ARCHIVE, LAYOUT, list_files, due, first=FIRST_DAY, estimates=ESTIMATES, is_listed=False),
    pair_of,
    is_default=False,
)
