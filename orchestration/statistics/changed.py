"""Which days an incremental Python model of dbt builds anew; its SQL twin is the macro days_changed."""

CHANGED = "intermediate.int_days_changed"


def days(reach_days: int = 0) -> str:
    """The condition on utc_date: a day that changed, or one of the `reach_days` after it that look back on it."""
    reach = f"range(0, {reach_days + 1}) AS reach(days)"
    return f"utc_date IN (SELECT utc_date + cast(reach.days AS INTEGER) FROM {CHANGED} CROSS JOIN {reach})"


def since(days_before: int = 0) -> str:
    """The condition on utc_date: not more than so many days before the first day that changed."""
    return f"utc_date >= (SELECT min(utc_date) - {days_before} FROM {CHANGED})"
