"""A token bucket: so many bytes a second on average, and a burst after a quiet time. Pure; times in seconds."""


class Bucket:
    """Holds what may leave at once, and fills up at ``rate`` bytes a second to at most ``burst`` bytes. Starts full."""

    __slots__ = ("_at_s", "_held", "burst", "rate")

    def __init__(self, rate: float, burst: float, now_s: float) -> None:
        self.rate = rate
        self.burst = burst
        self._held = burst
        self._at_s = now_s

    def wait_s(self, size: int, now_s: float) -> float:
        """How long it takes until so many bytes have been let through, if all of them are taken as soon as they may."""
        return max(0.0, (size - self._filled(now_s)) / self.rate)

    def take(self, size: int, now_s: float) -> None:
        """Let bytes through. Whoever takes more than there is leaves a debt, which delays the next."""
        self._held = self._filled(now_s) - size
        self._at_s = max(now_s, self._at_s)

    def _filled(self, now_s: float) -> float:
        return min(self.burst, self._held + max(0.0, now_s - self._at_s) * self.rate)
