"""Cars, vans, trucks, buses and motorcycles: extruded side profiles, seen from any side."""

import dataclasses
import math

import numpy as np

from tfds_builders.entity_scenes.bodies import BUS, CAB, CARGO, HATCHBACK, LENGTHS, SEDAN, VAN, Body
from tfds_builders.entity_scenes.canvas import Canvas, Lamp, Rgb, tone
from tfds_builders.entity_scenes.conditions import Conditions

COLOURS: dict[str, Rgb] = {
    "white": (226, 226, 224),
    "silver": (165, 168, 172),
    "grey": (104, 107, 112),
    "black": (30, 31, 34),
    "red": (165, 26, 28),
    "blue": (34, 62, 130),
    "green": (38, 82, 58),
    "yellow": (214, 168, 30),
    "beige": (176, 160, 128),
}
_COLOUR_SHARES = (0.26, 0.16, 0.15, 0.18, 0.09, 0.08, 0.02, 0.02, 0.04)


@dataclasses.dataclass(frozen=True)
class Pose:
    """Where a vehicle stands: centre (x, z) in metres, heading in radians from straight ahead."""

    x: float
    z: float
    heading: float

    def world(self, along, across, up) -> np.ndarray:
        """Body metres (arrays that broadcast) -> world [N, 3]."""
        along, across, up = np.broadcast_arrays(*np.atleast_1d(along, across, up))
        sine, cosine = math.sin(self.heading), math.cos(self.heading)
        x = self.x + along * sine + across * cosine
        z = self.z + along * cosine - across * sine
        return np.stack([x, up, z], axis=-1).reshape(-1, 3)


def paint_vehicle(
    canvas: Canvas,
    rng: np.random.Generator,
    conditions: Conditions,
    kind: str,
    x: float,
    z: float,
    heading: float,
    moving: bool,
) -> None:
    """Paints a car, van, truck or bus centred at (x, z); heading 0 drives away, pi comes closer."""
    colours = list(COLOURS)
    shares = _COLOUR_SHARES
    if kind in ("van", "truck"):
        shares = (0.56, 0.12, 0.1, 0.04, 0.04, 0.06, 0.02, 0.04, 0.02)
    if kind == "bus":
        shares = (0.3, 0.05, 0.0, 0.0, 0.2, 0.2, 0.1, 0.15, 0.0)
    name = colours[int(rng.choice(len(colours), p=shares))]
    rgb = tone(COLOURS[name], rng.uniform(0.88, 1.08))
    # A parked vehicle has the sun's heat or the night's cold; one that drives is warm besides,
    # at engine, wheels and exhaust.
    heat = conditions.temperature("vehicle") + rng.normal(0.0, 1.2)
    heat += conditions.sunny * (4.0 if sum(rgb) < 250 else -3.0)
    length = LENGTHS[kind]
    pose = Pose(x, z, heading)
    _shadows(canvas, conditions, pose, length, 1.9 if kind in ("car", "van") else 2.4, moving)
    canvas.begin(kind, z, name, "moving" if moving else "parked")
    lights = conditions.dark and moving
    paint = _Paint(canvas, conditions, rgb, heat, moving, lights)
    if kind == "car":
        paint.body(SEDAN if rng.random() < 0.5 else HATCHBACK, pose, -length / 2)
    elif kind == "van":
        paint.body(VAN, pose, -length / 2)
    elif kind == "bus":
        paint.body(BUS, pose, -length / 2)
    else:
        white = COLOURS["white"] if rng.random() < 0.6 else tone(rgb, 0.9)
        cargo = dataclasses.replace(paint, rgb=white, moving=False)
        parts = [(cargo, CARGO, -length / 2), (paint, CAB, length / 2 - 2.0)]
        if math.cos(heading) < 0:
            parts.reverse()  # what is nearer comes last
        # The far part first.
        parts.sort(key=lambda part: -pose.world(part[2] + 1.0, 0, 0)[0, 2])
        for part, body, start in parts:
            part.body(body, pose, start)
    if lights:
        _beams(canvas, pose, length)


