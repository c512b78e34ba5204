"""What stands where, in metres: the ground, the large things, the roadside, vehicles and people."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from tfds_builders.entity_scenes import cycles, furniture, nature, people, structures, vehicles
from tfds_builders.entity_scenes.canvas import Canvas
from tfds_builders.entity_scenes.conditions import Conditions
from tfds_builders.entity_scenes.places import Plan
from tfds_builders.entity_scenes.surfaces import paint_ground

_VEHICLES = ("car", "van", "truck", "bus")


@dataclasses.dataclass(frozen=True)
class _Item:
    """Something upright, painted far to near."""

    z: float
    paint: Callable[[], object]


class Place:
    """Lays out one scene and paints it."""

    def __init__(self, canvas: Canvas, rng, conditions: Conditions, plan: Plan):
        self.canvas, self.rng, self.conditions, self.plan = canvas, rng, conditions, plan
        self.structures: list[_Item] = []
        self.items: list[_Item] = []
        self.taken: list[tuple[float, float, float]] = []
        self.verge = {-1: plan.left - plan.walkway, 1: plan.right + plan.walkway}

    def paint(self) -> None:
        """Paints ground, then structures, then everything that stands before them."""
        if self.plan.has("hill"):
            nature.paint_hill(self.canvas, self.rng, self.conditions)
        if self.plan.has("building") and self.rng.random() < 0.7:
            structures.paint_skyline(self.canvas, self.rng, self.conditions)
        if self.plan.has("tree") and self.rng.random() < 0.8:
            nature.paint_treeline(self.canvas, self.rng, self.conditions)
        paint_ground(self.canvas, self.rng, self.conditions, self.plan)
        self._structures()
        self._vehicles()
        self._roadside()
        self._people()
        for group in (self.structures, self.items):
            for item in sorted(group, key=lambda item: -item.z):
                item.paint()

    # What does not move and is large

    def _structure(self, z: float, paint: Callable[[], object]) -> None:
        self.structures.append(_Item(z, paint))

    def _structures(self) -> None:
        canvas, rng, conditions = self.canvas, self.rng, self.conditions
        if self.plan.name == "street":
            for side in (-1, 1):
                x = self.verge[side]
                z = rng.uniform(-2, 10)
                while self.plan.has("building") and z < 100:
                    length = rng.uniform(10, 24)
                    height = float(
                        rng.choice([4.2, 7.0, 10.0, 14.0, 22.0], p=(0.2, 0.3, 0.25, 0.15, 0.1))
                    )
                    args = (
                        canvas,
                        rng,
                        conditions,
                        x + side * rng.uniform(0, 1.5),
                        max(z, 0.9),
                        z + length,
                        height,
                    )
                    self._structure(z, lambda args=args: structures.paint_building(*args))
                    z += length + (0.1 if rng.random() < 0.6 else rng.uniform(4, 14))
        elif self.plan.name == "junction":
            for x0, x1 in ((-60, self.plan.left - 3), (self.plan.right + 3, 60)):
                if self.plan.has("building") and rng.random() < 0.85:
                    z = self.plan.cross + 9 + rng.uniform(3, 6)
                    height = float(rng.choice([5.0, 8.0, 12.0, 20.0]))
                    args = (canvas, rng, conditions, z, x0, x1, height)
                    self._structure(z, lambda args=args: structures.paint_facade(*args))
            if self.plan.has("building") and rng.random() < 0.6:
                z = self.plan.cross + rng.uniform(50, 90)
                args = (canvas, rng, conditions, z, -80, 80, rng.uniform(8, 26))
                self._structure(z, lambda args=args: structures.paint_facade(*args))
        elif self.plan.has("building"):
            z, x = rng.uniform(30, 60), rng.uniform(-25, 15)
            args = (canvas, rng, conditions, z, x, x + rng.uniform(15, 40), rng.uniform(6, 20))
            self._structure(z, lambda args=args: structures.paint_facade(*args))
        if self.plan.has("house"):
            for _ in range(int(rng.integers(1, 4))):
                side = rng.choice([-1, 1])
                x = self.verge[side] + side * rng.uniform(2, 8)
                z = self._seen_from(x + 2 * side) + rng.uniform(2, 22)
                if self._free(x + 4 * side, z + 5, 7.0):
                    self._structure(
                        z, lambda x=x, z=z: structures.paint_house(canvas, rng, conditions, x, z)
                    )
        sides = rng.permutation([-1, 1])
        for kind, paint, side in (
            ("wall", structures.paint_wall, sides[0]),
            ("fence", structures.paint_fence, sides[1]),
        ):
            if self.plan.has(kind):
                x = self.verge[side] + side * 0.6
                z0 = rng.uniform(1, 12)
                args = (canvas, rng, conditions, x, z0, z0 + rng.uniform(15, 70))
                self._structure(z0 - 0.5, lambda args=args, paint=paint: paint(*args))
        if self.plan.has("gate"):
            z = rng.uniform(13, 26)
            self._structure(
                z,
                lambda: structures.paint_gate(
                    canvas, rng, conditions, self.plan.centre, z, 2 * self.plan.half + 0.6
                ),
            )
            self.taken.append((self.plan.centre, z, 1.5))

    # What stands at the side

    def _seen_from(self, x: float) -> float:
        """The depth from which on something at x is in the picture."""
        camera = self.canvas.camera
        return max(abs(x) * 2.15 * camera.focal / camera.width, camera.near() * 1.1, 3.5)

    def _free(self, x: float, z: float, radius: float) -> bool:
        """Whether nothing is within reach of (x, z); takes the place if so."""
        for other_x, other_z, other in self.taken:
            if abs(x - other_x) < radius + other and abs(z - other_z) < 1.4 * (radius + other):
                return False
        self.taken.append((x, z, radius))
        return True

    def _put(self, x: float, z: float, radius: float, paint, *args) -> bool:
        if not self._free(x, z, radius):
            return False
        items = (self.canvas, self.rng, self.conditions, x, z, *args)
        self.items.append(_Item(z, lambda: paint(*items)))
        return True

    def _beside(self, reach: tuple[float, float], spread: float = 22.0) -> tuple[float, float]:
        """A spot at either side of the road or path, `reach` metres off it."""
        side = int(self.rng.choice([-1, 1]))
        x = (self.plan.left if side < 0 else self.plan.right) + side * self.rng.uniform(*reach)
        z = self._seen_from(x) + spread * self.rng.random() ** 1.6
        return x, z

    def _roadside(self) -> None:
        rng, canvas, conditions = self.rng, self.canvas, self.conditions
        margin = self.plan.walkway
        outside = (0.6, margin - 0.6)
        behind = (margin + 1.0, margin + 9.0) if self.plan.name != "street" else outside
        green = (0.8, 9.0) if self.plan.open_country else behind
        if self.plan.has("street lamp"):
            side, tall, warm = (
                int(rng.choice([-1, 1])),
                self.plan.name != "park",
                bool(rng.random() < 0.6),
            )
            x = (self.plan.left if side < 0 else self.plan.right) + side * 0.7
            first, step = self._seen_from(x) + rng.uniform(0, 8), rng.uniform(14, 24)
            for k in range(4):
                self._put(x, first + k * step, 0.2, furniture.paint_street_lamp, warm, tall)
        if self.plan.has("pole"):
            side = int(rng.choice([-1, 1]))
            x = (self.plan.left if side < 0 else self.plan.right) + side * rng.uniform(1.0, 2.0)
            first, ends = self._seen_from(x) + rng.uniform(0, 8), []
            for k in range(3 if self.plan.has("power line") else 1):
                z = first + 26.0 * k
                self.items.append(
                    _Item(
                        z,
                        lambda z=z: ends.append(
                            furniture.paint_pole(canvas, rng, conditions, x, z)
                        ),
                    )
                )
                self.taken.append((x, z, 0.2))
            if self.plan.has("power line"):
                # Wires come after the nearest pole, which is the last to be painted.
                wires = lambda: furniture.paint_power_lines(canvas, conditions, ends[::-1])  # noqa: E731
                self.items.append(_Item(first - 0.01, wires))
        if self.plan.has("traffic light"):
            z = self.plan.cross - 6.5 if self.plan.name == "junction" else rng.uniform(12, 26)
            self._put(
                self.plan.right + 0.6,
                z,
                0.2,
                furniture.paint_traffic_light,
                bool(rng.random() < 0.5),
            )
            if rng.random() < 0.5:
                self._put(self.plan.left - 0.6, z + 9, 0.2, furniture.paint_traffic_light, False)
        for kind, most, reach, radius, paint in (
            ("traffic sign", 2, (0.4, 1.2), 0.3, furniture.paint_traffic_sign),
            ("trash can", 3, (0.6, 1.6), 0.35, furniture.paint_trash_can),
            ("bench", 2, (0.7, 1.8), 0.9, furniture.paint_bench),
            ("tree", 6 if self.plan.open_country else 4, green, 1.4, nature.paint_tree),
            (
                "palm tree",
                6,
                outside if self.plan.name == "junction" else (1.0, 3.5),
                0.8,
                nature.paint_palm,
            ),
            ("bush", 6, green, 0.9, nature.paint_bush),
        ):
            if self.plan.has(kind):
                for _ in range(int(rng.integers(1, most + 1))):
                    spread = 14.0 if most < 4 else 30.0
                    any(self._put(*self._beside(reach, spread), radius, paint) for _ in range(3))
        if self.plan.has("traffic cone"):
            x, z = self.plan.centre + rng.uniform(-0.9, 0.9) * self.plan.half, rng.uniform(6, 14)
            for k in range(int(rng.integers(1, 6))):
                self._put(
                    x + 0.25 * k,
                    max(z, self._seen_from(x)) + 1.9 * k,
                    0.3,
                    _without_rng(furniture.paint_cone),
                )
        if self.plan.has("bollard"):
            side, style = int(rng.choice([-1, 1])), int(rng.integers(3))
            x = (self.plan.left if side < 0 else self.plan.right) + side * 0.45
            first = self._seen_from(x) + rng.uniform(0, 4)
            for k in range(int(rng.integers(2, 7))):
                self._put(x, first + 1.8 * k, 0.15, _without_rng(furniture.paint_bollard), style)

    # Vehicles and people

    def _vehicles(self) -> None:
        rng = self.rng
        for kind in _VEHICLES:
            if not self.plan.has(kind):
                continue
            for _ in range(
                int(rng.choice([1, 2, 3, 5], p=(0.4, 0.3, 0.2, 0.1))) if kind == "car" else 1
            ):
                self._vehicle(kind)
        if self.plan.has("motorcycle"):
            for _ in range(int(rng.integers(1, 3))):
                self._put(*self._beside((-0.6, 0.8), 8.0), 0.9, cycles.paint_motorcycle)

    def _vehicle(self, kind: str) -> None:
        rng = self.rng
        length = {"car": 4.6, "van": 5.1, "truck": 7.2, "bus": 10.6}[kind]
        for _ in range(6):
            choice = rng.random()
            moving = True
            if self.plan.name == "field":
                x, z = self.plan.centre + rng.uniform(-8, 8), rng.uniform(10, 28)
                heading, moving = rng.uniform(-np.pi, np.pi), bool(rng.random() < 0.3)
            elif self.plan.name == "junction" and choice < 0.45:
                heading = float(rng.choice([-1, 1])) * np.pi / 2 + rng.normal(0, 0.08)
                z = self.plan.cross + (2.4 if heading > 0 else 6.6)
                x = rng.uniform(-0.9, 0.9) * self.canvas.camera.half_width(z)
            else:
                side = int(rng.choice([-1, 1]))
                heading = (0.0 if side > 0 else np.pi) + rng.normal(0, 0.03)
                parked = choice > 0.6 and self.plan.name != "junction"
                offset = (
                    self.plan.half - 1.1
                    if parked
                    else 1.7
                    if self.plan.half < 6
                    else rng.choice([1.7, 5.1])
                )
                x, moving = self.plan.centre + side * offset, not parked
                nearest = max(self._seen_from(abs(x) - 1.5), 0.9 * length + 2.0)
                z = nearest + length / 2 + 24 * rng.random() ** 1.7
            if self._free(x, z, length / 2 if abs(math.sin(heading)) > 0.5 else length / 2.6):
                args = (self.canvas, rng, self.conditions, kind, x, z, heading, moving)
                self.items.append(_Item(z - 0.3, lambda args=args: vehicles.paint_vehicle(*args)))
                return

    def _people(self) -> None:
        rng = self.rng
        open_ground = self.plan.open_country
        if self.plan.has("person"):
            for k in range(int(rng.choice([1, 2, 3, 5], p=(0.42, 0.3, 0.18, 0.1)))):
                crossing = open_ground or rng.random() < 0.35
                if crossing:
                    z = max(self._seen_from(0.0), 5.0) + 18 * rng.random() ** 1.6
                    x = rng.uniform(-0.85, 0.85) * min(
                        self.canvas.camera.half_width(z), self.plan.half + 3
                    )
                else:
                    x, z = self._beside((0.5, 2.2), 16.0)
                umbrella = self.plan.has("umbrella") and k == 0
                self._put(x, z, 0.4, people.paint_person, bool(rng.random() < 0.7), umbrella)
        if self.plan.has("cyclist"):
            for _ in range(int(rng.integers(1, 3))):
                x = self.plan.centre + rng.uniform(-0.9, 0.9) * self.plan.half
                z = self._seen_from(x) + 3 + 14 * rng.random() ** 1.5
                self._put(x, z, 0.9, people.paint_cyclist)
        if self.plan.has("bicycle"):
            x, z = self._beside((0.5, 1.8), 10.0)
            for k in range(int(rng.integers(1, 4))):
                self._put(x + 0.2 * k, z + 0.7 * k, 0.25, cycles.paint_bicycle)
        if self.plan.has("dog"):
            z = max(self._seen_from(0.0), 5.0) + 8 * rng.random()
            self._put(
                self.plan.centre + rng.uniform(-0.9, 0.9) * self.plan.half, z, 0.5, people.paint_dog
            )


def _without_rng(paint):
    return lambda canvas, rng, conditions, *rest: paint(canvas, conditions, *rest)
