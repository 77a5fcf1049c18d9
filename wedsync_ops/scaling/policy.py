"""The settings as the policy that decisions are made by."""

from wedsync_ops.instants import SECOND
from wedsync_ops.scaling.model import Policy
from wedsync_ops.settings import Settings


def policy_of(settings: Settings) -> Policy:
    """When slots are added and given back, as configured."""
    return Policy(
        up_load=settings.scale_up_load,
        down_load=settings.scale_down_load,
        target_load=settings.scale_target_load,
        drain_s=settings.scale_drain_s,
        urgent_drain_s=settings.scale_urgent_drain_s,
        wait_s=settings.scale_wait_s,
        up_window_us=round(settings.scale_up_window_s * SECOND),
        down_window_us=round(settings.scale_down_window_s * SECOND),
        down_pause_us=round(settings.scale_down_pause_s * SECOND),
        cpu_percent=settings.scale_cpu_percent,
    )
