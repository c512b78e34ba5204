"""Lamps, signs, traffic lights, poles, wires, cones, bollards, bins and benches."""

import numpy as np

from tfds_builders.entity_scenes.canvas import Canvas, Lamp, tone
from tfds_builders.entity_scenes.conditions import Conditions
from tfds_builders.entity_scenes.vehicles import cast_shadow

_STEEL = (128, 130, 132)


def _post_shadow(canvas, conditions, x, z, height, radius=0.08):
    canvas.ground(canvas.contact, _square(x, z, 2 * radius), 110)
    if conditions.sunlight.max() > 0:
        cast_shadow(canvas, conditions, _square(x, z, radius), height)


def _square(x, z, r):
    return np.array([[x - r, 0, z - r], [x + r, 0, z - r], [x + r, 0, z + r], [x - r, 0, z + r]])


def paint_street_lamp(
    canvas: Canvas, rng, conditions: Conditions, x: float, z: float, warm: bool, tall: bool
) -> None:
    """Paints a street lamp, lit in the dark: a tall one over the road, or a low globe."""
    height = 7.0 if tall else 3.6
    _post_shadow(canvas, conditions, x, z, height)
    lit = conditions.dark
    canvas.begin("street lamp", z, "", "lit" if lit else "")
    s = canvas.sprite(x, z)
    heat = conditions.temperature("street lamp") + rng.normal(0, 0.6)
    post = tone((96, 100, 100), conditions.shade((0, 0, -1)))
    light = (255, 208, 120) if warm else (242, 246, 255)
    head, glow = (light, 255) if lit else ((206, 208, 206), 0)
    hot = heat + (16.0 if lit and warm else 7.0 if lit else 0.0)
    s.line([(0, 0), (0, height)], 0.13, post, heat)
    s.line([(0, 0), (0, 0.8)], 0.2, post, heat)
    reach = -float(np.sign(x)) * 1.7 if tall else 0.0
    if tall:
        s.line([(0, height), (0.5 * reach, height + 0.35), (reach, height + 0.4)], 0.1, post, heat)
        s.ellipse((reach, height + 0.36), (0.42, 0.13), 0, tone(post, 0.8), hot - 3)
        s.ellipse((reach, height + 0.29), (0.34, 0.1), 0, head, hot, glow)
    else:
        s.circle((0, height + 0.15), 0.24, head, hot, glow)
        s.rectangle(-0.16, height + 0.33, 0.16, height + 0.42, post, heat)
    if lit:
        power = np.array([1.0, 0.62, 0.26] if warm else [0.8, 0.88, 1.0]) * (7.0 if tall else 2.6)
        place = (x + reach, height + 0.2, z)
        canvas.lamps.append(
            Lamp(place, tuple(power * rng.uniform(0.7, 1.3)), narrowness=1.0 if tall else 0.1)
        )


def paint_traffic_sign(canvas: Canvas, rng, conditions: Conditions, x: float, z: float) -> None:
    """Paints a traffic sign on its post; the plate has hardly any pattern in the thermal band."""
    height = rng.uniform(2.2, 2.9)
    _post_shadow(canvas, conditions, x, z, height, 0.05)
    shape = int(rng.integers(5))
    colour = ("red", "red", "blue", "yellow", "green")[shape]
    canvas.begin("traffic sign", z, colour)
    s = canvas.sprite(x, z)
    heat = conditions.temperature("traffic sign") + rng.normal(0, 0.4)
    s.line([(0, 0), (0, height)], 0.08, _STEEL, heat + 0.5)
    shade = max(conditions.shade((0, 0, -1)), 0.75)
    glow = 14 if conditions.dark else 0  # retroreflective under our own lights
    centre = (0.0, height)
    white, r = tone((232, 232, 228), shade), 0.4
    turn = np.linspace(0, 2 * np.pi, 9)[:-1] + np.pi / 8
    if shape == 0:
        s.circle(centre, r, tone((190, 24, 30), shade), heat, glow)
        if rng.random() < 0.5:
            s.rectangle(-0.26, height - 0.07, 0.26, height + 0.07, white, heat, glow)
        else:
            s.circle(centre, 0.29, white, heat, glow)
            s.rectangle(-0.14, height - 0.1, 0.14, height + 0.1, (40, 40, 42), heat)
    elif shape == 1:
        s.polygon(
            np.stack([r * np.cos(turn), height + r * np.sin(turn)], 1),
            tone((186, 22, 28), shade),
            heat,
            glow,
        )
        s.rectangle(-0.25, height - 0.06, 0.25, height + 0.06, white, heat, glow)
    elif shape == 2:
        if rng.random() < 0.5:
            s.circle(centre, r, tone((30, 70, 160), shade), heat, glow)
        else:
            s.rectangle(-r, height - r, r, height + r, tone((30, 70, 160), shade), heat, glow)
        s.line([(-0.12, height - 0.2), (0.02, height + 0.2)], 0.1, white, heat, glow)
    elif shape == 3:
        rhomb = [(0, height - 0.5), (0.5, height), (0, height + 0.5), (-0.5, height)]
        s.polygon(rhomb, tone((230, 180, 30), shade), heat, glow)
        s.line([(0, height - 0.2), (0, height + 0.22)], 0.1, (30, 30, 30), heat)
    else:
        s.rectangle(-0.7, height - 0.3, 0.7, height + 0.35, tone((24, 104, 70), shade), heat, glow)
        s.rectangle(-0.55, height + 0.05, 0.4, height + 0.15, white, heat, glow)
        s.rectangle(-0.55, height - 0.15, 0.1, height - 0.05, white, heat, glow)


