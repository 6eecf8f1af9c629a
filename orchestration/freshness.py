"""How late the newest data of a dataset is, judged by the day of the data, with two thresholds."""

from datetime import date, datetime, time, timedelta

from orchestration.sources.exchange import TradeFiles
from orchestration.sources.registry import EXCHANGES

OK_DAYS, WARN_DAYS = 2, 3
"""Age of the newest data, in days after the last closed day (of archives: the last one whose files are due): ok up to
OK_DAYS, failing after WARN_DAYS."""
ONE_DAY = timedelta(days=1)


def state(exchange: str | None, newest: date | None, today: date) -> str:
    """ok, warn, FAIL or no data. `exchange`: None for data that no exchange gives."""
    if newest is None:
        return "no data"
    flows = EXCHANGES[exchange].flows if exchange in EXCHANGES else None
    due = today
    # Files of a month come when it is over: until then nothing is late.
    while isinstance(flows, TradeFiles) and due > newest and flows.due(due) > datetime.combine(today, time()):
        due -= ONE_DAY
    age = (due - newest).days
    return "ok" if age <= OK_DAYS else "warn" if age <= WARN_DAYS else "FAIL"
