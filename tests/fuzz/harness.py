"""One body and one target: what went against the promise, if anything."""

import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.targets import ALLOWED, Target

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


def costly(target: Target, content: bytes) -> Finding | None:
    """The same, and the finding where it takes too much processor time or memory."""
    before, started = resident(), time.process_time()
    has_peak = reset_peak()
    found = attempt(target, content)
    seconds = time.process_time() - started
    grown = peak() - before if has_peak else 0
    if found:
        return found
    if seconds > MOST_SECONDS:
        return Finding(target.name, "too long", content, f"{seconds:.1f} s of processor time for {len(content)} bytes")
    if grown > MOST_BYTES:
        return Finding(target.name, "too much memory", content, f"{grown >> 20} MiB for {len(content)} bytes")
    return None


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
