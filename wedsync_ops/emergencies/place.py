"""What steps are taken on: the platform as an emergency finds it, at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass

from wedsync_ops.emergencies.breaker import Key, Policy, covered, policy_of
from wedsync_ops.emergencies.model import Emergency, Scope
from wedsync_ops.emergencies.protocols import BREAKER, Protocols, When
from wedsync_ops.instants import SECOND
from wedsync_ops.jobs.rules import Rules


def breaker_policy(protocols: Protocols) -> Policy:
    """When breakers open and close by these protocols."""
    return policy_of(protocols.of(BREAKER).when or When(failed_percent=80))


@dataclass(frozen=True, slots=True)
class Place:
    """The rules and the protocols at the instant ``now``."""

    rules: Rules
    protocols: Protocols
    now: int

    @property
    def providers(self) -> Mapping[str, str | None]:
        """What each module type delivers over."""
        registry = self.rules.registry
        return {name: registry.provider(name) for name in registry.pointers}

    @property
    def policy(self) -> Policy:
        """When breakers open and close."""
        return breaker_policy(self.protocols)

    @property
    def lease_us(self) -> int:
        """How old a living worker's heartbeat may be."""
        return round(self.rules.settings.lease_s * SECOND)

    def modules_of(self, emergency: Emergency) -> list[str]:
        """The module types that an emergency is about."""
        if emergency.scope in (Scope.MODULE, Scope.PROVIDER):
            return covered(Key(emergency.scope, emergency.subject), self.providers)
        return sorted(self.rules.registry.pointers)
