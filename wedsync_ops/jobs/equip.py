"""What a worker needs to run jobs: its pool of slots, and the order that a claimed job is for one."""

from wedsync_ops.clock import Clock
from wedsync_ops.jobs.model import Claimed, Options, Order, own_key
from wedsync_ops.jobs.pool import Pool
from wedsync_ops.jobs.rules import Rules
from wedsync_ops.vendors import profile_of


def pool_for(rules: Rules, options: Options, clock: Clock) -> Pool:
    """A pool whose slots have the handlers of every usable module type imported."""
    return Pool(
        size=options.slots,
        site=rules.site,
        clock=clock,
        preload=handlers_of(rules),
        recycle_jobs=rules.settings.recycle_jobs,
        recycle_mb=rules.settings.recycle_mb,
    )


def handlers_of(rules: Rules) -> list[str]:
    """The handlers of every usable module type, by name."""
    registry = rules.registry
    return sorted({registry.current(name).definition.handler for name in registry.pointers if registry.is_usable(name)})


def order_for(rules: Rules, job: Claimed) -> Order:
    """What a slot is told to run for a job: the handler and limits of the version it was queued with, customised."""
    definition = rules.registry.version(job.module_type, job.module_version).definition
    overrides = rules.registry.overrides(job.module_type, job.vendor_type, job.supplier_id)
    own = definition.resource_requirements
    limits = own if overrides is None else overrides.tightened(own)
    return Order(
        job_id=job.id,
        token=job.token,
        attempt=job.attempt,
        handler=definition.handler,
        config=job.config,
        context=job.context,
        idempotency_key=job.key or own_key(job.id),
        timeout_s=limits.execution_timeout,
        memory_mb=limits.memory_limit,
        cpu_s=limits.cpu_limit * limits.execution_timeout,
        in_thread=definition.isolation == "thread",
        suppressed=job.suppressed,
        send_delay_min=job.send_delay_min,
        cpu_limit=limits.cpu_limit,
        network_mbps=limits.network_bandwidth,
        core_share=profile_of(job.vendor_type, rules.settings.vendors).core_share,
    )
