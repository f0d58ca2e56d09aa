"""Check of the clock: how far this machine's is from those of Cloudflare and of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.doctor.runner import failed, ok, skipped, warning

if TYPE_CHECKING:
    from tasks.doctor.clock_skew import ClockSkew
    from tasks.doctor.runner import CheckResult

SKEW_NOTED_S, SKEW_REFUSED_S = 30.0, 15 * 60.0
"""From a quarter of an hour on, S3 refuses all signatures."""


def check_clock(clocks: ClockSkew) -> CheckResult:
    """Look how far the clocks are apart: both requests to the store and presigned URLs hold a time.

    Args:
        clocks: with what the other checks' answers said.
    """
    ahead = clocks.ahead()
    if not ahead:
        return skipped("not known: no server has told its time")
    off = {server: seconds for server, seconds in ahead.items() if abs(seconds) >= SKEW_NOTED_S}
    servers = " and ".join(sorted(ahead))
    if not off:
        return ok(f"within {max(1.0, *map(abs, ahead.values())):.0f} s of {servers}")
    text = "; ".join(f"this machine is {_apart(seconds)} {server}" for server, seconds in off.items())
    if len(off) < len(ahead):
        text = f"{text}; but not {' and '.join(ahead.keys() - off.keys())}"
    text = f"{text}. From 15 minutes on, requests are refused"
    advice = "Set this machine's clock, by NTP; if that is right, the other one's."
    worst = max(abs(seconds) for seconds in off.values())
    return failed(text, advice) if worst >= SKEW_REFUSED_S and off == ahead else warning(text, advice)


def _apart(seconds: float) -> str:
    amount = f"{abs(seconds) / 60:.0f} minutes" if abs(seconds) >= 120 else f"{abs(seconds):.0f} s"
    return f"{amount} {'behind' if seconds > 0 else 'ahead of'}"
