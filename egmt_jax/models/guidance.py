"""What guides a fusion."""

import dataclasses
import typing

import jax
from jaxtyping import Array, Float


@typing.no_type_check  # tree transformations put other objects than arrays into the fields
@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Guidance:
    """What guides a fusion, in one of four forms.

    - `Guidance()`: the classifier's own probabilities weight the vocabulary.
    - `Guidance(names=("person", "car"))`: named entities; `Fuser.resolve` looks their features up.
    - `Guidance(names=())`: no guidance.
    - `Guidance(weight=..., features=...)`: arrays; without `features` the weights are those of the
      model's vocabulary (N = K), without `weight` all entities are given.

    Attributes:
      names: entities by name, without padding; None: the classifier's choice, or arrays.
      weight: float32 [B, N] in [0, 1]: 1 for a given entity, 0 for padding, or a probability.
      features: float32 [B, N, D], text features.
    """

    names: tuple[str, ...] | None = dataclasses.field(default=None, metadata={"static": True})
    weight: Float[Array, "b n"] | None = None
    features: Float[Array, "b n d"] | None = None


PREDICTED = Guidance()
UNGUIDED = Guidance(names=())
