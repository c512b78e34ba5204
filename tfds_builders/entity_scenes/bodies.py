"""Shapes of cars, vans, buses and trucks."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Body:
    """A vehicle's shape, in metres from the rear bumper: (along, up) points.

    Attributes:
      profile: outline from the rear foot over the roof to the front foot.
      glass: indices i such that the surface between profile points i and i + 1 is glass.
      windows: side windows, each a polygon of (along, up).
      wheels: where along the body the axles are.
      wheel: wheel radius.
      width: overall width.
      belt: height above which the body narrows.
      taper: share of the width lost at the roof.
      rear: profile index of the surface that carries the rear lights.
      front: profile index of the surface that carries the head lights; -1 for none.
    """

    profile: tuple[tuple[float, float], ...]
    glass: tuple[int, ...]
    windows: tuple[tuple[tuple[float, float], ...], ...]
    wheels: tuple[float, ...]
    wheel: float
    width: float
    belt: float
    taper: float
    rear: int
    front: int


SEDAN = Body(
    profile=(
        (0, 0.32), (0, 0.62), (0.06, 0.95), (0.62, 1.0), (1.3, 1.41),
        (2.5, 1.44), (3.3, 0.98), (4.35, 0.8), (4.5, 0.58), (4.5, 0.3),
    ),
    glass=(3, 5),
    windows=(
        ((0.98, 1.0), (1.42, 1.34), (1.98, 1.36), (1.98, 0.98)),
        ((2.06, 0.98), (2.06, 1.36), (2.46, 1.36), (3.05, 0.97)),
    ),
    wheels=(0.85, 3.6),
    wheel=0.32, width=1.8, belt=0.97, taper=0.24, rear=1, front=7,
)  # fmt: skip
HATCHBACK = Body(
    profile=(
        (0, 0.35), (0, 0.7), (0.05, 1.04), (0.42, 1.52), (0.7, 1.62),
        (2.4, 1.62), (3.15, 1.08), (4.15, 0.92), (4.3, 0.62), (4.3, 0.33),
    ),
    glass=(2, 5),
    windows=(
        ((0.5, 1.1), (0.72, 1.5), (1.5, 1.53), (1.5, 1.08)),
        ((1.6, 1.08), (1.6, 1.53), (2.32, 1.52), (2.92, 1.07)),
    ),
    wheels=(0.78, 3.45),
    wheel=0.35, width=1.82, belt=1.05, taper=0.18, rear=1, front=7,
)  # fmt: skip
VAN = Body(
    profile=(
        (0, 0.4), (0, 1.12), (0.03, 1.2), (0.1, 1.95), (0.3, 2.08),
        (3.9, 2.08), (4.5, 1.2), (4.95, 1.05), (5.05, 0.7), (5.05, 0.35),
    ),
    glass=(2, 5),
    windows=(((3.1, 1.22), (3.1, 1.85), (3.8, 1.85), (4.2, 1.2)),),
    wheels=(0.95, 4.1),
    wheel=0.36, width=1.95, belt=1.2, taper=0.12, rear=1, front=7,
)  # fmt: skip
BUS = Body(
    profile=(
        (0, 0.4), (0, 1.25), (0, 2.5), (0.05, 3.05), (10.4, 3.05),
        (10.5, 2.6), (10.55, 1.1), (10.55, 0.8), (10.55, 0.35),
    ),
    glass=(1, 5),
    windows=tuple(
        ((s, 1.25), (s, 2.4), (s + 1.25, 2.4), (s + 1.25, 1.25))
        for s in (0.5, 1.9, 3.3, 4.7, 6.1, 7.5, 8.9)
    ),
    wheels=(2.3, 8.3),
    wheel=0.48, width=2.5, belt=3.0, taper=0.0, rear=0, front=6,
)  # fmt: skip
CAB = Body(
    profile=(
        (0, 0.5), (0, 1.2), (0, 2.5), (1.3, 2.5), (1.85, 1.45), (2.0, 1.1), (2.0, 0.45),
    ),
    glass=(3,),
    windows=(((0.6, 1.45), (0.6, 2.25), (1.25, 2.25), (1.55, 1.45)),),
    wheels=(1.15,),
    wheel=0.45, width=2.15, belt=2.4, taper=0.0, rear=0, front=4,
)  # fmt: skip
CARGO = Body(
    profile=((0, 0.55), (0, 1.0), (0, 3.1), (5.0, 3.1), (5.0, 0.7)),
    glass=(),
    windows=(),
    wheels=(1.0,),
    wheel=0.45, width=2.35, belt=3.1, taper=0.0, rear=0, front=-1,
)  # fmt: skip
LENGTHS = {"car": 4.5, "van": 5.05, "truck": 7.1, "bus": 10.55}
