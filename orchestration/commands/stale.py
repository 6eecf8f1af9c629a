"""`altflow doctor --alert-if-stale`: a dead man's switch for cron, which says when no run has published for too long.

It opens neither the warehouse nor the snapshot and asks no lock: it has to speak when everything else is broken.
"""

import argparse
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orchestration import alerts
from orchestration.commands import FAILED
from orchestration.settings import Settings, load_for_reading

CLOCK_HOURS = 1


def main(args: argparse.Namespace) -> int:
    settings = load_for_reading(args.source)
    problem = stale(settings.published_dir, args.stale_after, alerts.now())
    if problem is None:
        unsent = alerts.tell(settings, [], [alerts.NOTHING_PUBLISHED])
        print(f"altflow doctor: published within the last {args.stale_after:g} hours")
    else:
        text = f"{problem}{_last_run(settings)}"
        present = alerts.Condition(alerts.NOTHING_PUBLISHED, "marts", alerts.FAIL, text)
        unsent = alerts.tell(settings, [present])
        print(f"altflow doctor: STALE: {text}")
    if unsent:
        print(f"altflow doctor: an alert was not sent as it should be ({unsent})")
    elif problem and not settings.webhook_url:
        print("altflow doctor: ALTFLOW_WEBHOOK_URL is not set: nobody is told but by exit code 1")
    return FAILED if problem else 0


def stale(published: Path, hours: float, now: datetime) -> str | None:
    """What is wrong, in words; None where something was published within `hours` before `now`."""
    at = _published_at(published)
    if at is None:
        return "nothing was ever published, or what was cannot be read: run altflow run"
    age = now - at
    if age < -timedelta(hours=CLOCK_HOURS):
        return f"the snapshot is of {at:%Y-%m-%d %H:%M} UTC, which is in the future: set the clock by NTP"
    if age <= timedelta(hours=hours):
        return None
    return f"nothing was published for {age / timedelta(hours=1):.0f} hours, since {at:%Y-%m-%d %H:%M} UTC"


def _published_at(published: Path) -> datetime | None:
    """Naive UTC, from the manifest, else from the age of the file that analysts read; None: neither is there."""
    try:
        written = json.loads((published / "manifest.json").read_text())["published_at"]
        return datetime.fromisoformat(written).astimezone(UTC).replace(tzinfo=None)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    try:
        return datetime.fromtimestamp((published / "marts.duckdb").stat().st_mtime, UTC).replace(tzinfo=None)
    except OSError:
        return None


def _last_run(settings: Settings) -> str:
    try:
        last: dict[str, Any] = json.loads((settings.published_dir / "status.json").read_text())
        return f"; last run: {last['state']}, started {last['started_at']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "; no run has left a word"
