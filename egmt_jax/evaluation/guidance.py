"""Chooses the guidance of each pair in an evaluation."""

from collections.abc import Iterable, Iterator

from egmt_jax.errors import UserError
from egmt_jax.io.pairs import Pair
from egmt_jax.models import PREDICTED, UNGUIDED, Guidance

POLICIES = ("predicted", "own", "shuffled", "none")


def guided(pairs: Iterable[Pair], policy: str) -> Iterator[tuple[Pair, Guidance]]:
    """Yields pairs with the guidance of their fusion; an unknown policy raises UserError.

    "predicted": the classifier's own probabilities; "own": the entities of the pair; "shuffled":
    the entities of another pair, half of all pairs away, since adjacent pairs may show the same
    scene; "none": no guidance.
    """
    if policy not in POLICIES:
        raise UserError(f"evaluation.guidance={policy!r}: known are {', '.join(POLICIES)}")
    if policy == "shuffled":
        pairs = list(pairs)
        half = len(pairs) // 2
        for pair, other in zip(pairs, pairs[half:] + pairs[:half], strict=True):
            yield pair, Guidance(other.entities if half else ())
        return
    fixed = {"predicted": PREDICTED, "none": UNGUIDED}.get(policy)
    for pair in pairs:
        yield pair, fixed or Guidance(pair.entities)
