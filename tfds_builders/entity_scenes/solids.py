"""Things with depth, vehicles and buildings: side profiles extruded across."""

import dataclasses
import math

import numpy as np

from tfds_builders.entity_scenes.canvas import Canvas, Rgb, tone
from tfds_builders.entity_scenes.weather import Weather

# What may cover a part of a face: RGB, degrees above the body, degrees more while the engine
# runs, and glow of lit lamps.
_MARKS: dict[str, tuple[Rgb, float, float, float]] = {
    "glass": ((48, 56, 64), -4.0, 1.0, 0),
    "tail": ((165, 24, 22), 0.5, 2.0, 105),
    "head": ((212, 214, 214), 0.5, 8.0, 255),
    "grille": ((36, 36, 38), 1.0, 13.0, 0),
    "plate": ((214, 214, 205), -0.5, 0.0, 20),
}
_TURN = np.linspace(0, 2 * np.pi, 12, endpoint=False)
_RING = np.stack([np.cos(_TURN), np.sin(_TURN)])
_LAMPS = tuple((u, 0.3, u + 0.17, 0.85) for u in (0.03, 0.8))


@dataclasses.dataclass(frozen=True)
class Body:
    """A solid, in metres from its rear end: (along, up) points.

    Attributes:
      profile: outline from the rear foot over the roof to the front foot.
      width: metres across, centred.
      marks: (i, u0, v0, u1, v1, mark) covers part of the surface between profile points i and
        i + 1; u runs across and v along the profile, 0 to 1.
      windows: polygons of glass on both flanks.
      wheels: where along the body the axles are.
      radius: of the wheels.
      narrowing: share of the width lost at the roof, above three fifths of the height.
    """

    profile: tuple[tuple[float, float], ...]
    width: float
    marks: tuple[tuple, ...] = ()
    windows: tuple[tuple[tuple[float, float], ...], ...] = ()
    wheels: tuple[float, ...] = ()
    radius: float = 0.0
    narrowing: float = 0.0


def _marks(rear: int, front: int, glass: tuple[int, ...]) -> tuple[tuple, ...]:
    """Lamps, plate and grille at the ends of a vehicle, and its windscreens."""
    return (
        *((edge, 0.06, 0.08, 0.94, 0.92, "glass") for edge in glass),
        *((rear, *lamp, "tail") for lamp in _LAMPS if rear >= 0),
        *((rear, 0.38, 0.3, 0.62, 0.62, "plate") for _ in range(rear >= 0)),
        *((front, 0.25, 0.15, 0.75, 0.85, "grille") for _ in range(front >= 0)),
        *((front, *lamp, "head") for lamp in _LAMPS if front >= 0),
    )


CAR = Body(
    profile=((0, 0.32), (0, 0.66), (0.05, 1.0), (0.5, 1.42), (0.9, 1.5), (2.4, 1.5), (3.2, 1.02),
             (4.25, 0.86), (4.4, 0.6), (4.4, 0.3)),
    width=1.8, marks=_marks(1, 7, (2, 5)), wheels=(0.8, 3.5), radius=0.34, narrowing=0.22,
    windows=(((0.5, 1.06), (0.85, 1.42), (1.5, 1.42), (1.5, 1.04)),
             ((1.6, 1.04), (1.6, 1.42), (2.35, 1.42), (2.95, 1.03))),
)  # fmt: skip
VAN = Body(
    profile=((0, 0.4), (0, 1.12), (0.03, 1.2), (0.1, 1.95), (0.3, 2.08), (3.9, 2.08), (4.5, 1.2),
             (4.95, 1.05), (5.05, 0.7), (5.05, 0.35)),
    width=1.95, marks=_marks(1, 7, (2, 5)), wheels=(0.95, 4.1), radius=0.37, narrowing=0.1,
    windows=(((3.1, 1.22), (3.1, 1.85), (3.8, 1.85), (4.2, 1.22)),),
)  # fmt: skip
BUS = Body(
    profile=((0, 0.4), (0, 1.25), (0, 2.5), (0.05, 3.05), (10.4, 3.05), (10.5, 2.6), (10.55, 1.1),
             (10.55, 0.8), (10.55, 0.35)),
    width=2.5, marks=_marks(0, 6, (1, 5)), wheels=(2.3, 8.3), radius=0.48,
    windows=tuple(((s, 1.25), (s, 2.4), (s + 1.25, 2.4), (s + 1.25, 1.25))
                  for s in np.arange(0.5, 9.0, 1.4)),
)  # fmt: skip
CARGO = Body(((0, 0.55), (0, 1.0), (0, 3.1), (5.0, 3.1), (5.0, 0.6)), 2.35, _marks(0, -1, ()),
             (), (1.0, 2.1), 0.46)  # fmt: skip
CAB = Body(
    profile=((5.1, 0.5), (5.1, 2.5), (6.4, 2.5), (6.95, 1.45), (7.1, 1.1), (7.1, 0.45)),
    width=2.15, marks=_marks(-1, 4, (2,)), wheels=(6.25,), radius=0.46,
    windows=(((5.7, 1.45), (5.7, 2.25), (6.3, 2.25), (6.65, 1.45)),),
)  # fmt: skip
VEHICLES = {"car": (CAR,), "van": (VAN,), "bus": (BUS,), "truck": (CARGO, CAB)}


def block(length: float, width: float, height: float) -> Body:
    """A box, as of a building."""
    return Body(((0, 0), (0, height), (length, height), (length, 0)), width)


