"""The only reader of the environment. See `.env.example` for every setting."""

import os
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

SOURCES = ("sandbox", "recorded", "live")
ROOT = Path(__file__).resolve().parent.parent


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it and says what is accepted."""


@dataclass(frozen=True)
class Settings:
    """What a run is told from outside. Days are UTC; paths are absolute."""

    source: str
    data_dir: Path
    market_dir: Path | None = None
    start: date = date(2020, 1, 1)
    exchanges: tuple[str, ...] = ()
    upstreams: str | None = field(default=None, repr=False)
    allow_noncommercial: bool = False
    trade_archive: str | None = field(default=None, repr=False)
    dask_scheduler: str | None = field(default=None, repr=False)
    keep_days: int | None = None
    """how long `altflow prune` keeps bodies; None: for ever"""
    webhook_url: str | None = field(default=None, repr=False)
    """a secret"""

    @property
    def synthetic(self) -> bool:
        return self.source == "sandbox"

    @property
    def warehouse_path(self) -> Path:
        return self.data_dir / "warehouse.duckdb"

    @property
    def lock_path(self) -> Path:
        return self.data_dir / "warehouse.lock"

    @property
    def archive_dir(self) -> Path:
        return self.data_dir / "archive"

    @property
    def spool_dir(self) -> Path:
        """Where trade files lie while they are read."""
        return self.data_dir / "spool"

    @property
    def open_days_dir(self) -> Path:
        """What was seen of days that are not over, per exchange."""
        return self.data_dir / "open_days"

    @property
    def published_dir(self) -> Path:
        return self.data_dir / "published"

    @property
    def alerts_path(self) -> Path:
        """What was alerted, a JSON line for each change."""
        return self.data_dir / "alerts.jsonl"

    @property
    def dagster_home(self) -> Path:
        return self.data_dir / "dagster"

    def override(self, **changes) -> "Settings":
        return replace(self, **{name: value for name, value in changes.items() if value is not None})


def _dotenv(path: Path) -> dict[str, str]:
    """KEY=value lines of a `.env` file; `#` starts a comment line."""
    if not path.is_file():
        return {}
    pairs = (
        line.split("=", 1)
        for line in path.read_text().splitlines()
        if "=" in line and not line.lstrip().startswith("#")
    )
    return {key.strip(): value.strip().strip("'\"") for key, value in pairs}


def _day(name: str, value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise SettingsError(f"{name}={value}: not a UTC day; write it as YYYY-MM-DD") from None


def _truth(name: str, value: str) -> bool:
    if value.lower() in ("1", "true", "yes", "on"):
        return True
    if value.lower() in ("", "0", "false", "no", "off"):
        return False
    raise SettingsError(f"{name}={value}: neither yes nor no; write 1 or 0")


def _days(name: str, value: str) -> int | None:
    if value and not (value.isascii() and value.isdigit() and int(value)):
        raise SettingsError(f"{name}={value}: not a number of days; write one above 0, or nothing")
    return int(value) if value else None


def shown(url: str) -> str:
    """An address as messages may quote it: without user, password and query, which may be secrets."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if parts.netloc else url.partition("?")[0]


def _upstreams(url: str) -> str | None:
    """The base of a sandbox. Only this machine is asked without TLS: no setting switches it off."""
    try:
        parts = urlsplit(url)
        is_safe = parts.scheme == "https" or (
            parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
        )
    except ValueError:
        is_safe = False
    if url and not is_safe:
        raise SettingsError(f"ALTFLOW_UPSTREAMS={shown(url)}: neither https:// nor http://127.0.0.1; name one of these")
    return url or None


def load_for_reading(source: str | None = None) -> Settings:
    """Settings of a command that only reads what is published: no market folder is needed."""
    try:
        return load(source)
    except SettingsError:
        return load("recorded", market_dir=".") if source in (None, "recorded") else load(source)


def load(source: str | None = None, market_dir: str | None = None) -> Settings:
    """Settings from the environment, then `.env` in the current folder; arguments win.

    Raises SettingsError for a value that cannot be used."""
    env = {**_dotenv(Path.cwd() / ".env"), **os.environ}

    def get(name: str) -> str:
        return env.get(f"ALTFLOW_{name}", "").strip()

    source = source or get("SOURCE") or "sandbox"
    if source not in SOURCES:
        raise SettingsError(f"ALTFLOW_SOURCE={source}: unknown; one of {', '.join(SOURCES)}")
    market = market_dir or get("MARKET_DIR")
    if source != "recorded":
        market = ""
    elif not market:
        raise SettingsError("a recorded run needs a market folder: give --market DIR or set ALTFLOW_MARKET_DIR")
    elif not Path(market).is_dir():
        raise SettingsError(f"market folder {market}: no such folder")
    noncommercial = get("ALLOW_NONCOMMERCIAL")
    return Settings(
        source=source,
        data_dir=Path(get("DATA_DIR") or f"data/{source}").absolute(),
        market_dir=Path(market).absolute() if market else None,
        start=_day("ALTFLOW_START", get("START") or "2020-01-01"),
        exchanges=tuple(filter(None, get("EXCHANGES").replace(",", " ").split())),
        upstreams=_upstreams(get("UPSTREAMS")),
        trade_archive=get("TRADE_ARCHIVE") or None,
        dask_scheduler=get("DASK_SCHEDULER") or None,
        keep_days=_days("ALTFLOW_KEEP_DAYS", get("KEEP_DAYS")),
        webhook_url=get("WEBHOOK_URL") or None,
        allow_noncommercial=_truth("ALTFLOW_ALLOW_NONCOMMERCIAL", noncommercial) if noncommercial else source != "live",
    )