def _shadows(canvas, conditions, pose, length, height, moving):
    half = length / 2
    corners = pose.world([-half, -half, half, half], [-0.9, 0.9, 0.9, -0.9], 0.0)
    canvas.ground(canvas.contact, corners, 215)
    if moving:
        canvas.ground(canvas.warmth, corners, 55)
    if conditions.sunlight.max() > 0:
        cast_shadow(canvas, conditions, corners, height)


def cast_shadow(canvas: Canvas, conditions: Conditions, foot: np.ndarray, height: float) -> None:
    """Throws the shadow of a prism on the ground.

    Args:
      canvas: where to.
      conditions: they hold the sun.
      foot: float [N, 3], the corners of the prism's foot, in order.
      height: metres.
    """
    x, y, z = conditions.sun
    length = min(height / max(y, 0.12), 3.5 * height)
    offset = np.array([-x, 0.0, -z]) * length / max(math.hypot(x, z), 0.2)
    offset *= math.sqrt(1 - y * y) / max(y * length / height, 0.3)
    roof = foot + offset
    for i in range(len(foot)):
        j = (i + 1) % len(foot)
        canvas.ground(canvas.shadow, np.stack([foot[i], foot[j], roof[j], roof[i]]), 255)
    canvas.ground(canvas.shadow, roof, 255)


def _beams(canvas, pose, length):
    front = pose.world(length / 2 + 0.2, 0.0, 0.7)[0]
    ahead = (math.sin(pose.heading), -0.18, math.cos(pose.heading))
    canvas.lamps.append(Lamp(tuple(front), (5.0, 4.8, 4.2), ahead, 14.0))
    back = pose.world(-length / 2 - 0.3, 0.0, 0.8)[0]
    canvas.lamps.append(Lamp(tuple(back), (0.09, 0.008, 0.004), (0.0, -1.0, 0.0), 0.5))


