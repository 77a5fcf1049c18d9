"""What one rendering may take: rounds of loops, steps, characters. The how-to on e-mail templates tells the limits.

A step is about 0.1 µs of work: a part of the template that is evaluated once more by a loop, or a character that a
filter, a comparison or a joining of texts reads. What a template says once is limited by its own size.
"""

from jinja2.exceptions import SecurityError

MAX_SOURCE = 100_000
"""The longest text that is compiled as a template, in characters."""
MAX_PARTS = 5_000
"""The most parts that a template may have: names, values, signs, tags, and the texts between them."""
MAX_OUTPUT = 1_000_000
"""The longest text that a template may make, in characters."""
MAX_ROUNDS = 10_000
"""The most rounds that all loops of one rendering may make together."""
MAX_STEPS = 2_000_000
"""The most steps of one rendering."""
MAX_NUMBER = 2**64 - 1
"""The largest whole number, either way."""
BUDGET = "_budget"
"""The name under which a rendering's budget stands among its values; templates cannot name it."""
_TEMPLATE = 4_000


class Budget:
    """What is left to one rendering, or to several that share it."""

    __slots__ = ("_rounds", "_steps")

    def __init__(self) -> None:
        self._rounds = MAX_ROUNDS
        self._steps = MAX_STEPS

    def spend(self, steps: int) -> None:
        """Take so many steps. Raises SecurityError when they are not there."""
        self._steps -= steps
        if self._steps < 0:
            raise SecurityError(f"it takes more than {MAX_STEPS:,} steps")

    def begin_template(self) -> None:
        """Take what another template costs at least. Raises SecurityError as ``spend`` does."""
        self.spend(_TEMPLATE)

    def begin_round(self, steps: int) -> None:
        """Take a round of a loop whose body has so many parts. Raises SecurityError when it is one too many."""
        self._rounds -= 1
        if self._rounds < 0:
            raise SecurityError(f"its loops make more than {MAX_ROUNDS:,} rounds")
        self.spend(steps)
