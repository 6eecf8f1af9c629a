"""published/status.json: what the current or last run does, for everybody who may not open the warehouse."""

import json
from datetime import date
from pathlib import Path

from orchestration.durable import write_json
from orchestration.settings import Settings


def _path(settings: Settings) -> Path:
    return settings.published_dir / "status.json"


def read(settings: Settings) -> dict:
    """The last status; empty before the first run."""
    try:
        return json.loads(_path(settings).read_text())
    except (FileNotFoundError, ValueError):
        return {}


def note(settings: Settings, **changes) -> None:
    """Adds to the status; atomic for readers."""
    settings.published_dir.mkdir(parents=True, exist_ok=True)
    write_json(_path(settings), read(settings) | changes)


def published_run(settings: Settings) -> str | None:
    """The id of the run whose snapshot is in place."""
    try:
        return json.loads((settings.published_dir / "manifest.json").read_text())["run_id"]
    except (FileNotFoundError, ValueError, KeyError):
        return None


def incomplete_from(settings: Settings) -> date | None:
    """The first day that some exchange lacks; None before the first run has ended. That is the first of all where an
    exchange is followed that no run has asked to the end, or where history begins earlier than in the last run."""
    found = read(settings)
    days = found.get("exchanges_incomplete_from")
    if days is None:
        return None
    from orchestration.sources.registry import followed

    is_longer = settings.start.isoformat() < found["history_from"]
    if is_longer or any(name not in days for name in followed(settings)):
        return settings.start
    known = [day for name in followed(settings) if (day := days[name])]
    return date.fromisoformat(min(known)) if known else settings.start


def asked_to_the_end(settings: Settings) -> set[str]:
    """The exchanges that some run has asked to the end. One that was stopped may have got later days of an archive
    before earlier ones. A run of an older altflow named none: it is taken to have asked all that it stored."""
    found = read(settings)
    days = found.get("exchanges_incomplete_from")
    if not days and "incomplete_from" in found:
        from orchestration.sources.registry import EXCHANGES

        return set(EXCHANGES)
    return set(days or ())