def paint_traffic_light(
    canvas: Canvas, rng, conditions: Conditions, x: float, z: float, mast: bool
) -> None:
    """Paints a traffic light on a post, or on a mast over the road; the lit lens is warm."""
    height = 5.6 if mast else 3.0
    _post_shadow(canvas, conditions, x, z, height)
    which = int(rng.choice(3, p=(0.5, 0.1, 0.4)))
    canvas.begin("traffic light", z, ("red", "yellow", "green")[which])
    s = canvas.sprite(x, z)
    heat = conditions.temperature("traffic light") + rng.normal(0, 0.5)
    s.line([(0, 0), (0, height)], 0.16, tone(_STEEL, 0.8), heat - 0.5)
    heads = [(0.0, 2.9)]
    if mast:
        reach = -float(np.sign(x)) * min(abs(x), 5.5)
        s.line([(0, height), (reach, height + 0.25)], 0.13, tone(_STEEL, 0.85), heat - 0.5)
        heads.append((reach, height + 0.1))
    for u, v in heads:
        s.rectangle(u - 0.2, v - 0.52, u + 0.2, v + 0.52, (28, 30, 28), heat + 1.0)
        for k, rgb in enumerate(((255, 50, 36), (255, 190, 40), (70, 255, 170))):
            lit = k == which
            colour = rgb if lit else tone(rgb, 0.22)
            s.circle(
                (u, v + 0.32 * (1 - k)),
                0.13,
                colour,
                heat + (7.0 if lit else 1.0),
                200 if lit else 0,
            )


def paint_pole(canvas: Canvas, rng, conditions: Conditions, x: float, z: float) -> np.ndarray:
    """Paints a wooden utility pole; returns where its wires hang, world [3, 3]."""
    height = rng.uniform(8.0, 10.0)
    _post_shadow(canvas, conditions, x, z, height, 0.12)
    canvas.begin("pole", z)
    s = canvas.sprite(x, z)
    heat = conditions.temperature("pole") + rng.normal(0, 0.8)
    rgb = tone((104, 84, 66), conditions.shade((0, 0, -1)))
    s.line([(0, 0), (0, height)], 0.24, rgb, heat)
    s.line([(0.06, 0), (0.06, height)], 0.08, tone(rgb, 0.75), heat)
    s.line([(-0.95, height - 0.5), (0.95, height - 0.5)], 0.14, rgb, heat)
    if rng.random() < 0.4:
        s.rectangle(0.12, height - 2.0, 0.55, height - 1.2, (150, 152, 150), heat + 6.0)
    return np.array([[x + u, height - 0.4, z] for u in (-0.85, 0.0, 0.85)])


def paint_power_lines(canvas: Canvas, conditions: Conditions, ends: list[np.ndarray]) -> None:
    """Paints sagging wires through the poles' hangers, given near to far."""
    canvas.begin("power line", float(ends[-1][0, 2]))
    heat = conditions.temperature("power line")
    t = np.linspace(0, 1, 9)[:, None]
    first, second = ends[0], ends[1] if len(ends) > 1 else ends[0] + (0, 0, 30.0)
    before = first - (second - first) * 0.95 * min(
        1.0, (first[0, 2] - 0.8) / (second[0, 2] - first[0, 2])
    )
    for a, b in zip([before, *ends[:-1]], ends, strict=True):
        for k in range(3):
            wire = a[k] + (b[k] - a[k]) * t
            wire[:, 1] -= (3.2 * (t * (1 - t)))[:, 0]
            width = 0.035 * canvas.camera.scale(float(wire[:, 2].mean()))
            canvas.line(canvas.camera.project(wire), max(width, 1.0), (34, 34, 36), heat)


