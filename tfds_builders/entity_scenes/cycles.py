"""Parked bicycles and motorcycles."""

import numpy as np

from tfds_builders.entity_scenes.canvas import Canvas, Sprite
from tfds_builders.entity_scenes.conditions import Conditions
from tfds_builders.entity_scenes.vehicles import COLOURS, cast_shadow


def draw_bicycle(s: Sprite, rng, side: float, heat: float, tyre: float) -> None:
    """Draws a bicycle as part of the current instance; `side` 1 looks right, -1 left."""
    rgb = list(COLOURS.values())[int(rng.integers(len(COLOURS)))]
    r = 0.33
    back, front = (-0.52 * side, r), (0.52 * side, r)
    turn = np.linspace(0, 2 * np.pi, 17)
    for hub in (back, front):
        ring = np.stack([hub[0] + r * np.cos(turn), hub[1] + r * np.sin(turn)], 1)
        s.line(ring, 0.055, (24, 24, 25), tyre)
        s.line([hub, (hub[0], hub[1] + r)], 0.012, (130, 130, 132), heat)
        s.line([(hub[0] - r, hub[1]), (hub[0] + r, hub[1])], 0.012, (130, 130, 132), heat)
    crank, seat, bar = (-0.08 * side, 0.3), (-0.2 * side, 0.82), (0.38 * side, 0.88)
    for a, b in (
        (back, crank),
        (crank, seat),
        (back, (seat[0], 0.74)),
        (crank, (bar[0], 0.72)),
        ((seat[0], 0.72), (bar[0], 0.76)),
        (bar, front),
    ):
        s.line([a, b], 0.045, rgb, heat)
    s.line(
        [seat, (seat[0] - 0.1 * side, 0.84), (seat[0] + 0.1 * side, 0.83)], 0.06, (22, 22, 22), heat
    )
    s.line([bar, (bar[0] + 0.12 * side, 0.95)], 0.04, (60, 60, 62), heat)


def paint_bicycle(canvas: Canvas, rng, conditions: Conditions, x: float, z: float) -> None:
    """Paints a parked bicycle, seen from the side."""
    if conditions.sunlight.max() > 0:
        foot = np.array(
            [[x - 0.8, 0, z], [x + 0.8, 0, z], [x + 0.8, 0, z + 0.1], [x - 0.8, 0, z + 0.1]]
        )
        cast_shadow(canvas, conditions, foot, 0.5)
    canvas.begin("bicycle", z, "", "parked")
    heat = conditions.temperature("bicycle")
    draw_bicycle(canvas.sprite(x, z), rng, rng.choice([-1.0, 1.0]), heat, heat + 1.0)


def paint_motorcycle(canvas: Canvas, rng, conditions: Conditions, x: float, z: float) -> None:
    """Paints a parked motorcycle or scooter, seen from the side; some have a warm engine."""
    warm = 18.0 if rng.random() < 0.4 else 0.0
    canvas.ground(
        canvas.contact,
        np.array(
            [
                [x - 0.7, 0, z - 0.2],
                [x + 0.7, 0, z - 0.2],
                [x + 0.7, 0, z + 0.2],
                [x - 0.7, 0, z + 0.2],
            ]
        ),
        190,
    )
    names = list(COLOURS)
    name = names[int(rng.integers(len(names)))]
    canvas.begin("motorcycle", z, name, "parked")
    s = canvas.sprite(x, z)
    heat = conditions.temperature("vehicle")
    side = float(rng.choice([-1.0, 1.0]))
    rgb = COLOURS[name]
    for u in (-0.62, 0.62):
        s.circle((u, 0.3), 0.3, (22, 22, 23), conditions.temperature("tyre") + 0.3 * warm)
        s.circle((u, 0.3), 0.15, (112, 114, 118), heat + 0.3 * warm)
    s.polygon([(-0.35, 0.3), (0.3, 0.28), (0.34, 0.62), (-0.3, 0.62)], (56, 56, 58), heat + warm)
    s.line([(-0.1 * side, 0.3), (-0.75 * side, 0.38)], 0.1, (150, 150, 150), heat + 1.2 * warm)
    s.polygon(
        [
            (-0.8 * side, 0.78),
            (-0.2 * side, 0.74),
            (0.3 * side, 0.92),
            (0.45 * side, 0.7),
            (-0.2 * side, 0.55),
        ],
        rgb,
        heat,
    )
    s.line([(-0.75 * side, 0.82), (-0.15 * side, 0.78)], 0.12, (26, 26, 27), heat + 1)
    s.line([(0.62 * side, 0.3), (0.4 * side, 1.02)], 0.07, (140, 142, 146), heat)
    s.line([(0.4 * side, 1.02), (0.25 * side, 1.08)], 0.05, (40, 40, 42), heat)
    s.circle((0.5 * side, 0.86), 0.1, (205, 206, 204), heat)
