"""Request weights and rate limits, as the upstreams count them: per client address."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Charge:
    """What one request cost. `retry_after` (seconds) is set where the limit is broken."""

    used: int
    retry_after: int | None = None
    banned_until_ms: int | None = None


class MinuteWeight:
    """Binance: weight per calendar minute; 429 above the limit, 418 for who goes on asking."""

    PATIENCE = 20  # requests that may already be under way when the first 429 arrives
    BAN_SECONDS = 120

    def __init__(self, limit: int, clock: Callable[[], float] = time.time) -> None:
        self.limit, self.clock = limit, clock
        self.minute, self.used, self.refused, self.highest = 0, 0, 0, 0
        self.banned_until = 0.0

    def charge(self, weight: int) -> Charge:
        now = self.clock()
        if int(now // 60) != self.minute:
            self.minute, self.used, self.refused = int(now // 60), 0, 0
        self.used += weight
        self.highest = max(self.highest, self.used)
        if now < self.banned_until:
            return Charge(self.used, int(self.banned_until - now) + 1, int(self.banned_until * 1000))
        if not self.limit or self.used <= self.limit:
            return Charge(self.used)
        self.refused += 1
        if self.refused > self.PATIENCE:
            self.banned_until = now + self.BAN_SECONDS
            return Charge(self.used, self.BAN_SECONDS, int(self.banned_until * 1000))
        return Charge(self.used, 60 - int(now % 60))


class SlidingWindow:
    """CoinMetrics: so many requests in the last seconds."""

    def __init__(self, limit: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit, self.seconds, self.clock = limit, seconds, clock
        self.times: deque[float] = deque()

    def charge(self) -> Charge:
        now = self.clock()
        while self.times and now - self.times[0] >= self.seconds:
            self.times.popleft()
        if self.limit and len(self.times) >= self.limit:
            return Charge(len(self.times), int(self.seconds - (now - self.times[0])) + 1)
        self.times.append(now)
        return Charge(len(self.times))