def paint_cone(canvas: Canvas, conditions: Conditions, x: float, z: float) -> None:
    """Paints a traffic cone."""
    _post_shadow(canvas, conditions, x, z, 0.7, 0.15)
    canvas.begin("traffic cone", z, "orange")
    s = canvas.sprite(x, z)
    heat = conditions.temperature("traffic cone")
    glow = 8 if conditions.dark else 0
    s.rectangle(-0.22, 0, 0.22, 0.06, (186, 64, 22), heat + 1)
    s.polygon(
        [(-0.17, 0.05), (0.17, 0.05), (0.035, 0.75), (-0.035, 0.75)], (232, 84, 26), heat, glow
    )
    s.polygon(
        [(-0.125, 0.27), (0.125, 0.27), (0.085, 0.47), (-0.085, 0.47)], (236, 236, 232), heat, glow
    )


def paint_bollard(canvas: Canvas, conditions: Conditions, x: float, z: float, style: int) -> None:
    """Paints a bollard: of stone, steel, or white with a red band."""
    _post_shadow(canvas, conditions, x, z, 0.9, 0.12)
    canvas.begin("bollard", z)
    s = canvas.sprite(x, z)
    heat = conditions.temperature("bollard")
    rgb = ((150, 144, 134), (72, 76, 80), (222, 222, 218))[style]
    half = (0.15, 0.09, 0.08)[style]
    s.rectangle(-half, 0, half, 0.85, rgb, heat)
    s.rectangle(0.3 * half, 0, half, 0.85, tone(rgb, 0.72), heat - 0.4)
    s.ellipse((0, 0.85), (half, 0.5 * half), 0, tone(rgb, 1.08), heat + 0.5)
    if style == 2:
        s.rectangle(-half, 0.6, half, 0.74, (190, 34, 34), heat)


def paint_trash_can(canvas: Canvas, rng, conditions: Conditions, x: float, z: float) -> None:
    """Paints a wheeled bin or a litter bin."""
    _post_shadow(canvas, conditions, x, z, 1.0, 0.28)
    rgb, name = (((44, 82, 56), "green"), ((60, 62, 66), "grey"), ((40, 66, 120), "blue"))[
        int(rng.integers(3))
    ]
    canvas.begin("trash can", z, name)
    s = canvas.sprite(x, z)
    heat = conditions.temperature("trash can") + rng.normal(0, 1.0)
    shade = conditions.shade((0, 0, -1))
    s.polygon([(-0.25, 0.04), (0.25, 0.04), (0.31, 0.95), (-0.31, 0.95)], tone(rgb, shade), heat)
    s.polygon(
        [(0.08, 0.04), (0.25, 0.04), (0.31, 0.95), (0.1, 0.95)], tone(rgb, 0.75 * shade), heat - 0.8
    )
    s.rectangle(-0.34, 0.93, 0.34, 1.06, tone(rgb, 1.2 * shade), heat + 1.5)


def paint_bench(canvas: Canvas, rng, conditions: Conditions, x: float, z: float) -> None:
    """Paints a bench that faces us."""
    if conditions.sunlight.max() > 0:
        cast_shadow(canvas, conditions, _square(x, z, 0.6), 0.45)
    canvas.begin("bench", z)
    s = canvas.sprite(x, z)
    heat = conditions.temperature("bench") + rng.normal(0, 0.8)
    wood = tone((138, 98, 62), rng.uniform(0.8, 1.15) * max(conditions.shade((0, 0, -1)), 0.6))
    for u in (-0.7, 0.7):
        s.line([(u, 0), (u, 0.9)], 0.07, (44, 46, 48), heat - 0.5)
    for v in (0.62, 0.76, 0.9):
        s.rectangle(-0.85, v - 0.05, 0.85, v + 0.04, wood, heat)
    s.rectangle(-0.9, 0.38, 0.9, 0.48, tone(wood, 1.12), heat + 0.8)
    s.rectangle(-0.9, 0.32, 0.9, 0.38, tone(wood, 0.55), heat - 0.5)
