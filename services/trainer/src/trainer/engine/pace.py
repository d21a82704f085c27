"""When to look at the held-out frames while training: often enough for a picture, seldom enough not to slow it down.

Two wishes contradict each other on short runs: looks should take at most 2 % of the time, and a contributor wants to
see a curve. The budget rules, except that a run has a few looks whatever they cost. A look at the start and one at
the end are not counted: their numbers go into the model's manifest.
"""

from dataclasses import dataclass, field

# Looks between start and end at least: with both, a curve of five points.
PICTURE = 3


@dataclass(slots=True)
class Pace:
    """Times are in seconds of a clock that never goes back.

    every   steps between two looks at least
    budget  part of the training time that looks may take
    """

    total_steps: int
    every: int
    budget: float
    step: int
    began: float
    spent: float = 0.0
    _last_cost: float = field(default=0.0, init=False)

    def due(self, step: int, now: float) -> bool:
        """Whether to look now, after `step` steps."""
        since = step - self.step
        if since < self.every or step >= self.total_steps:
            return False
        trained = now - self.began - self.spent
        # The first look tells what one costs; what it takes too much is made up for.
        affordable = self.spent + self._last_cost <= self.budget * trained
        return affordable or since >= self.total_steps / (PICTURE + 1)

    def looked(self, step: int, began: float, ended: float) -> None:
        """A look that was due took this long."""
        self.step = step
        self._last_cost = ended - began
        self.spent += ended - began
