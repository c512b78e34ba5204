"""Trees, palm trees, bushes, grass and hills."""

import numpy as np

from tfds_builders.entity_scenes.canvas import Canvas, Rgb, tone
from tfds_builders.entity_scenes.conditions import Conditions
from tfds_builders.entity_scenes.vehicles import cast_shadow

_GREENS: tuple[Rgb, ...] = ((62, 92, 40), (78, 104, 44), (48, 80, 46), (88, 100, 52))
_AUTUMN: tuple[Rgb, ...] = ((150, 104, 42), (164, 84, 36))
_BARK: Rgb = (84, 68, 54)


def _octagon(x: float, z: float, radius: float) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, 9)[:-1]
    zeros = np.zeros(8)
    return np.stack([x + radius * np.cos(turn), zeros, z + radius * np.sin(turn)], 1)


def _foliage(canvas, rng, centre, axes, rgb, heat, spread=2.2):
    """Clumps of leaves in an ellipse (canvas pixels): dark ones first, light ones last, above."""
    a, b = axes
    size = max(a, b)
    count = int(np.clip(size * 0.9, 10, 110))
    angle = rng.uniform(0, 2 * np.pi, count)
    radius = np.sqrt(rng.uniform(0, 1, count)) * 0.92
    order = np.linspace(0, 1, count)
    u = radius * np.cos(angle)
    v = radius * np.sin(angle) * 0.95 - 0.12 * order + 0.06
    clump = size * (0.34 - 0.24 * order**0.6) * rng.uniform(0.7, 1.3, count)
    light = 0.5 + 0.55 * order - 0.25 * v + rng.normal(0, 0.07, count)
    warm = heat + rng.normal(0, 0.35 * spread, count) - 0.5 * spread * v
    for i in range(count):
        canvas.circle(
            (centre[0] + u[i] * a, centre[1] + v[i] * b), clump[i], tone(rgb, light[i]), warm[i]
        )


def paint_tree(canvas: Canvas, rng, conditions: Conditions, x: float, z: float) -> None:
    """Paints a leafy tree or, one time in seven, a bare one."""
    height = rng.uniform(4.5, 9.5)
    crown = height * rng.uniform(0.26, 0.36)
    bare = rng.random() < 0.15
    canvas.ground(canvas.contact, _octagon(x, z, crown), 60 if bare else 110)
    if conditions.sunlight.max() > 0 and not bare:
        sx, sy, sz = conditions.sun
        shift = min(0.65 * height / max(sy, 0.15), 14.0)
        canvas.ground(canvas.shadow, _octagon(x - sx * shift, z - sz * shift, crown * 0.95), 225)
    canvas.begin("tree", z, "", "bare" if bare else "leafy")
    s = canvas.sprite(x, z)
    bark = tone(_BARK, rng.uniform(0.7, 1.25))
    trunk = conditions.temperature("tree") + 1.5 + rng.normal(0, 0.6)
    lean = rng.normal(0, 0.06) * height
    width = 0.035 * height
    fork = height * rng.uniform(0.32, 0.45)
    if bare:
        _branches(s, rng, (0.0, 0.0), np.pi / 2 + rng.normal(0, 0.05), fork, width, 0, bark, trunk)
        return
    top = (lean, height - crown)
    s.polygon(
        [
            (-width, 0), (width, 0), (lean * 0.6 + width * 0.6, fork), top,
            (lean * 0.6 - width * 0.6, fork),
        ],
        bark, trunk,
    )  # fmt: skip
    s.polygon(
        [(0.2 * width, 0), (width, 0), (lean * 0.6 + width * 0.6, fork)],
        tone(bark, 0.7),
        trunk - 0.4,
    )
    palette = _AUTUMN if rng.random() < 0.1 else _GREENS
    rgb = tone(palette[int(rng.integers(len(palette)))], rng.uniform(0.8, 1.15))
    leaves = conditions.temperature("tree") + rng.normal(0, 1.2)
    (centre,) = s.pixels([(lean, height - crown * 1.02)])
    axes = (crown * s.scale * rng.uniform(0.85, 1.1), crown * s.scale)
    for sign in (-1, 1):
        lobe = (centre[0] + sign * axes[0] * 0.45, centre[1] + axes[1] * rng.uniform(0.1, 0.4))
        _foliage(canvas, rng, lobe, (axes[0] * 0.6, axes[1] * 0.55), tone(rgb, 0.85), leaves - 0.3)
    _foliage(canvas, rng, centre, axes, rgb, leaves)


def _branches(s, rng, foot, angle, length, width, level, rgb, heat):
    tip = (foot[0] + np.cos(angle) * length, foot[1] + np.sin(angle) * length)
    s.line([foot, tip], 2 * width, rgb, heat)
    if level < 5 and length * s.scale > 2.0:
        for turn in rng.normal([-0.5, 0.45], 0.18):
            _branches(
                s,
                rng,
                tip,
                angle + turn,
                length * rng.uniform(0.62, 0.85),
                width * 0.6,
                level + 1,
                rgb,
                heat,
            )