@dataclasses.dataclass(frozen=True)
class Pose:
    """Position (x, z) in metres of the middle of a body, its heading in radians (0 faces away)."""

    x: float
    z: float
    heading: float
    length: float

    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """World unit vectors [3] ahead and to the right."""
        sine, cosine = math.sin(self.heading), math.cos(self.heading)
        return np.array([sine, 0.0, cosine]), np.array([cosine, 0.0, -sine])

    def world(self, along, across, up) -> np.ndarray:
        """Metres from the rear, across and up (arrays that broadcast) -> world [..., 3]."""
        (sine, _, cosine), _ = self.axes()
        up = np.asarray(up, float)
        along = along - self.length / 2 + 0.0 * up
        x = self.x + along * sine + across * cosine
        points = np.empty((*np.shape(x), 3))
        points[..., 0], points[..., 1], points[..., 2] = (
            x,
            up,
            self.z + along * cosine - across * sine,
        )
        return points

    def foot(self, width: float) -> np.ndarray:
        """Corners (x, z) of the ground below, [4, 2]."""
        corners = self.world(
            self.length * np.array([0, 0, 1, 1]), width * np.array([-0.5, 0.5, 0.5, -0.5]), 0.0
        )
        return corners[:, [0, 2]]


def draw_solid(
    canvas: Canvas,
    weather: Weather,
    body: Body,
    pose: Pose,
    rgb: Rgb,
    heat: float,
    running: bool = False,
) -> None:
    """Paints the faces that the camera sees, as the thing that the canvas began last.

    Unmarked faces have the colour `rgb` and, in the shade, `heat` degrees Celsius; `running` turns
    on engine, wheels and, in the dark, lamps.
    """
    along, up = np.array(body.profile).T
    narrow = 1.0 - body.narrowing * np.clip(2.5 * up / up.max() - 1.5, 0, 1)
    half = 0.5 * body.width * narrow
    flanks = pose.world(along, half * np.array([[-1.0], [1.0]]), up)  # [2, N, 3]
    pixels = canvas.camera.project(flanks)
    eye = np.array([0.0, canvas.camera.eye, 0.0])
    ahead, aside = pose.axes()
    lit = running and weather.dark

    def paint(polygon, normal, mark=""):
        shade = weather.brightness(normal)
        warm = heat + 5.0 * weather.sunny * weather.facing(normal)
        colour, glow = rgb, 0.0
        if mark:
            colour, above, engine, glow = _MARKS[mark]
            warm += above + engine * running
            shade = 1.0 if lit and glow > 50 else shade
        canvas.polygons([polygon], tone(colour, shade), warm, glow * lit)

    def place(at, across, height):
        return canvas.camera.project(pose.world(at, across, height))

    if body.wheels:  # the dark gap below the bumpers, with the tyres
        end, low = along[0] if ahead[2] >= 0 else along[-1], up[0] + 0.05
        gaps = ((-1, 2, 0.14, 8.0), (-1, 0.3, 0, 10.0), (0.7, 0.3, 0, 10.0))
        for across, width, foot, warm in gaps:
            u = half[0] * (across + width * np.array([0, 1, 1, 0]))
            gap = place(end, u, [foot, foot, low, low])
            canvas.polygons([gap], (17, 17, 18), heat + warm * running)
    steps = np.diff(np.stack([along, up]))
    steps /= np.hypot(*steps)
    normals = -steps[1][:, None] * ahead + steps[0][:, None] * np.array([0.0, 1.0, 0.0])
    centres = 0.5 * (flanks[:, 1:] + flanks[:, :-1]).mean(0)
    for i in np.flatnonzero(np.sum(normals * (centres - eye), axis=1) < 0):
        quad = np.array([pixels[0, i], pixels[0, i + 1], pixels[1, i + 1], pixels[1, i]])
        paint(quad, normals[i])
        for edge, *part, mark in body.marks:
            if edge == i:
                paint(_part(quad, *part), normals[i], mark)
    for k, sign in ((0, -1.0), (1, 1.0)):
        if np.dot(sign * aside, flanks[k, 0] - eye) >= 0:
            continue
        paint(pixels[k], sign * aside)
        for window in body.windows:
            s, v = np.array(window).T
            inset = body.narrowing * np.clip(2.5 * v / up.max() - 1.5, 0, 1)
            paint(place(s, sign * 0.5 * body.width * (1.0 - inset), v), sign * aside, "glass")
        for axle in body.wheels:
            for size, colour, warm in ((1.0, (22, 22, 23), 9.0), (0.6, (120, 122, 126), 11.0)):
                r, across = size * body.radius, sign * body.width / 2
                ring = place(axle + r * _RING[0], across, body.radius + r * _RING[1])
                canvas.polygons([ring], colour, heat + warm * running)


def window_grid(start, end, heights, pitch: float, size: tuple[float, float]) -> np.ndarray:
    """World quads [M, 4, 3] of windows on a wall between two ground points (x, z)."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    length = max(float(np.hypot(*(end - start))), 1e-6)
    centres = np.arange(0.7 * pitch, length - 0.5 * pitch, pitch)
    s, low = (grid.reshape(-1, 1) for grid in np.meshgrid(centres, heights))
    u = (s + 0.5 * size[0] * np.array([-1, 1, 1, -1])) / length
    x, z = (start[k] + (end[k] - start[k]) * u for k in (0, 1))
    return np.stack([x, low + size[1] * np.array([0, 0, 1, 1]), z], -1)


def _part(quad: np.ndarray, u0: float, v0: float, u1: float, v1: float) -> np.ndarray:
    """Part of a quad whose corners are lower left, upper left, upper right, lower right."""
    u, v = (np.array(a)[:, None] for a in ((u0, u0, u1, u1), (v0, v1, v1, v0)))
    return (1 - v) * (quad[0] + u * (quad[3] - quad[0])) + v * (quad[1] + u * (quad[2] - quad[1]))
