"""Pages of trades from an API to daily flows of one symbol."""

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from orchestration.sources.trades import Side
from orchestration.trade_sums import Summer, Sums
from orchestration.trade_text import Refusals, day_of

if TYPE_CHECKING:
    import polars as pl


class PageReducer:
    """Adds pages, each of which holds every trade between its ends and follows or precedes the one before: what
    lies between the ends seen so far has been counted."""

    def __init__(self, side: Side, symbol: str):
        self._side = side
        self._summer = Summer(symbol)
        self._seen: tuple[int, int] | None = None
        self.refused = Refusals()
        self.repeated_count = 0

    @property
    def sums(self) -> Sums:
        return self._summer.sums

    def add(self, page: pa.Table) -> None:
        """Adds a table of sources.trades.TRADES. Rows that are no trades are kept in `refused`."""
        import polars as pl

        if page["id"].null_count == 0:
            page = self._unseen(page)
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
        if not page.num_rows:
            return page
        ids = page["id"]
        if self._seen:
            low, high = self._seen
            fresh = page.filter(pc.or_(pc.less(ids, low), pc.greater(ids, high)))
            self.repeated_count += page.num_rows - fresh.num_rows
            page = fresh
        bounds = pc.min_max(ids).as_py()
        low, high = self._seen or (bounds["min"], bounds["max"])
        self._seen = min(low, bounds["min"]), max(high, bounds["max"])
        distinct = len(pc.unique(page["id"]))
        if distinct < page.num_rows:
            import numpy as np

            _, first = np.unique(page["id"].to_numpy(), return_index=True)
            self.repeated_count += page.num_rows - distinct
            page = page.take(pa.array(np.sort(first)))
        return page

    def _refuse(self, rows: "pl.DataFrame", why: str) -> None:
        for row in rows.iter_rows(named=True):
            text = ",".join(str(cell) for cell in row.values())
            self.refused.add(text, why, day_of(row["time_us"]))
