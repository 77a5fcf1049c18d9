"""Layers of customisations, for any of them: what wins, and what can never happen."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wedsync_ops.jobs.model import Priority
from wedsync_ops.jobs.priority import raised
from wedsync_ops.modules.model import Customisation, Limits, Resources, Scope
from wedsync_ops.modules.overrides import merged, overrides_of

SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x"]) | st.lists(st.integers(0, 2))
KEYS = st.sampled_from(["a", "b", "c"])
MAPS = st.dictionaries(KEYS, SCALARS | st.dictionaries(KEYS, SCALARS, max_size=2), max_size=3)
CONFIGS = st.dictionaries(KEYS, SCALARS | MAPS, max_size=3)
LIMITS = st.builds(
    Limits,
    cpu_limit=st.none() | st.floats(0.1, 60),
    memory_limit=st.none() | st.integers(32, 2000),
    execution_timeout=st.none() | st.floats(0.1, 90),
)


def customisation(scope: Scope = "supplier", **fields: Any) -> Customisation:
    return Customisation(scope=scope, name="x", module_id="email", **fields)


@given(CONFIGS, CONFIGS)
def test_every_value_comes_from_one_of_the_two_and_the_upper_one_wins(
    lower: dict[str, Any], upper: dict[str, Any]
) -> None:
    found = merged(lower, upper)
    assert found.keys() == lower.keys() | upper.keys()
    for key, value in found.items():
        below, above = lower.get(key), upper.get(key)
        if key not in upper:
            assert value == below
        elif isinstance(below, dict) and isinstance(above, dict):
            assert value.keys() == below.keys() | above.keys()
            assert all(item == (above if name in above else below)[name] for name, item in value.items())
        else:
            assert value == above


@given(CONFIGS, CONFIGS)
def test_merging_changes_neither_and_merging_again_changes_nothing(
    lower: dict[str, Any], upper: dict[str, Any]
) -> None:
    before = copy.deepcopy((lower, upper))
    found = merged(lower, upper)
    assert merged(found, upper) == found
    assert merged(lower, {}) == lower
    assert merged({}, upper) == upper
    assert (lower, upper) == before


@given(st.lists(CONFIGS, max_size=2), CONFIGS)
def test_the_jobs_own_config_is_never_lost(layers: list[dict[str, Any]], own: dict[str, Any]) -> None:
    found = overrides_of([customisation(config=config) for config in layers]).completed(own)
    for key, value in own.items():
        if isinstance(value, dict):
            assert all(found[key][name] == item for name, item in value.items())
        else:
            assert found[key] == value


@given(st.lists(LIMITS, max_size=2), st.floats(0.1, 64), st.integers(32, 4096), st.floats(0.1, 100))
def test_limits_are_only_ever_tightened(layers: list[Limits], cpu: float, memory: int, timeout: float) -> None:
    own = Resources(cpu_limit=cpu, memory_limit=memory, execution_timeout=timeout)
    found = overrides_of([customisation(limits=limits) for limits in layers]).tightened(own)
    for name, value in found.model_dump().items():
        given_ = [getattr(limits, name) for limits in layers if getattr(limits, name) is not None]
        assert value == min([getattr(own, name), *given_])


@given(
    st.sampled_from(Priority),
    st.lists(
        st.tuples(st.none() | st.sampled_from(["low", "normal", "high", "critical"]), st.none() | st.integers(0, 3)),
        max_size=2,
    ),
)
def test_a_priority_is_raised_and_never_lowered(asked: Priority, layers: list[tuple[str | None, int | None]]) -> None:
    found = raised(
        asked, overrides_of([customisation(priority=least, priority_boost=steps) for least, steps in layers])
    )
    least = next((word for word, _ in reversed(layers) if word is not None), "low")
    steps = next((boost for _, boost in reversed(layers) if boost is not None), 0)
    assert found == max(asked, Priority[least.upper()], min(asked + steps, Priority.HIGH))
    assert raised(asked, None) is asked
