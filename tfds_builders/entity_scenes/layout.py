"""Composes a place: ground, what is built on it, and things at depths of their own."""

import collections
import functools
from collections.abc import Collection

import cv2
import numpy as np

from tfds_builders.entity_scenes.canvas import (
    GROUND_REACH,
    SUPERSAMPLING,
    Camera,
    Canvas,
    Lamp,
    tone,
)
from tfds_builders.entity_scenes.solids import VEHICLES, Pose, block, draw_solid, window_grid
from tfds_builders.entity_scenes.sprites import draw_sprite
from tfds_builders.entity_scenes.things import NEEDS, NUMBERS, PLACES, TABLE, THINGS, Thing
from tfds_builders.entity_scenes.weather import Weather

_TRIES = 8
_DIAMOND = np.array([[-1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, -1.0]])
_OVERLAP = 0.35  # share of its columns that a thing may have in common with another one


def draw_camera(rng: np.random.Generator, width: int, height: int) -> Camera:
    """Draws a camera for a canvas of `SUPERSAMPLING` times the given size."""
    width, height = width * SUPERSAMPLING, height * SUPERSAMPLING
    return Camera(
        width, height,
        focal=rng.uniform(0.85, 1.35) * max(width, 1.1 * height),
        horizon=height * rng.uniform(0.36, 0.54),
        centre=width * rng.uniform(0.38, 0.62),
        eye=rng.uniform(1.4, 2.3),
    )  # fmt: skip


def places_for(required: Collection[str]) -> list[int]:
    """Indices of the `PLACES` that can show all required kinds."""
    return [k for k in range(len(PLACES)) if all(THINGS[name].chance[k] for name in required)]


