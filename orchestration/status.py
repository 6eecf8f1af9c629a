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
    """The first day that the last run left incomplete; None when nothing is known."""
    day = read(settings).get("incomplete_from")
    return date.fromisoformat(day) if day else None
