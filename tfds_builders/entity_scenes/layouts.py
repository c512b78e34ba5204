"""What stands where: five kinds of places, each with its own chances of meeting each entity."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from tfds_builders.entity_scenes import furniture, nature, people, structures, vehicles
from tfds_builders.entity_scenes.canvas import Canvas, tone
from tfds_builders.entity_scenes.conditions import Conditions

# Chance that a place has at least one of each entity. What is laid out is not always seen.
PLACES: dict[str, dict[str, float]] = {
    "street": {
        "road": 1.0, "sidewalk": 0.8, "curb": 0.5, "lane marking": 0.5, "crosswalk": 0.3, "building": 0.95,
        "tree": 0.3, "bush": 0.1, "street lamp": 0.4, "traffic light": 0.25, "traffic sign": 0.35,
        "traffic cone": 0.15, "bollard": 0.2, "trash can": 0.22, "pole": 0.25, "power line": 0.18, "car": 0.7,
        "van": 0.2, "truck": 0.1, "bus": 0.15, "motorcycle": 0.15, "person": 0.55, "cyclist": 0.25,
        "bicycle": 0.25, "umbrella": 0.12, "dog": 0.05,
    },
    "avenue": {
        "road": 1.0, "grass": 0.85, "sidewalk": 0.35, "curb": 0.45, "lane marking": 0.65, "hill": 0.5, "palm tree": 0.5,
        "tree": 0.45, "bush": 0.45, "house": 0.4, "wall": 0.35, "fence": 0.35, "pole": 0.4, "power line": 0.35,
        "street lamp": 0.25, "traffic sign": 0.35, "traffic cone": 0.2, "car": 0.6, "van": 0.15, "truck": 0.25,
        "bus": 0.1, "person": 0.25, "cyclist": 0.25, "trash can": 0.15,
    },
    "park": {
        "path": 1.0, "grass": 1.0, "tree": 0.75, "bush": 0.5, "bench": 0.6, "street lamp": 0.4, "bollard": 0.35,
        "trash can": 0.3, "building": 0.4, "wall": 0.2, "fence": 0.25, "gate": 0.25, "person": 0.65, "cyclist": 0.3,
        "bicycle": 0.3, "dog": 0.45, "umbrella": 0.15,
    },
    "junction": {
        "road": 1.0, "lane marking": 0.45, "crosswalk": 0.55, "sidewalk": 0.9, "building": 0.9, "traffic light": 0.6,
        "traffic sign": 0.4, "street lamp": 0.4, "traffic cone": 0.2, "bollard": 0.2, "tree": 0.3, "palm tree": 0.2,
        "pole": 0.2, "car": 0.65, "van": 0.25, "truck": 0.2, "bus": 0.3, "motorcycle": 0.3, "person": 0.5,
        "cyclist": 0.35, "bicycle": 0.25, "umbrella": 0.12,
    },
    "field": {
        "grass": 1.0, "path": 0.6, "house": 0.6, "hill": 0.55, "tree": 0.6, "bush": 0.45, "fence": 0.55, "gate": 0.4,
        "wall": 0.2, "pole": 0.25, "power line": 0.2, "person": 0.65, "dog": 0.25, "truck": 0.15, "car": 0.2,
    },
}  # fmt: skip
_SHARES = {"street": 0.3, "avenue": 0.24, "park": 0.18, "junction": 0.16, "field": 0.12}

_VEHICLES = ("car", "van", "truck", "bus")


@dataclasses.dataclass(frozen=True)
class _Item:
    """Something upright, painted far to near."""

    z: float
    paint: Callable[[], object]


def choose_place(rng: np.random.Generator, require: frozenset[str]) -> str:
    """Draws a kind of place that can hold every required entity.

    Raises:
      ValueError: no kind of place can hold them all.
    """
    free = {"sky", "cloud", "window"}
    fitting = [name for name, chances in PLACES.items() if require - free <= chances.keys()]
    if not fitting:
        raise ValueError(f"no kind of place can hold all of {', '.join(sorted(require))}")
    shares = np.array([_SHARES[name] for name in fitting])
    return fitting[int(rng.choice(len(fitting), p=shares / shares.sum()))]


class Place:
    """Lays out one scene and paints it."""

    def __init__(
        self, canvas: Canvas, rng, conditions: Conditions, name: str, require: frozenset[str]
    ):
        self.canvas, self.rng, self.conditions, self.name = canvas, rng, conditions, name
        chances = PLACES[name]
        draws = rng.random(len(chances))
        self.present = {
            kind
            for (kind, chance), draw in zip(chances.items(), draws, strict=True)
            if draw < chance
        } | require
        if "power line" in self.present:
            self.present.add("pole")
        if "umbrella" in self.present:
            self.present.add("person")
        if self.name in ("street", "junction") and "window" in require:
            self.present.add("building")
        self.structures: list[_Item] = []
        self.items: list[_Item] = []
        self.taken: list[tuple[float, float, float]] = []
        self.walkway = rng.uniform(1.8, 3.5)
        if name in ("park", "field"):
            self.half = rng.uniform(1.1, 2.4)
            self.centre = rng.uniform(-1.2, 1.2)
        else:
            self.half = 3.4 * int(rng.integers(1, 3)) + rng.uniform(0.0, 1.2)
            self.centre = rng.choice(
                [-1.7, rng.uniform(-0.5, 0.5) - 0.8 * self.half, 0.9 * self.half]
            )
        self.left, self.right = self.centre - self.half, self.centre + self.half

    def has(self, kind: str) -> bool:
        """Whether this scene was dealt the entity."""
        return kind in self.present

    def paint(self) -> None:
        """Paints ground, then structures, then everything that stands before them."""
        if self.has("hill"):
            nature.paint_hill(self.canvas, self.rng, self.conditions)
        self._ground()
        self._structures()
        self._vehicles()
        self._roadside()
        self._people()
        for group in (self.structures, self.items):
            for item in sorted(group, key=lambda item: -item.z):
                item.paint()

    # The ground

    def _ground(self) -> None:
        canvas, rng, conditions = self.canvas, self.rng, self.conditions
        near = 0.6 * canvas.camera.near()
        far = structures.FAR
        grass_rgb = tone(
            ((86, 104, 52), (112, 112, 60), (134, 122, 78))[int(rng.integers(3))],
            rng.uniform(0.8, 1.1),
        )
        paved = tone((152, 148, 140), rng.uniform(0.85, 1.1))
        asphalt = tone((94, 95, 98), rng.uniform(0.75, 1.3))
        base = "grass" if self.has("grass") else "sidewalk" if self.has("sidewalk") else "road"
        rgb = {"grass": grass_rgb, "sidewalk": paved, "road": asphalt}[base]
        jitter = rng.normal(0, 0.8)
        if base == "sidewalk":
            self.walkway = 40.0
        structures.paint_surface(
            canvas, base, -400, 400, near, 400, rgb, conditions.temperature(base) + jitter
        )
        if self.name in ("park", "field"):
            if self.has("path"):
                earth = ((166, 158, 142), (150, 128, 98), (128, 126, 124))[int(rng.integers(3))]
                heat = conditions.temperature("path") + rng.normal(0, 0.8)
                structures.paint_surface(
                    canvas, "path", self.left, self.right, near, far, earth, heat
                )
            return
        heat = conditions.temperature("road") + rng.normal(0, 1.0)
        if self.has("sidewalk") and base == "grass":
            walk = conditions.temperature("sidewalk") + rng.normal(0, 0.8)
            for a, b in (
                (self.left - self.walkway, self.left),
                (self.right, self.right + self.walkway),
            ):
                structures.paint_surface(canvas, "sidewalk", a, b, near, far, paved, walk)
        structures.paint_surface(canvas, "road", self.left, self.right, near, far, asphalt, heat)
        road = canvas.current
        self.cross = rng.uniform(13, 24)
        lanes = [self.centre - 1.7, self.centre + 1.7]
        if self.half > 6:
            lanes = [self.centre + 3.4 * k for k in (-1.5, -0.5, 0.5, 1.5)]
        structures.paint_road_wear(canvas, rng, asphalt, heat, lanes, road)
        if self.name == "junction":
            canvas.resume(road)
            canvas.at(self.cross + 4)
            canvas.face(
                structures.strip(canvas, -90, 90, self.cross, self.cross + 9), asphalt, heat
            )
        if self.has("curb"):
            stone = tone((176, 172, 164), rng.uniform(0.8, 1.1))
            if rng.random() < 0.15:
                stone = (176, 60, 50)
            curb = conditions.temperature("curb") + rng.normal(0, 1.0)
            for x, sign in ((self.left, -1), (self.right, 1)):
                if x * sign > 0:
                    structures.paint_curb(canvas, x, stone, curb, near)
        painted = heat - (3.0 * conditions.sunny + rng.uniform(0.0, 0.5))
        if self.has("lane marking"):
            lines = [(self.centre, rng.random() < 0.5)]
            if self.half > 6:
                lines += [(self.centre - 3.4, True), (self.centre + 3.4, True)]
            if rng.random() < 0.6:
                lines += [(self.left + 0.35, False), (self.right - 0.35, False)]
            start = self.cross + 12 if self.name == "junction" and rng.random() < 0.3 else near
            structures.paint_lane_markings(canvas, rng, painted, lines, start)
            if rng.random() < 0.3:
                structures.paint_arrow(
                    canvas, lanes[-1 if rng.random() < 0.5 else 0], rng.uniform(5, 9), painted
                )
        if self.has("crosswalk"):
            z = (
                self.cross - 5.0
                if self.name == "junction"
                else rng.uniform(1.2, 2.2) * max(near / 0.6, 4.0)
            )
            structures.paint_crosswalk(canvas, rng, self.left, self.right, z, painted)

    # What does not move and is large

    def _structure(self, z: float, paint: Callable[[], object]) -> None:
        self.structures.append(_Item(z, paint))

    def _structures(self) -> None:
        canvas, rng, conditions = self.canvas, self.rng, self.conditions
        margin = self.walkway if self.walkway < 10 else rng.uniform(2.2, 4.5)
        self.verge = {-1: self.left - margin, 1: self.right + margin}
        if self.name == "street":
            for side in (-1, 1):
                x = self.verge[side]
                z = rng.uniform(-2, 10)
                while self.has("building") and z < 100:
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
        elif self.name == "junction":
            for x0, x1 in ((-60, self.left - 3), (self.right + 3, 60)):
                if self.has("building") and rng.random() < 0.85:
                    z = self.cross + 9 + rng.uniform(3, 6)
                    height = float(rng.choice([5.0, 8.0, 12.0, 20.0]))
                    args = (canvas, rng, conditions, z, x0, x1, height)
                    self._structure(z, lambda args=args: structures.paint_facade(*args))
            if self.has("building") and rng.random() < 0.6:
                z = self.cross + rng.uniform(50, 90)
                args = (canvas, rng, conditions, z, -80, 80, rng.uniform(8, 26))
                self._structure(z, lambda args=args: structures.paint_facade(*args))
        elif self.has("building"):
            z, x = rng.uniform(30, 60), rng.uniform(-25, 15)
            args = (canvas, rng, conditions, z, x, x + rng.uniform(15, 40), rng.uniform(6, 20))
            self._structure(z, lambda args=args: structures.paint_facade(*args))
        if self.has("house"):
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
            if self.has(kind):
                x = self.verge[side] + side * 0.6
                z0 = rng.uniform(1, 12)
                args = (canvas, rng, conditions, x, z0, z0 + rng.uniform(15, 70))
                self._structure(z0 - 0.5, lambda args=args, paint=paint: paint(*args))
        if self.has("gate"):
            z = rng.uniform(13, 26)
            self._structure(
                z,
                lambda: structures.paint_gate(
                    canvas, rng, conditions, self.centre, z, 2 * self.half + 0.6
                ),
            )
            self.taken.append((self.centre, z, 1.5))

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
        x = (self.left if side < 0 else self.right) + side * self.rng.uniform(*reach)
        z = self._seen_from(x) + spread * self.rng.random() ** 1.6
        return x, z

    def _roadside(self) -> None:
        rng, canvas, conditions = self.rng, self.canvas, self.conditions
        margin = min(abs(self.verge[1] - self.right), 4.0)
        outside = (0.6, margin - 0.6)
        behind = (margin + 1.0, margin + 9.0) if self.name != "street" else outside
        green = (0.8, 9.0) if self.name in ("park", "field") else behind
        if self.has("street lamp"):
            side, tall, warm = (
                int(rng.choice([-1, 1])),
                self.name != "park",
                bool(rng.random() < 0.6),
            )
            x = (self.left if side < 0 else self.right) + side * 0.7
            first, step = self._seen_from(x) + rng.uniform(0, 8), rng.uniform(14, 24)
            for k in range(4):
                self._put(x, first + k * step, 0.2, furniture.paint_street_lamp, warm, tall)
        if self.has("pole"):
            side = int(rng.choice([-1, 1]))
            x = (self.left if side < 0 else self.right) + side * rng.uniform(1.0, 2.0)
            first, ends = self._seen_from(x) + rng.uniform(0, 8), []
            for k in range(3 if self.has("power line") else 1):
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
            if self.has("power line"):
                # Wires come after the nearest pole, which is the last to be painted.
                wires = lambda: furniture.paint_power_lines(canvas, conditions, ends[::-1])  # noqa: E731
                self.items.append(_Item(first - 0.01, wires))
        if self.has("traffic light"):
            z = self.cross - 6.5 if self.name == "junction" else rng.uniform(12, 26)
            self._put(
                self.right + 0.6, z, 0.2, furniture.paint_traffic_light, bool(rng.random() < 0.5)
            )
            if rng.random() < 0.5:
                self._put(self.left - 0.6, z + 9, 0.2, furniture.paint_traffic_light, False)
        for kind, most, reach, radius, paint in (
            ("traffic sign", 2, (0.4, 1.2), 0.3, furniture.paint_traffic_sign),
            ("trash can", 3, (0.6, 1.6), 0.35, furniture.paint_trash_can),
            ("bench", 2, (0.7, 1.8), 0.9, furniture.paint_bench),
            ("tree", 6 if self.name in ("park", "field") else 4, green, 1.4, nature.paint_tree),
            (
                "palm tree",
                6,
                outside if self.name == "junction" else (1.0, 3.5),
                0.8,
                nature.paint_palm,
            ),
            ("bush", 6, green, 0.9, nature.paint_bush),
        ):
            if self.has(kind):
                for _ in range(int(rng.integers(1, most + 1))):
                    x, z = self._beside(reach, 14.0 if most < 4 else 30.0)
                    self._put(x, z, radius, paint)
        if self.has("traffic cone"):
            x, z = self.centre + rng.uniform(-0.9, 0.9) * self.half, rng.uniform(6, 14)
            for k in range(int(rng.integers(1, 6))):
                self._put(
                    x + 0.25 * k,
                    max(z, self._seen_from(x)) + 1.9 * k,
                    0.3,
                    _without_rng(furniture.paint_cone),
                )
        if self.has("bollard"):
            side, style = int(rng.choice([-1, 1])), int(rng.integers(3))
            x = (self.left if side < 0 else self.right) + side * 0.45
            first = self._seen_from(x) + rng.uniform(0, 4)
            for k in range(int(rng.integers(2, 7))):
                self._put(x, first + 1.8 * k, 0.15, _without_rng(furniture.paint_bollard), style)

    # Vehicles and people

    def _vehicles(self) -> None:
        rng = self.rng
        for kind in _VEHICLES:
            if not self.has(kind):
                continue
            for _ in range(
                int(rng.choice([1, 2, 3, 5], p=(0.4, 0.3, 0.2, 0.1))) if kind == "car" else 1
            ):
                self._vehicle(kind)
        if self.has("motorcycle"):
            for _ in range(int(rng.integers(1, 3))):
                self._put(*self._beside((-0.6, 0.8), 8.0), 0.9, people.paint_motorcycle)

    def _vehicle(self, kind: str) -> None:
        rng = self.rng
        length = {"car": 4.6, "van": 5.1, "truck": 7.2, "bus": 10.6}[kind]
        for _ in range(6):
            choice = rng.random()
            moving = True
            if self.name == "field":
                x, z = self.centre + rng.uniform(-8, 8), rng.uniform(10, 28)
                heading, moving = rng.uniform(-np.pi, np.pi), bool(rng.random() < 0.3)
            elif self.name == "junction" and choice < 0.45:
                heading = float(rng.choice([-1, 1])) * np.pi / 2 + rng.normal(0, 0.08)
                z = self.cross + (2.4 if heading > 0 else 6.6)
                x = rng.uniform(-0.9, 0.9) * self.canvas.camera.half_width(z)
            else:
                side = int(rng.choice([-1, 1]))
                heading = (0.0 if side > 0 else np.pi) + rng.normal(0, 0.03)
                parked = choice > 0.6 and self.name != "junction"
                offset = (
                    self.half - 1.1 if parked else 1.7 if self.half < 6 else rng.choice([1.7, 5.1])
                )
                x, moving = self.centre + side * offset, not parked
                nearest = max(self._seen_from(abs(x) - 1.5), 0.9 * length + 2.0)
                z = nearest + length / 2 + 24 * rng.random() ** 1.7
            if self._free(x, z, length / 2 if abs(math.sin(heading)) > 0.5 else length / 2.6):
                args = (self.canvas, rng, self.conditions, kind, x, z, heading, moving)
                self.items.append(_Item(z - 0.3, lambda args=args: vehicles.paint_vehicle(*args)))
                return

    def _people(self) -> None:
        rng = self.rng
        open_ground = self.name in ("park", "field")
        if self.has("person"):
            for k in range(int(rng.choice([1, 2, 3, 5], p=(0.42, 0.3, 0.18, 0.1)))):
                crossing = open_ground or rng.random() < 0.35
                if crossing:
                    z = max(self._seen_from(0.0), 5.0) + 18 * rng.random() ** 1.6
                    x = rng.uniform(-0.85, 0.85) * min(
                        self.canvas.camera.half_width(z), self.half + 3
                    )
                else:
                    x, z = self._beside((0.5, 2.2), 16.0)
                umbrella = self.has("umbrella") and k == 0
                self._put(x, z, 0.4, people.paint_person, bool(rng.random() < 0.7), umbrella)
        if self.has("cyclist"):
            for _ in range(int(rng.integers(1, 3))):
                x = self.centre + rng.uniform(-0.9, 0.9) * self.half
                z = self._seen_from(x) + 3 + 14 * rng.random() ** 1.5
                self._put(x, z, 0.9, people.paint_cyclist)
        if self.has("bicycle"):
            x, z = self._beside((0.5, 1.8), 10.0)
            for k in range(int(rng.integers(1, 4))):
                self._put(x + 0.2 * k, z + 0.7 * k, 0.25, people.paint_bicycle)
        if self.has("dog"):
            z = max(self._seen_from(0.0), 5.0) + 8 * rng.random()
            self._put(self.centre + rng.uniform(-0.9, 0.9) * self.half, z, 0.5, people.paint_dog)


def _without_rng(paint):
    return lambda canvas, rng, conditions, *rest: paint(canvas, conditions, *rest)
