"""Files that are on the disk when a function returns: a power cut after it loses nothing."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sha256(path: Path) -> str:
    """The hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Replaces a JSON file atomically. Its writers hold the lock: what one of them left aside is overwritten."""
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(json.dumps(data, indent=1, default=str) + "\n")
    sync(aside)
    os.replace(aside, path)