@dataclasses.dataclass
class _Paint:
    canvas: Canvas
    conditions: Conditions
    rgb: Rgb
    heat: float
    moving: bool
    lights: bool

    def body(self, body: Body, pose: Pose, start: float) -> None:
        """Paints one extruded body whose rear bumper is `start` metres from the pose's centre."""
        canvas, conditions = self.canvas, self.conditions
        profile = np.array(body.profile)
        along, up = profile[:, 0] + start, profile[:, 1]
        top = up.max()
        narrow = np.clip((up - body.belt) / max(top - body.belt, 1e-6), 0, 1) * body.taper
        half = 0.5 * body.width * (1.0 - narrow)
        left, right = pose.world(along, -half, up), pose.world(along, half, up)
        eye = np.array([0.0, canvas.camera.eye, 0.0])
        glass_rgb = (38, 44, 50) if conditions.time != "day" else (58, 68, 78)
        glass = conditions.temperature("glass", 0.0)
        self._underside(body, pose, start, eye)
        for i in range(len(profile) - 1):
            quad = np.stack([left[i], left[i + 1], right[i + 1], right[i]])
            normal = _normal(quad)
            if np.dot(normal, quad.mean(0) - eye) >= 0:
                continue
            engine = 7.0 if self.moving and profile[i, 0] > 0.6 * profile[-1, 0] else 0.0
            if i in body.glass:
                canvas.face(quad, tone(self.rgb, 0.55), self.heat)
                canvas.face(_inset(quad, 0.05, 0.95, 0.08, 0.92), glass_rgb, glass)
            else:
                shade = conditions.shade(normal)
                canvas.face(quad, tone(self.rgb, shade), self.heat + engine + 1.5 * (shade - 0.6))
            if i == body.rear:
                self._rear(quad)
            if i == body.front:
                self._front(quad)
        for side, sign in ((left, -1.0), (right, 1.0)):
            outward = pose.world(0.0, sign, 0.0)[0] - pose.world(0.0, 0.0, 0.0)[0]
            if np.dot(outward, side.mean(0) - eye) >= 0:
                continue
            shade = conditions.shade(outward)
            canvas.face(side, tone(self.rgb, shade), self.heat + 1.5 * (shade - 0.6))
            # Doors mirror the ground, which is warmer than the sky that the shoulders mirror.
            sill = np.minimum(up, 0.42 * top)
            lower = pose.world(along, sign * 0.5 * body.width, sill)
            canvas.face(lower, tone(self.rgb, 0.86 * shade), self.heat + 1.8)
            for window in body.windows:
                s, y = np.array(window).T
                inset = np.clip((y - body.belt) / max(top - body.belt, 1e-6), 0, 1) * body.taper
                across = sign * 0.5 * body.width * (1.0 - inset)
                canvas.face(pose.world(s + start, across, y), glass_rgb, glass)
            self._wheels(body, pose, start, sign)

    def _underside(self, body, pose, start, eye):
        """Tyres and the dark gap under the bumper, as seen from the end that faces the camera."""
        length = body.profile[-1][0]
        for end, sign in ((0.0, -1.0), (length, 1.0)):
            outward = pose.world(sign, 0.0, 0.0)[0] - pose.world(0.0, 0.0, 0.0)[0]
            if np.dot(outward, pose.world(start + end, 0, 0.3)[0] - eye) >= 0:
                continue
            half, low = body.width / 2, body.profile[0][1] + 0.05
            s = start + end - sign * 0.15
            hot = self.heat + (9.0 if self.moving else 1.0)
            gap = pose.world(s, [-half, half, half, -half], [0.16, 0.16, low, low])
            self.canvas.face(gap, (14, 14, 15), hot)
            tyre = self.conditions.temperature("tyre") + (10.0 if self.moving else 0.0)
            for a in (-half, half - 0.24):
                quad = pose.world(s, [a, a + 0.24, a + 0.24, a], [0.0, 0.0, low, low])
                self.canvas.face(quad, (20, 20, 21), tyre)

    def _wheels(self, body, pose, start, sign):
        turn = np.linspace(0, 2 * np.pi, 13)[:-1]
        warm = 11.0 if self.moving else 0.0
        for axle in body.wheels:
            for radius, rgb, heat in (
                (1.0, (22, 22, 23), self.conditions.temperature("tyre") + 0.8 * warm),
                (0.6, (120, 122, 126), self.heat + 1.1 * warm),
            ):
                r = radius * body.wheel
                ring = pose.world(
                    start + axle + r * np.cos(turn),
                    sign * body.width / 2,
                    body.wheel + r * np.sin(turn),
                )  # fmt: skip
                self.canvas.face(ring, rgb, heat)

    def _rear(self, quad):
        glow = 105 if self.lights else 0
        rgb = (235, 40, 30) if self.lights else (150, 24, 22)
        heat = self.heat + (3.0 if self.lights else 0.0)
        for u0, u1 in ((0.03, 0.2), (0.8, 0.97)):
            self.canvas.face(_inset(quad, u0, u1, 0.35, 0.85), rgb, heat, glow)
        plate = (214, 214, 205)
        self.canvas.face(
            _inset(quad, 0.38, 0.62, 0.3, 0.62), plate, self.heat - 0.5, 20 * self.lights
        )

    def _front(self, quad):
        glow = 255 if self.lights else 0
        rgb = (255, 250, 230) if self.lights else (205, 208, 210)
        heat = self.heat + (10.0 if self.lights else 1.0)
        grille = 14.0 if self.moving else 0.0
        self.canvas.face(_inset(quad, 0.25, 0.75, 0.15, 0.85), (36, 36, 38), self.heat + grille)
        for u0, u1 in ((0.03, 0.2), (0.8, 0.97)):
            self.canvas.face(_inset(quad, u0, u1, 0.2, 0.85), rgb, heat, glow)


def _normal(quad: np.ndarray) -> np.ndarray:
    normal = np.cross(quad[1] - quad[0], quad[3] - quad[0])
    return normal / max(float(np.linalg.norm(normal)), 1e-9)


def _inset(quad: np.ndarray, u0: float, u1: float, v0: float, v1: float) -> np.ndarray:
    """Part of a quad whose corners are lower left, upper left, upper right, lower right."""
    low, high = quad[3] - quad[0], quad[2] - quad[1]

    def at(u, v):
        return (1 - v) * (quad[0] + u * low) + v * (quad[1] + u * high)

    return np.stack([at(u0, v0), at(u0, v1), at(u1, v1), at(u1, v0)])
