"""One body and one target: what went against the promise, if anything."""

import hashlib
import os
import resource
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import bodies
from tests.fuzz.targets import ALLOWED, Target, targets

ROOT = Path(__file__).resolve().parent.parent.parent

MOST_SECONDS = 2.0
MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Finding:
    """`kind` is the same for bodies that fail at the same place in the same way."""

    target: str
    kind: str
    content: bytes
    told: str


def attempt(target: Target, content: bytes) -> Finding | None:
    """Reads the body. The finding where it raises what it may not, or something comes out that may not."""
    try:
        target.read(content)
    except ALLOWED as error:
        try:
            str(error).encode()
        except UnicodeEncodeError:
            return Finding(target.name, "a message that cannot be written", content, repr(str(error))[:500])
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "/orchestration/" in frame.filename] or list(frames)
        place = f"{Path(own[-1].filename).name}:{own[-1].name}"
        told = "".join(traceback.format_exception(error, limit=-6))[-3000:]
        return Finding(target.name, f"{type(error).__name__} in {place}", content, told)
    return None


def worst_of(target: Target) -> bodies.Made:
    """Bodies of up to a megabyte that cost as much as they can."""
    return target.worst() | bodies.large(target.seeds[0])


def measured(target: Target, content: bytes) -> tuple[Finding | None, float, int]:
    """The same, with the seconds of processor time and the bytes of memory that it took (0: not measured here)."""
    target_is_loaded(target)
    before, has_peak, started = resident(), reset_peak(), time.process_time()
    found = attempt(target, content)
    return found, time.process_time() - started, peak() - before if has_peak else 0


def target_is_loaded(target: Target) -> None:
    """What a target imports when it is first used is no cost of a body."""
    if target.name not in _LOADED:
        attempt(target, target.seeds[0])
        _LOADED.add(target.name)


_LOADED: set[str] = set()


class Watch:
    """Reads bodies for a long time; writes the first finding of each kind to `folder`, cut to what it needs."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._known: set[tuple[str, str]] = set()

    def read(self, target: Target, content: bytes) -> None:
        target_is_loaded(target)
        most, started = _most_ever(), time.process_time()
        found = attempt(target, content)
        if found is None and (time.process_time() - started > MOST_SECONDS or _most_ever() - most > MOST_BYTES):
            found, seconds, grown = measured(target, content)
            if seconds > MOST_SECONDS or grown > MOST_BYTES:
                found = Finding(target.name, "cost", content, f"{seconds:.1f} s, {grown >> 20} MiB")
        if found is None or (target.name, found.kind) in self._known:
            return
        self._known.add((target.name, found.kind))
        least = content if found.kind == "cost" else smallest(target, found)
        name = hashlib.sha256(f"{target.name} {found.kind}".encode()).hexdigest()[:12]
        (self._folder / name).write_bytes(least)
        (self._folder / f"{name}.txt").write_text(
            f"{target.name}: {found.kind}\n{least[:2000]!r}\n{found.told}", errors="backslashreplace"
        )


def _most_ever() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def all_targets() -> list[Target]:
    """With what is recorded, where that is shared."""
    shared = (ROOT / os.environ.get("ALTFLOW_SHARED", "../shared")).resolve()
    return targets(shared if shared.is_dir() else None)


def smallest(target: Target, finding: Finding, most_tries: int = 2000) -> bytes:
    """The body with everything cut out that the finding does not need."""
    content, size, tries = finding.content, len(finding.content) // 2, 0
    while size:
        at = 0
        while at < len(content) and tries < most_tries:
            tries += 1
            shorter = content[:at] + content[at + size :]
            found = attempt(target, shorter)
            if found and found.kind == finding.kind:
                content = shorter
            else:
                at += size
        size //= 2
    return content


def reset_peak() -> bool:
    """Begins to measure the peak of memory anew; False where the system cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak() -> int:
    """Most bytes resident since `reset_peak`."""
    return _status("VmHWM")


def resident() -> int:
    return _status("VmRSS")


def _status(name: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))