class Layout:
    """One place on a canvas; `paint` paints it and `counts` says how many of each kind it holds."""

    def __init__(self, canvas: Canvas, rng, weather: Weather, required: Collection[str]):
        self.canvas, self.rng, self.weather = canvas, rng, weather
        self.camera, self.required = canvas.camera, frozenset(required)
        place = int(rng.choice(places_for(required)))
        density = rng.uniform(0.7, 1.3)
        drawn = rng.random(len(TABLE))
        self.wanted = set(required) | {
            thing.name
            for thing, chance in zip(TABLE, drawn, strict=True)
            if chance < thing.chance[place] * (1.0 if thing.zone == "ground" else density)
        }
        self.wanted |= {NEEDS[name] for name in required if name in NEEDS}
        self.park = PLACES[place] == "park"
        self.built_up = PLACES[place] == "street" and "building" in self.wanted
        half = rng.uniform(1.1, 2.2) if self.park else rng.uniform(3.2, 5.5)
        centre = rng.uniform(-0.5, 0.5) * half
        self.left, self.right = centre - half, centre + half
        self.walkway = rng.uniform(1.8, 3.8)
        below = self.camera.height - self.camera.horizon
        self.near = 0.9 * self.camera.focal * self.camera.eye / below  # metres, just out of view
        self.run_side = int(rng.choice([-1, 1]))  # of walls, fences and guardrails
        self.counts: collections.Counter[str] = collections.Counter()
        self.columns: list[tuple[float, float]] = []
        # What stands upright: layers behind one another, and in each the farthest first.
        self.jobs: list[tuple[int, float, functools.partial]] = []

    def paint(self) -> None:
        """Paints all of the place but its sky."""
        if "tree" in self.wanted and self.rng.random() < 0.4:
            self._treeline()
        self._ground()
        if "building" in self.wanted:
            self._built()
        for name in ("wall", "fence", "guardrail"):
            if name in self.wanted:
                self._add(2, 25.0, self._run, name)
        for thing in TABLE:
            if thing.height and thing.zone != "with" and thing.name in self.wanted:
                for _ in range(int(self.rng.integers(1, thing.most + 1))):
                    self._place(thing)
        for _, _, job in sorted(self.jobs, key=lambda item: (item[0], -item[1])):
            job()
        if self.weather.dark and not self.park and self.rng.random() < 0.5:  # our own headlights
            beam = Lamp((0.0, 0.7, 0.0), (8.0, 7.6, 6.8), (0.0, -0.08, 1.0), 18.0)
            self.canvas.lamps.append(beam)

    # Pieces

    def _add(self, layer: int, depth: float, paint, *arguments) -> None:
        self.jobs.append((layer, depth, functools.partial(paint, *arguments)))

    def _begin(self, name: str, depth: float) -> tuple[tuple, float]:
        """Starts one instance; returns its colour and its temperature."""
        thing, rng = THINGS[name], self.rng
        self.counts[name] += 1
        self.canvas.begin(NUMBERS[name], depth)
        rgb = tone(thing.colours[rng.integers(len(thing.colours))], rng.uniform(0.88, 1.1))
        return rgb, thing.temperature(rng, self.weather)

    def _shadow(self, foot: np.ndarray, height: float) -> None:
        """Casts the shadow of a prism on the ground; foot [N, 2] in (x, z)."""
        if not self.weather.sunlight.any():
            return
        x, y, z = self.weather.sun
        shift = -np.array([x, z]) * height * min(1.0 / y, 4.0)
        hull = cv2.convexHull(np.concatenate([foot, foot + shift]).astype(np.float32))[:, 0]
        points = np.insert(hull, 1, 0.0, axis=1)
        self.canvas.shade(np.maximum(points, (-1e3, 0.0, 0.6)))

    def _treeline(self) -> None:
        rng = self.rng
        swell = np.interp(np.arange(90), np.linspace(0, 90, 8), rng.uniform(0.2, 1.0, 8))
        rise = self.camera.focal * rng.uniform(0.04, 0.08) * swell * rng.uniform(0.75, 1.15, 90)
        rgb, heat = self._begin("tree", 120)
        x, base = np.linspace(-10, self.camera.width + 10, 90), self._ground_end() + 2
        outline = np.concatenate([np.stack([x, base - rise], 1), [[x[-1], base], [x[0], base]]])
        self.canvas.polygons([outline], tone(rgb, 0.65), heat)

    def _ground_end(self) -> float:
        return self.camera.horizon + self.camera.focal * self.camera.eye / GROUND_REACH

    def _ground(self) -> None:
        rng, left, right, wanted = self.rng, self.left, self.right, self.wanted
        paved = "sidewalk" in wanted and "grass" not in wanted
        rgb, heat = self._begin("sidewalk" if paved else "grass", 20)
        self.canvas.fill(self._ground_end(), rgb, heat)
        if "sidewalk" in wanted and not paved:
            rgb, heat = self._begin("sidewalk", 20)
            self._strip(left - self.walkway, left, rgb, heat)
            self._strip(right, right + self.walkway, rgb, heat)
        if "curb" in wanted:
            rgb, heat = self._begin("curb", 20)
            self._strip(left - 0.3, right + 0.3, rgb, heat)
        road, road_heat = self._begin("path" if self.park else "road", 20)
        self._strip(left, right, road, road_heat)
        end = GROUND_REACH
        if "crosswalk" in wanted:
            end = rng.uniform(1.25, 2.6) * self.near
            rgb, _ = self._begin("crosswalk", end)
            stripes = np.arange(left + 0.3, right - 0.5, 1.0)
            self._marks([(x, x + 0.5, end, end + 3.0) for x in stripes], rgb, road_heat - 0.8)
        if "lane marking" in wanted:
            rgb, _ = self._begin("lane marking", 20)
            starts = np.arange(0.8 * self.near + rng.uniform(0, 4), min(end, 90.0) - 3, 6.0)
            middle = 0.5 * (left + right)
            marks = [(middle - 0.07, middle + 0.07, z, z + 3.0) for z in starts]
            if rng.random() < 0.6 or not marks:
                edges = (left + 0.25, right - 0.4)
                marks += [(x, x + 0.15, 0.8 * self.near, min(end - 0.8, 150.0)) for x in edges]
            self._marks(marks, rgb, road_heat - 0.8)  # paint reflects the sun

    def _strip(self, x0: float, x1: float, rgb, heat: float) -> None:
        self._marks([(x0, x1, 0.8 * self.near, GROUND_REACH)], rgb, heat)

    def _marks(self, rectangles, rgb, heat: float) -> None:
        """Fills rectangles (x0, x1, z0, z1) of the ground."""
        x0, x1, z0, z1 = np.array(rectangles, float).T
        x, z = np.stack([x0, x1, x1, x0], 1), np.stack([z0, z0, z1, z1], 1)
        points = np.stack([x, np.zeros_like(x), z], -1)
        self.canvas.polygons(self.camera.project(points), rgb, heat)

    def _built(self) -> None:
        rng, fenced = self.rng, {"wall", "fence"} & self.wanted
        sides = [side for side in (-1, 1) if not (fenced and side == self.run_side)]
        if not self.built_up:
            z = rng.uniform(30, 60)
            x = rng.uniform(*self.camera.span(z)) * 0.8
            self._add(0, z, self._building, x, z, rng.uniform(14, 40), rng.uniform(6, 14), 12.0)
            return
        for side in sides:
            inner = self.right + self.walkway if side > 0 else self.left - self.walkway
            z = rng.uniform(0.3, 2.5) * self.near
            while z < 80:
                length, height = rng.uniform(10, 24), rng.uniform(5, 16)
                self._add(0, z, self._building, inner + 6.0 * side, z, 12.0, height, length)
                z += length + (rng.uniform(2, 9) if rng.random() < 0.4 else 0.0)
        if rng.random() < 0.5:
            middle = rng.uniform(-10, 10)
            self._add(0, 95.0, self._building, middle, 95.0, rng.uniform(20, 60), 14.0, 12.0)

    def _building(self, x: float, z: float, width: float, height: float, length: float) -> None:
        """A building whose near wall spans `width` around x at depth z."""
        rng, dark = self.rng, self.weather.dark
        rgb, heat = self._begin("building", z)
        half = width / 2
        pose = Pose(x, z + length / 2, 0.0, length)
        self._shadow(pose.foot(width), height)
        draw_solid(self.canvas, self.weather, block(length, width, height), pose, rgb, heat)
        if "window" not in self.wanted:
            return
        glass, glass_heat = self._begin("window", z)
        pitch, size = rng.uniform(2.4, 4.0), (rng.uniform(0.9, 1.5), rng.uniform(1.2, 1.8))
        rows = np.arange(1.0, height - 2.0, 3.2)
        inner = x - np.sign(x) * half
        quads = window_grid((x - half, z), (x + half, z), rows, pitch, size)
        if abs(x) > half:
            flank = window_grid((inner, z), (inner, z + length), rows, pitch, size)
            quads = np.concatenate([quads, flank])
        quads = quads[quads[..., 2].min(1) > 1.0]
        lit = rng.random(len(quads)) < (rng.uniform(0.1, 0.5) if dark else 0.0)
        pixels = self.camera.project(quads)
        self.canvas.polygons(pixels[~lit], glass, glass_heat)
        self.canvas.polygons(pixels[lit], (255, 222, 160), glass_heat + 2.0, 60)

    def _run(self, name: str) -> None:
        """A wall, fence or guardrail along the road or path."""
        rng, side = self.rng, self.run_side
        edge = self.right if side > 0 else self.left
        x = edge + side * (0.6 if name == "guardrail" else self.walkway)
        height = {"wall": 1.9, "fence": 1.2, "guardrail": 0.8}[name] * rng.uniform(0.85, 1.2)
        z0, z1 = rng.uniform(0.6, 1.6) * self.near, rng.uniform(40, 110)
        rgb, heat = self._begin(name, 15)
        rgb = tone(rgb, self.weather.brightness((-side, 0.0, 0.0)))
        self._shadow(np.array([[x, z0], [x, z1]]), height)
        if name == "wall":
            self._band(x, z0, z1, 0.0, height, rgb, heat)
            self._band(x, z0, z1, height - 0.15, height, tone(rgb, 1.15), heat - 1.0)
            return
        bands = ((0.35, 0.45), (0.85, 0.95)) if name == "fence" else ((0.5, 0.72), (0.78, 1.0))
        for low, high in bands:
            self._band(x, z0, z1, low * height, high * height, rgb, heat + low)
        step, thick = (0.45, 0.2) if name == "fence" else (2.5, 0.15)
        z = np.arange(z0, min(z1, z0 + 70 * step), step)[:, None] + thick * np.array([0, 0, 1, 1])
        up = np.broadcast_to(height * np.array([0, 1, 1, 0]), z.shape)
        posts = np.stack([np.full_like(z, x), up, z], -1)
        self.canvas.polygons(self.camera.project(posts), rgb, heat)

    def _band(self, x, z0, z1, low, high, rgb, heat) -> None:
        corners = [(x, low, z0), (x, high, z0), (x, high, z1), (x, low, z1)]
        self.canvas.polygons([self.camera.project(corners)], rgb, heat)

    # Things

    def _zone(self, zone: str) -> list[tuple[float, float]]:
        """Stretches of x, in metres, where things of a zone stand."""
        left, right, walkway = self.left, self.right, self.walkway
        if zone == "lane":
            return [(left + 1.1, right - 1.1)]
        if zone == "edge":
            return [(left - 1.2, left - 0.35), (right + 0.35, right + 1.2)]
        if zone == "walk":
            crossing = [(left, right)] if self.park or self.rng.random() < 0.35 else []
            return [(left - walkway, left), (right, right + walkway), *crossing]
        if self.built_up:
            return [(left - walkway + 0.3, left - 0.8), (right + 0.8, right + walkway - 0.3)]
        return [(left - walkway - 14, left - walkway), (right + walkway, right + walkway + 14)]

    def _place(self, thing: Thing) -> None:
        """Finds a free position in view, and adds the job that paints the thing there."""
        rng, camera = self.rng, self.camera
        zoom = rng.uniform(0.88, 1.14)
        spot = None
        for _ in range(_TRIES):
            small, large = thing.apparent
            share = small * (large / small) ** rng.random()
            z = max(thing.height * zoom * camera.focal / (share * camera.height), 1.15 * self.near)
            if thing.zone == "lane":
                z += 0.5 * VEHICLES[thing.name][-1].profile[-1][0]
            low, high = camera.span(z)
            margin = 0.04 * (high - low)
            cuts = [
                (max(a, low + margin), min(b, high - margin)) for a, b in self._zone(thing.zone)
            ]
            cuts = [cut for cut in cuts if cut[1] > cut[0]]
            if not cuts:
                continue
            x = rng.uniform(*cuts[rng.integers(len(cuts))])
            half = 0.28 * thing.height * camera.focal / z
            column = camera.centre + camera.focal * x / z
            spot = (x, z)
            if all(min(column + half, b) - max(column - half, a) < _OVERLAP * min(2 * half, b - a)
                   for a, b in self.columns):  # fmt: skip
                break
        else:
            if spot is None or thing.name not in self.required or self.counts[thing.name]:
                return
        self.columns.append((column - half, column + half))
        layer = 1 if thing.zone == "back" and not self.built_up else 3
        paint = self._vehicle if thing.zone == "lane" else self._sprite
        self._add(layer, spot[1], paint, thing, spot, zoom)

    def _sprite(self, thing: Thing, spot: tuple[float, float], zoom: float) -> None:
        rng, weather, (x, z) = self.rng, self.weather, spot
        parts = thing.draw_parts(rng)
        rgb, heat = self._begin(thing.name, z)
        inward = -1.0 if x > 0.5 * (self.left + self.right) else 1.0
        mirror = inward if thing.name == "street lamp" else float(rng.choice([-1.0, 1.0]))
        radius = 1.4 if thing.name == "tree" else 0.2
        self._shadow(np.array([x, z]) + radius * _DIAMOND, zoom * thing.height)
        shade = weather.brightness((0.0, 0.0, -1.0))
        draw_sprite(self.canvas, parts, spot, (mirror * zoom, zoom), rgb, heat, shade, weather.dark)
        if thing.name == "street lamp" and weather.dark:
            light = np.array(parts[-1].colour) / 255.0 * rng.uniform(5.0, 9.0)
            self.canvas.lamps.append(Lamp((x + 1.5 * mirror, 5.9, z), tuple(light**1.5 / 2.5)))
        if thing.name == "person" and "umbrella" in self.wanted and not self.counts["umbrella"]:
            rgb, heat = self._begin("umbrella", z)
            parts = THINGS["umbrella"].draw_parts(rng)
            draw_sprite(self.canvas, parts, spot, (mirror * zoom, zoom), rgb, heat, shade)

    def _vehicle(self, thing: Thing, spot: tuple[float, float], zoom: float) -> None:
        rng, (x, z) = self.rng, spot
        bodies = VEHICLES[thing.name]
        rgb, heat = self._begin(thing.name, z)
        heading = 0.0 if x > 0.5 * (self.left + self.right) else np.pi
        if rng.random() < 0.25:
            heading = rng.choice([-1, 1]) * np.pi / 2
        length = bodies[-1].profile[-1][0]
        pose = Pose(x, z, heading + rng.normal(0, 0.06), length)
        running = bool(rng.random() < 0.6)
        self._shadow(pose.foot(bodies[0].width), thing.height)
        ahead, _ = pose.axes()
        for body in bodies if ahead[2] < 0 else bodies[::-1]:  # the farther one first
            look = (rgb, heat + 3.0 * running)
            draw_solid(self.canvas, self.weather, body, pose, *look, running)
        if running and self.weather.dark:
            front, back = pose.world(length + 0.2, 0.0, 0.7), pose.world(-0.3, 0.0, 0.8)
            ahead[1] = -0.18
            self.canvas.lamps.append(Lamp(tuple(front), (5.0, 4.8, 4.2), tuple(ahead), 14.0))
            self.canvas.lamps.append(Lamp(tuple(back), (0.09, 0.008, 0.004)))