def paint_palm(canvas: Canvas, rng, conditions: Conditions, x: float, z: float) -> None:
    """Paints a palm tree."""
    height = rng.uniform(5.0, 11.0)
    if conditions.sunlight.max() > 0:
        cast_shadow(canvas, conditions, _octagon(x, z, 0.2), height)
    canvas.begin("palm tree", z)
    s = canvas.sprite(x, z)
    heat = conditions.temperature("palm tree") + rng.normal(0, 1.0)
    bark = tone((128, 108, 84), rng.uniform(0.8, 1.15))
    lean = rng.normal(0, 0.05) * height
    t = np.linspace(0, 1, 6)
    stem = np.stack([lean * t**2, height * t], 1)
    s.line(stem, 0.42 if height > 8 else 0.34, bark, heat + 1.5)
    s.line(stem + np.array([0.1, 0]), 0.12, tone(bark, 0.7), heat + 1.0)
    rgb = tone((74, 96, 48), rng.uniform(0.8, 1.2))
    crown = stem[-1]
    s.circle((crown[0], crown[1] - 0.35), 0.5, tone((118, 96, 60), 0.8), heat + 0.8)
    count = int(rng.integers(13, 19))
    t = np.linspace(0, 1, 6)
    for k, angle in enumerate(np.linspace(-0.75, np.pi + 0.75, count) + rng.normal(0, 0.1, count)):
        reach = rng.uniform(1.5, 2.3)
        droop = rng.uniform(0.5, 1.0)
        u = crown[0] + np.cos(angle) * reach * t
        v = crown[1] + np.sin(angle) * reach * t - droop * t**2 * 1.3
        width = 0.2 * np.sin(np.pi * np.clip(t * 0.9 + 0.08, 0, 1))
        upper, lower = np.stack([u, v + 0.4 * width], 1), np.stack([u, v - 1.9 * width], 1)
        shade = 0.7 + 0.35 * (k % 3) / 2 + 0.1 * np.sin(angle)
        s.polygon(np.vstack([upper, lower[::-1]]), tone(rgb, shade), heat + rng.normal(0, 0.8))


def paint_bush(canvas: Canvas, rng, conditions: Conditions, x: float, z: float) -> None:
    """Paints a bush, or a short piece of hedge."""
    height = rng.uniform(0.7, 1.7)
    width = rng.uniform(0.7, 1.7)
    canvas.ground(canvas.contact, _octagon(x, z, width), 190)
    if conditions.sunlight.max() > 0:
        cast_shadow(canvas, conditions, _octagon(x, z, width * 0.7), height * 0.6)
    canvas.begin("bush", z)
    s = canvas.sprite(x, z)
    rgb = tone(_GREENS[int(rng.integers(4))], rng.uniform(0.75, 1.25))
    heat = conditions.temperature("bush") + rng.normal(0, 1.0)
    (centre,) = s.pixels([(0, height * 0.48)])
    s.ellipse((0, height * 0.3), (width, height * 0.32), 0, tone(rgb, 0.5), heat)
    _foliage(canvas, rng, centre, (width * s.scale, height * 0.5 * s.scale), rgb, heat, 1.6)


def paint_treeline(canvas: Canvas, rng, conditions: Conditions) -> None:
    """Paints far trees along the horizon, as one tree."""
    camera = canvas.camera
    canvas.begin("tree", 120.0)
    x = np.linspace(-10, camera.width + 10, 90)
    swell = np.interp(np.arange(90), np.linspace(0, 90, 8), rng.uniform(0.15, 1.0, 8))
    rise = camera.focal * rng.uniform(0.03, 0.075) * swell
    heat = conditions.temperature("tree") + rng.normal(0, 0.6)
    rgb = _GREENS[int(rng.integers(4))]
    for shade, lower in ((0.7, 1.0), (0.55, 0.6)):
        top = camera.horizon - rise * lower * rng.uniform(0.7, 1.15, 90)
        base = camera.ground_end() + 2
        shape = np.vstack([np.stack([x, top], 1), [[x[-1], base], [x[0], base]]])
        canvas.polygon(shape, tone(rgb, shade), heat - 0.6 * lower)


def paint_hill(canvas: Canvas, rng, conditions: Conditions) -> None:
    """Paints a line of hills along the horizon."""
    camera = canvas.camera
    canvas.begin("hill", 250.0)
    x = np.linspace(0, camera.width, 40)
    profile = np.zeros(40)
    for k in range(1, 6):
        profile += (
            np.sin(x / camera.width * np.pi * k * rng.uniform(0.7, 1.4) + rng.uniform(0, 6.3)) / k
        )
    profile = (profile - profile.min()) / max(np.ptp(profile), 1e-6)
    rise = camera.focal * rng.uniform(0.06, 0.17)
    base = camera.ground_end() + 2
    rgb = ((92, 104, 62), (128, 116, 80), (74, 86, 66))[int(rng.integers(3))]
    heat = conditions.temperature("hill", 0.3) - 1.5
    for k, shade in ((0, 1.0), (1, 0.8)):
        ridge = np.stack(
            [x, base - rise * (0.25 + 0.75 * np.roll(profile, 11 * k)) * (1 - 0.45 * k)], 1
        )
        shape = np.vstack([ridge, [[camera.width, base], [0, base]]])
        canvas.polygon(shape, tone(rgb, shade), heat + 1.2 * k)
