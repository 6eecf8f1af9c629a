"""Which days a Dagster run is about: monthly partitions, or the days that its tags name."""

from collections.abc import Mapping
from datetime import date, timedelta

import dagster as dg

START_TAG, END_TAG = "altflow/start", "altflow/end"
"""First and last UTC day of a run, both included; they win over the partitions."""
GAPS_TAG = "altflow/gaps"
SOURCE_TAG, DAYS_TAG = "altflow/source", "altflow/days"
"""What a person reads in the list of runs."""
PID_TAG = ".dagster/altflow_pid"
"""Dagster's UI hides tags of this prefix."""
EARLIER_PID_TAG = "altflow/pid"
"""What it was called until November 2026: a folder may hold a run of then that was killed."""
PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


def months(first: date) -> dg.MonthlyPartitionsDefinition:
    """One partition per UTC month from `first`'s on, the current month included."""
    return dg.MonthlyPartitionsDefinition(start_date=first.replace(day=1).isoformat(), end_offset=1)


def range_tags(first: date, last: date) -> dict[str, str]:
    """Tags of one run over the months of [first, last]."""
    return {
        RANGE_START_TAG: first.replace(day=1).isoformat(),
        RANGE_END_TAG: last.replace(day=1).isoformat(),
    }


def days_of(tags: Mapping[str, str]) -> tuple[date | None, date | None]:
    """First day and first day after the run's window; None where the run does not say."""
    start = end = None
    first = tags.get(RANGE_START_TAG) or tags.get(PARTITION_TAG)
    last = tags.get(RANGE_END_TAG) or tags.get(PARTITION_TAG)
    if first and last:
        start = date.fromisoformat(first)
        end = (date.fromisoformat(last).replace(day=1) + timedelta(days=32)).replace(day=1)
    if START_TAG in tags:
        start = date.fromisoformat(tags[START_TAG])
    if END_TAG in tags:
        end = date.fromisoformat(tags[END_TAG]) + timedelta(days=1)
    return start, end
