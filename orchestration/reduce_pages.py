"""Pages of trades from an API to daily flows of one symbol."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from orchestration.sources.body import SourceError
from orchestration.sources.trades import Side
from orchestration.trade_sums import DaySum, Summer, Sums, merged
from orchestration.trade_text import Refusals, day_of

if TYPE_CHECKING:
    import polars as pl


class PageReducer:
    """Adds pages of one symbol; a trade that two pages have, or that was counted before, counts once."""

    def __init__(self, side: Side, symbol: str):
        self._side = side
        self._symbol = symbol
        self._summer = Summer(symbol)
        self._times: dict[int, int] = {}
        self._counted_to_us = 0
        self._before: Sums = {}
        self.refused = Refusals()
        self.repeated_count = 0

    def resume(self, days: Mapping[date, DaySum], counted_to_us: int, ids: Iterable[tuple[int, int]]) -> None:
        """Goes on where an earlier run stopped: `days` as counted then, with every trade before `counted_to_us`, and
        of the later ones those in `ids` (id, time in µs)."""
        self._before = {(self._symbol, day): total for day, total in days.items()}
        self._counted_to_us, self._times = counted_to_us, dict(ids)

    def ids_since(self, us: int) -> list[tuple[int, int]]:
        """(id, time in µs) of every trade counted that is not before `us`."""
        return sorted((trade, at) for trade, at in self._times.items() if at >= us)

    @property
    def sums(self) -> Sums:
        return merged([self._before, self._summer.sums])

    def add(self, page: pa.Table) -> None:
        """Adds a table of sources.trades.TRADES. Rows that are no trades are kept in `refused`."""
        import polars as pl

        if page["id"].null_count == 0:
            page = self._unseen(page)
        elif self._counted_to_us:
            raise SourceError(f"{self._symbol}: trades without ids cannot be gone on with")
        if not page.num_rows:
            return
        frame = pl.DataFrame(pl.from_arrow(page))
        if frame["id"].null_count():
            frame = frame.drop("id")
        words = frame["side"].str.to_lowercase()
        buys, sells = words.is_in(list(self._side.taker_buys)), words.is_in(list(self._side.taker_sells))
        known = buys | sells
        if not known.all():
            self._refuse(frame.filter(~known), "its side is no word for one")
            frame, buys = frame.filter(known), buys.filter(known)
        frame = frame.drop("side").with_columns(buys.alias("taker_buys"))
        left_out = self._summer.add(frame)
        if left_out is not None:
            self._refuse(frame.filter(left_out), "its price or size is not above zero or has more than 38 digits")

    def _unseen(self, page: pa.Table) -> pa.Table:
        if self._counted_to_us:
            page = page.filter(pc.greater_equal(page["time_us"], self._counted_to_us))
        ids = page["id"].to_pylist()
        fresh = []
        for row, (trade, at) in enumerate(zip(ids, page["time_us"].to_pylist(), strict=True)):
            if trade not in self._times:
                self._times[trade] = at
                fresh.append(row)
        self.repeated_count += len(ids) - len(fresh)
        return page if len(fresh) == len(ids) else page.take(pa.array(fresh, pa.int64()))

    def _refuse(self, rows: "pl.DataFrame", why: str) -> None:
        for row in rows.iter_rows(named=True):
            text = ",".join(str(cell) for cell in row.values())
            self.refused.add(text, why, day_of(row["time_us"]))
