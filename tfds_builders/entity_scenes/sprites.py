"""Flat things that face the camera: lists of parts, in metres from the foot (u right, v up).

A part's colour is a factor on the thing's own colour, or an RGB tuple. `warm` is in degrees above
the thing's own temperature; `glow` is the light it gives off when lamps are lit, 0 to 255.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfds_builders.entity_scenes.canvas import Canvas, Rgb, tone

BLACK, STEEL, WHITE = (26, 26, 28), (128, 130, 132), (230, 230, 226)
_RED, _BLUE, _BARK = (190, 26, 30), (30, 70, 160), (84, 68, 54)
_SKIN = ((222, 178, 150), (196, 146, 112), (140, 98, 72), (92, 62, 46))
_DARK = ((28, 29, 34), (40, 42, 52), (54, 48, 44), (30, 38, 62), (90, 92, 100), (112, 100, 82))


class Part(NamedTuple):
    """One shape: a polygon; a line of width `size`; or an ellipse with half axes `size`."""

    points: Sequence[tuple[float, float]] | np.ndarray
    colour: float | Rgb
    warm: float = 0.0
    glow: float = 0.0
    size: float | tuple[float, float] = 0.0


def box(u0, v0, u1, v1, colour, warm=0.0, glow=0.0) -> Part:
    """A rectangle."""
    return Part(((u0, v0), (u1, v0), (u1, v1), (u0, v1)), colour, warm, glow)


def line(points, width, colour, warm=0.0, glow=0.0) -> Part:
    """A polyline."""
    return Part(points, colour, warm, glow, width)


def disc(u, v, a, b, colour, warm=0.0, glow=0.0) -> Part:
    """An ellipse."""
    return Part(((u, v),), colour, warm, glow, (a, b))


def draw_sprite(
    canvas: Canvas,
    parts: Sequence[Part],
    position: tuple[float, float],
    zoom: tuple[float, float],
    rgb: Rgb,
    heat: float,
    brightness: float = 1.0,
    lit: bool = False,
) -> None:
    """Paints parts, back to front, as the thing that the canvas began last.

    Args:
      canvas: receives the shapes.
      parts: of the thing.
      position: foot (x, z) in metres.
      zoom: factors on u and v; a negative first one mirrors.
      rgb: the thing's colour.
      heat: degrees Celsius.
      brightness: factor on all colours that do not glow.
      lit: whether parts glow.
    """
    x, z = position
    foot = canvas.camera.project((x, 0.0, z))
    scale = canvas.camera.focal / max(z, 0.5) * np.asarray(zoom)
    corners = np.concatenate([part.points for part in parts]) * (scale[0], -scale[1]) + foot
    ends = np.cumsum([len(part.points) for part in parts])
    for part, pixels in zip(parts, np.split(corners, ends[:-1]), strict=True):
        glow = part.glow if lit else 0.0
        colour = tone(rgb, part.colour) if isinstance(part.colour, float) else part.colour
        look = (tone(colour, 1.0 if glow > 50 else brightness), heat + part.warm, glow)
        if isinstance(part.size, tuple):
            canvas.ellipse(pixels[0], np.abs(scale) * part.size, *look)
        elif part.size:
            canvas.line(pixels, part.size * scale[1], *look)
        else:
            canvas.polygons(pixels[None], *look)


def person(rng: np.random.Generator) -> list[Part]:
    """Someone 1.75 m tall who walks or stands."""
    stride = rng.uniform(0.18, 0.36) if rng.random() < 0.6 else 0.08
    trousers = _DARK[int(rng.integers(len(_DARK)))]
    skin = _SKIN[int(rng.integers(len(_SKIN)))]
    wide = 0.15 if stride > 0.15 else 0.21
    reach = 0.6 * stride if stride > 0.15 else wide + 0.03
    parts = [
        line([(-0.8 * wide, 1.42), (-reach - 0.03, 1.12), (-reach, 0.88)], 0.1, 0.7, -0.5),
        disc(-reach, 0.84, 0.05, 0.06, skin, 3.5),
    ]
    for foot, shade in ((-stride, 0.75), (stride, 1.0)):
        hip, knee = (0.45 * np.sign(foot) * wide, 0.86), (0.62 * foot + 0.04, 0.48)
        leg = tone(trousers, shade)
        parts += [
            line([hip, knee], 0.15, leg, -0.5),
            line([knee, (foot, 0.06)], 0.11, leg, -1.5),
            line([(foot, 0.04), (foot + 0.13, 0.03)], 0.07, BLACK, -4.0),
        ]
    torso = [(0.4, 1.5), (1.0, 1.43), (0.95, 1.1), (1.0, 0.82)]
    outline = [(s * u * wide, v) for s, order in ((1, 1), (-1, -1)) for u, v in torso[::order]]
    parts += [
        Part(outline, 1.0),
        disc(0, 1.52, 0.06, 0.08, skin, 2.5),
        disc(0.01, 1.645, 0.085, 0.11, skin, 4.0),
        disc(-0.01, 1.69, 0.088, 0.075, ((40, 32, 26), (90, 70, 50), BLACK)[rng.integers(3)], 1.5),
        line([(0.8 * wide, 1.42), (reach, 1.12), (reach + 0.06, 0.9)], 0.1, 0.88, -0.3),
        disc(reach + 0.07, 0.85, 0.05, 0.06, skin, 3.5),
    ]
    return parts


def umbrella(rng: np.random.Generator) -> list[Part]:
    """An open umbrella, held at the height of a hand."""
    dome = _ring(0.0, 1.82, 0.56, 17)[:9] * (1.0, 0.7) + (0.0, 0.55)
    stick = line([(0.1, 0.9), (0.02, 2.24)], 0.03, BLACK)
    return [stick, Part(dome, 1.0), Part([(-0.56, 1.82), (-0.19, 1.82), (0.0, 2.2)], 0.75, -0.5)]


def _ring(u: float, v: float, radius: float, corners: int) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, corners)
    return np.stack([u + radius * np.cos(turn), v + radius * np.sin(turn)], 1)


def bicycle(rng: np.random.Generator) -> list[Part]:
    """A bicycle seen from the side, 1.7 m long."""
    back, front, crank, bar = (-0.52, 0.34), (0.52, 0.34), (-0.06, 0.3), (0.4, 0.9)
    frame = [back, crank, (-0.2, 0.84), (-0.18, 0.76), bar, crank, (-0.18, 0.76), back]
    return [
        *(line(_ring(*hub, 0.33, 15), 0.06, BLACK) for hub in (back, front)),
        line(frame, 0.05, 1.0),
        line([front, bar], 0.05, 1.0),
        line([(-0.32, 0.86), (-0.1, 0.86)], 0.07, BLACK),
        line([bar, (0.3, 1.0)], 0.05, BLACK),
    ]


def cyclist(rng: np.random.Generator) -> list[Part]:
    """A bicycle with a rider; the rider alone is warm."""
    cold = [part._replace(colour=(60, 64, 72), warm=-9.0) for part in bicycle(rng)]
    skin, trousers = _SKIN[int(rng.integers(4))], _DARK[int(rng.integers(len(_DARK)))]
    hip, knee, foot = (-0.2, 0.95), (0.12, 0.72), (-0.02, 0.24)
    return [
        *cold,
        line([hip, (0.05, 0.62), (-0.12, 0.32)], 0.13, tone(trousers, 0.7), -1.0),
        Part([(-0.32, 0.9), (-0.08, 0.9), (0.2, 1.38), (0.08, 1.5), (-0.06, 1.48)], 1.0),
        line([hip, knee, foot], 0.14, trousers, -0.5),
        line([foot, (0.1, 0.22)], 0.07, BLACK, -4.0),
        line([(0.1, 1.4), (0.18, 1.1), (0.38, 1.0)], 0.1, 0.85, -0.3),
        disc(0.18, 1.62, 0.09, 0.115, skin, 4.0),
        disc(0.16, 1.68, 0.1, 0.07, ((200, 40, 40), BLACK, WHITE)[rng.integers(3)], -2.0),
    ]


def motorcycle(rng: np.random.Generator) -> list[Part]:
    """A motorcycle seen from the side, 2 m long, with a warm engine now and then."""
    engine, frame = float(rng.choice([1.0, 10.0])), [(-0.75, 0.5), (-0.3, 0.35), (0.35, 0.35)]
    return [
        *(disc(u, 0.32, 0.32, 0.32, BLACK) for u in (-0.7, 0.7)),
        *(disc(u, 0.32, 0.18, 0.18, STEEL, 0.25 * engine) for u in (-0.7, 0.7)),
        line([(0.7, 0.32), (0.42, 1.05), (0.3, 1.1)], 0.08, STEEL),
        Part([*frame, (0.5, 0.75), (-0.2, 0.7)], (60, 62, 66), engine),
        Part([(-0.95, 0.85), (-0.5, 0.7), (0.1, 0.72), (0.48, 0.8), (0.4, 1.0), (0.0, 0.98)], 1.0),
        Part([(-0.95, 0.88), (-0.1, 0.8), (-0.02, 0.92), (-0.85, 0.98)], BLACK, 0.5),
        line([(-0.9, 0.3), (-0.1, 0.34)], 0.1, STEEL, 1.5 * engine),
        disc(0.56, 0.86, 0.1, 0.11, WHITE, 0.5),
    ]


def dog(rng: np.random.Generator) -> list[Part]:
    """A dog seen from the side, 0.65 m at the shoulder."""
    swing = rng.uniform(-0.08, 0.08)
    legs = ((-0.3, swing, 0.75), (0.24, -swing, 0.75), (-0.24, -swing, 1.0), (0.3, swing, 1.0))
    return [
        *(line([(u, 0.36), (u + s, 0.0)], 0.08, f, -2.0) for u, s, f in legs),
        disc(0.0, 0.45, 0.4, 0.16, 1.0),
        disc(0.28, 0.47, 0.16, 0.19, 1.0, 0.5),
        line([(-0.36, 0.5), (-0.55, 0.68)], 0.06, 0.9, -1.5),
        line([(0.3, 0.55), (0.46, 0.72)], 0.15, 1.0, 1.0),
        disc(0.5, 0.76, 0.12, 0.1, 1.05, 2.0),
        disc(0.62, 0.72, 0.08, 0.055, 0.85, 2.5),
        Part([(0.4, 0.8), (0.5, 0.82), (0.42, 0.94)], 0.6, 1.0),
    ]


def _foliage(rng, count: int, centre, axes, warm: float = 0.0) -> list[Part]:
    """Clumps of leaves in an ellipse: large dark ones first, small light ones above them last."""
    order = np.linspace(0, 1, count)
    angle, radius = rng.uniform(0, 2 * np.pi, count), 0.9 * np.sqrt(rng.uniform(0, 1, count))
    u, v = radius * np.cos(angle), radius * np.sin(angle) + 0.12 * order - 0.06
    size = max(axes) * (0.4 - 0.26 * order) * rng.uniform(0.75, 1.25, count)
    light = 0.5 + 0.5 * order + 0.2 * v + rng.normal(0, 0.07, count)
    heat = warm + v + rng.normal(0, 0.6, count)
    columns = (centre[0] + axes[0] * u, centre[1] + axes[1] * v, size, size, light, heat)
    return [disc(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def tree(rng: np.random.Generator) -> list[Part]:
    """A tree about 7 m tall: leafy, or a conifer."""
    lean = rng.normal(0, 0.25)
    trunk = Part([(-0.22, 0), (0.22, 0), (lean + 0.1, 4.5), (lean - 0.1, 4.5)], _BARK, 1.5)
    if rng.random() < 0.25:
        tiers = []
        for k in range(5):
            low, half = 1.2 + 1.15 * k, 1.75 - 0.3 * k
            left, right, top = (-half, low), (half, low - rng.uniform(0, 0.2)), (0.0, low + 1.9)
            tiers.append(Part([left, right, top], 0.65 + 0.04 * k, 0.3 * k))
            tiers.append(Part([(0.1 * half, low), right, top], 0.5 + 0.04 * k, 0.3 * k - 0.3))
        return [trunk, *tiers]
    wide = rng.uniform(1.7, 2.5)
    lobes = _foliage(rng, 12, (lean - 0.5 * wide, 4.0), (0.6 * wide, 1.1), -0.3)
    lobes += _foliage(rng, 12, (lean + 0.5 * wide, 4.2), (0.6 * wide, 1.1), -0.3)
    return [trunk, *lobes, *_foliage(rng, 34, (lean, 4.9), (wide, 2.1))]


def bush(rng: np.random.Generator) -> list[Part]:
    """A bush about 1.2 m tall."""
    wide = rng.uniform(0.7, 1.5)
    return [disc(0, 0.35, wide, 0.4, 0.5), *_foliage(rng, 26, (0, 0.6), (wide, 0.5))]


def palm_tree(rng: np.random.Generator) -> list[Part]:
    """A palm about 7 m tall."""
    t, lean = np.linspace(0, 1, 6), rng.normal(0, 0.3)
    stem = np.stack([lean * t**2, 6.2 * t], 1)
    parts = [line(stem, 0.36, (128, 108, 84), 1.5)]
    angles = np.linspace(-0.6, np.pi + 0.6, 15) + rng.normal(0, 0.1, 15)
    for k, angle in enumerate(angles):
        reach, droop = rng.uniform(1.6, 2.3), rng.uniform(0.6, 1.3)
        u = lean + np.cos(angle) * reach * t
        v = 6.2 + np.sin(angle) * reach * t - droop * t**2
        wide = 0.22 * np.sin(np.pi * (0.9 * t + 0.08))
        outline = np.concatenate([v + 0.4 * wide, (v - 1.9 * wide)[::-1]])
        blade = np.stack([np.concatenate([u, u[::-1]]), outline], 1)
        parts.append(Part(blade, 0.7 + 0.15 * (k % 3), float(rng.normal(0, 0.5))))
    return parts


def street_lamp(rng: np.random.Generator) -> list[Part]:
    """A lamp about 6 m tall with an arm to the right."""
    light = ((255, 208, 120), (242, 246, 255))[rng.integers(2)]
    return [
        line([(0, 0), (0, 5.8)], 0.14, 1.0),
        line([(0, 0), (0, 0.9)], 0.24, 1.0),
        line([(0, 5.8), (0.5, 6.15), (1.5, 6.2)], 0.11, 1.0),
        disc(1.55, 6.16, 0.5, 0.16, 0.8, 2.0),
        disc(1.55, 6.06, 0.42, 0.13, light, 9.0, 255),
    ]


def pole(rng: np.random.Generator) -> list[Part]:
    """A wooden pole about 8 m tall with a crossbar."""
    parts = [box(0.12, 6.0, 0.6, 6.9, STEEL, 6.0)] if rng.random() < 0.4 else []
    shaft, shade = box(-0.13, 0, 0.13, 8, 1.0), box(0.04, 0, 0.13, 8, 0.7)
    return [*parts, shaft, shade, box(-0.95, 7.32, 0.95, 7.48, 0.9)]


def traffic_sign(rng: np.random.Generator) -> list[Part]:
    """A sign on a post: round, triangular, square or diamond."""
    bar = box(-0.28, 2.33, 0.28, 2.47, WHITE, 0, 14)
    arrow = line([(-0.12, 2.15), (0.05, 2.65)], 0.12, WHITE, 0, 14)
    triangle = np.array([(-0.5, 2.05), (0.5, 2.05), (0, 2.9)])
    plates = (
        [disc(0, 2.4, 0.42, 0.42, _RED, 0, 14), bar],
        [Part(_ring(0, 2.4, 0.45, 9), _RED, 0, 14), disc(0, 2.4, 0.3, 0.3, WHITE, 0, 14)],
        [Part(triangle, _RED, 0, 14), Part(0.6 * triangle + (0, 0.93), WHITE, 0, 14)],
        [box(-0.42, 2.0, 0.42, 2.84, _BLUE, 0, 14), arrow],
        [Part(_ring(0, 2.4, 0.5, 5), (230, 180, 30), 0, 14), box(-0.05, 2.2, 0.05, 2.6, BLACK)],
    )
    return [line([(0, 0), (0, 2.4)], 0.09, STEEL, 0.8), *plates[rng.integers(len(plates))]]


def traffic_light(rng: np.random.Generator) -> list[Part]:
    """A traffic light on a post; the lamp that is on is warm."""
    on = int(rng.choice(3, p=(0.5, 0.1, 0.4)))
    parts = [line([(0, 0), (0, 2.6)], 0.16, STEEL, -0.5), box(-0.24, 2.2, 0.24, 3.4, 1.0, 1.0)]
    for k, rgb in enumerate(((255, 50, 36), (255, 190, 40), (70, 255, 170))):
        lamp = (rgb, 8.0, 200) if k == on else (tone(rgb, 0.22), 1.0, 0)
        parts.append(disc(0, 3.18 - 0.38 * k, 0.15, 0.15, *lamp))
    return parts


def bollard(rng: np.random.Generator) -> list[Part]:
    """A bollard with or without a red band."""
    half = rng.uniform(0.08, 0.15)
    parts = [box(-half, 0, half, 0.85, 1.0), box(0.3 * half, 0, half, 0.85, 0.7, -0.4)]
    if rng.random() < 0.4:
        parts.append(box(-half, 0.6, half, 0.74, _RED))
    return [*parts, disc(0, 0.85, half, 0.5 * half, 1.1, 0.5)]


TRAFFIC_CONE = (
    box(-0.24, 0, 0.24, 0.06, 0.8, 1.0),
    Part([(-0.18, 0.05), (0.18, 0.05), (0.04, 0.75), (-0.04, 0.75)], 1.0, 0.0, 8),
    Part([(-0.132, 0.27), (0.132, 0.27), (0.088, 0.48), (-0.088, 0.48)], WHITE, 0.0, 8),
)
TRASH_CAN = (
    Part([(-0.25, 0.04), (0.25, 0.04), (0.31, 0.95), (-0.31, 0.95)], 1.0),
    Part([(0.08, 0.04), (0.25, 0.04), (0.31, 0.95), (0.1, 0.95)], 0.75, -0.8),
    box(-0.34, 0.93, 0.34, 1.06, 1.25, 1.5),
)
BENCH = (
    *(line([(u, 0), (u, 0.9)], 0.08, BLACK, -0.5) for u in (-0.7, 0.7)),
    *(box(-0.85, v - 0.05, 0.85, v + 0.045, 1.0) for v in (0.62, 0.76, 0.9)),
    box(-0.9, 0.32, 0.9, 0.38, 0.55, -0.5),
    box(-0.9, 0.38, 0.9, 0.49, 1.12, 0.8),
)
