"""How late the newest data of a dataset is, judged by the day of the data, with two thresholds."""

from datetime import date, datetime, time, timedelta

from orchestration.sources.exchange import TradeFiles
from orchestration.sources.registry import EXCHANGES

OK_DAYS, WARN_DAYS = 2, 3
"""Days by which the newest data is late: ok up to OK_DAYS, failing after WARN_DAYS. What an upstream publishes later by
its own calendar (archives, series of weeks and months) is late from then on."""
ONE_DAY = timedelta(days=1)


def late_days(exchange: str | None, newest: date | None, today: date) -> int | None:
    """Days from the newest data to the newest that could be there; None where there is none. `exchange`: None for
    data that no exchange gives."""
    if newest is None:
        return None
    flows = EXCHANGES[exchange].flows if exchange in EXCHANGES else None
    due = today
    # Files of a month come when it is over: until then nothing is late.
    while isinstance(flows, TradeFiles) and due > newest and flows.due(due) > datetime.combine(today, time()):
        due -= ONE_DAY
    return max(0, (due - newest).days)


def judged(late: int | None) -> str:
    """ok, warn, FAIL or no data."""
    if late is None:
        return "no data"
    return "ok" if late <= OK_DAYS else "warn" if late <= WARN_DAYS else "FAIL"


def state(exchange: str | None, newest: date | None, today: date) -> str:
    return judged(late_days(exchange, newest, today))
