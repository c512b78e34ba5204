"""People, cyclists, bicycles, motorcycles, dogs and umbrellas."""

import numpy as np

from tfds_builders.entity_scenes.canvas import Canvas, Lamp, Sprite, tone
from tfds_builders.entity_scenes.conditions import Conditions
from tfds_builders.entity_scenes.vehicles import COLOURS, cast_shadow

_DARK = ((28, 29, 34), (40, 42, 52), (54, 48, 44), (30, 38, 62))
_LIGHT = ((198, 196, 190), (176, 184, 196), (214, 208, 186))
_BRIGHT = ((170, 40, 40), (190, 120, 40), (46, 96, 150), (60, 120, 70), (150, 60, 110))
_SKIN = ((222, 178, 150), (196, 146, 112), (140, 98, 72), (92, 62, 46))


def _clothes(rng: np.random.Generator):
    palette, word = ((_DARK, "dark"), (_LIGHT, "light"), (_BRIGHT, "bright"))[
        int(rng.choice(3, p=(0.58, 0.22, 0.2)))
    ]
    top = palette[int(rng.integers(len(palette)))]
    bottom = (_DARK + ((90, 92, 100), (112, 100, 82)))[int(rng.integers(6))]
    return tone(top, rng.uniform(0.85, 1.15)), bottom, word


def _body_heat(rng: np.random.Generator, conditions: Conditions) -> tuple[float, float, float]:
    """Temperatures of skin, upper and lower clothing."""
    skin = 31.0 - 0.12 * max(20.0 - conditions.air, 0.0) + rng.normal(0, 0.6)
    coat = rng.uniform(0.4, 0.75)
    warm = conditions.air + conditions.sunny * 5.0
    return skin, warm + coat * (skin - warm), warm + rng.uniform(0.5, 0.8) * (skin - warm)


def _foot(x: float, z: float, radius: float) -> np.ndarray:
    return np.array(
        [[x - radius, 0, z], [x, 0, z - radius], [x + radius, 0, z], [x, 0, z + radius]]
    )


def paint_person(
    canvas: Canvas,
    rng: np.random.Generator,
    conditions: Conditions,
    x: float,
    z: float,
    walking: bool,
    umbrella: bool = False,
) -> None:
    """Paints one person, on the move or standing, seen from the side or from the front, maybe under an umbrella."""
    height = rng.uniform(1.55, 1.88) if rng.random() < 0.9 else rng.uniform(1.1, 1.4)
    top, bottom, word = _clothes(rng)
    skin, upper, lower = _body_heat(rng, conditions)
    canvas.ground(canvas.contact, _foot(x, z, 0.28), 170)
    if conditions.sunlight.max() > 0:
        cast_shadow(canvas, conditions, _foot(x, z, 0.2), height)
    canvas.begin("person", z, word, "walking" if walking else "standing")
    s = canvas.sprite(x, z)
    person = canvas.current
    side = 1.0 if rng.random() < 0.5 else -1.0
    sideways = walking and rng.random() < 0.65
    swing = rng.uniform(0.25, 0.5) * rng.choice([-1.0, 1.0]) if sideways else 0.0
    h = height
    flesh = _SKIN[int(rng.integers(4))]
    legs = _legs(h, swing, side, sideways)
    shoe = (26, 24, 24)
    for leg, shade in zip(legs, (0.75, 1.0), strict=True):
        s.line(leg, 0.085 * h, tone(bottom, shade), lower - 0.6 * (shade < 1))
        end = leg[-1]
        s.line(
            [end, (end[0] + (side * 0.07 if sideways else 0) * h, end[1] - 0.005)],
            0.05 * h,
            shoe,
            lower - 3,
        )
    width = 0.085 if sideways else 0.125
    arm = 0.05 * h
    hands = []
    for sign in (-1.0, 1.0):
        shoulder = (sign * (0.02 if sideways else width + 0.01) * h, 0.8 * h)
        reach = -sign * swing * 0.5 * side if sideways else sign * 0.03
        elbow = (shoulder[0] + reach * 0.35 * h, 0.64 * h)
        hand = (shoulder[0] + (reach * 0.85 + (0.06 * side if sideways else 0)) * h, 0.5 * h)
        hands.append((shoulder, elbow, hand))
    s.line(hands[0], arm, tone(top, 0.7), upper - 0.8)
    s.circle(hands[0][2], 0.028 * h, flesh, skin - 1.5)
    s.polygon(
        [(-width * h, 0.82 * h), (-width * 0.9 * h, 0.49 * h), (width * 0.9 * h, 0.49 * h), (width * h, 0.82 * h), (0.04 * h, 0.855 * h), (-0.04 * h, 0.855 * h)],
        top, upper,
    )  # fmt: skip
    s.polygon([(-width * h, 0.82 * h), (-width * 0.9 * h, 0.49 * h), (-width * 0.3 * h, 0.49 * h), (-width * 0.3 * h, 0.83 * h)], tone(top, 0.78), upper - 0.5)  # fmt: skip
    if rng.random() < 0.3:  # a pack or bag shields the body's heat
        bag = _DARK[int(rng.integers(4))]
        if sideways:
            s.ellipse(
                (-side * 0.12 * h, 0.7 * h), (0.065 * h, 0.11 * h), 0, bag, conditions.air + 2
            )
        else:
            s.ellipse((0, 0.69 * h), (0.095 * h, 0.12 * h), 0, bag, conditions.air + 2)
    s.line(hands[1], arm, tone(top, 0.92), upper - 0.3)
    s.circle(hands[1][2], 0.028 * h, flesh, skin - 1.0)
    _head(
        s,
        rng,
        h,
        flesh,
        skin,
        conditions,
        side if sideways else 0.0,
        (0.02 * side * h if sideways else 0.0),
    )
    if umbrella:
        _umbrella(canvas, rng, conditions, s, z, h)
        canvas.resume(person)


def _legs(h, swing, side, sideways):
    hip = 0.5 * h
    legs = []
    for sign in (-1.0, 1.0):
        if sideways:
            angle = sign * swing
            bend = 0.35 if sign * swing * side < 0 else 0.05
            knee = (np.sin(angle) * 0.24 * h, hip - np.cos(angle) * 0.24 * h)
            lower = angle - side * bend
            foot = (
                knee[0] + np.sin(lower) * 0.24 * h,
                max(knee[1] - np.cos(lower) * 0.24 * h, 0.015 * h),
            )
            legs.append([(0.0, hip), knee, foot])
        else:
            legs.append(
                [(sign * 0.05 * h, hip), (sign * 0.055 * h, 0.27 * h), (sign * 0.06 * h, 0.02 * h)]
            )
    return legs


def _head(s: Sprite, rng, h, flesh, skin, conditions, side, shift):
    hair = ((24, 20, 18), (60, 42, 28), (120, 92, 60), (150, 148, 146))[int(rng.integers(4))]
    covered = conditions.air + 0.55 * (skin - conditions.air)
    s.line([(shift * 0.5, 0.83 * h), (shift, 0.88 * h)], 0.055 * h, tone(flesh, 0.85), skin)
    s.ellipse((shift, 0.93 * h), (0.052 * h, 0.068 * h), 0, hair, covered)
    if side or rng.random() < 0.5:  # otherwise the back of the head
        s.ellipse((shift + side * 0.016 * h, 0.92 * h), (0.04 * h, 0.052 * h), 0, flesh, skin + 0.8)


def _umbrella(canvas, rng, conditions, s, z, h):
    names = ("black", "red", "blue", "white", "yellow")
    name = names[int(rng.integers(5))]
    rgb = COLOURS[name]
    canvas.begin("umbrella", z, name)
    heat = conditions.temperature("umbrella")
    s.line([(0.08 * h, 0.66 * h), (0.05 * h, 1.22 * h)], 0.02, (70, 70, 72), heat)
    turn = np.linspace(0, np.pi, 13)
    arc = np.stack([0.05 * h + 0.56 * np.cos(turn), 1.0 * h + 0.36 * np.sin(turn)], 1)
    s.polygon(arc, rgb, heat)
    for a in (0.2, 0.6):
        half = arc[(turn >= a * np.pi) & (turn <= (a + 0.22) * np.pi)]
        s.polygon(np.vstack([half, [(0.05 * h, 1.0 * h)]]), tone(rgb, 0.78), heat + 0.8)


def _bicycle(s: Sprite, rng, side: float, heat: float, tyre: float) -> None:
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
    _bicycle(canvas.sprite(x, z), rng, rng.choice([-1.0, 1.0]), heat, heat + 1.0)


def paint_cyclist(canvas: Canvas, rng, conditions: Conditions, x: float, z: float) -> None:
    """Paints a person riding a bicycle, from the side, from behind or head on."""
    top, bottom, word = _clothes(rng)
    skin, upper, lower = _body_heat(rng, conditions)
    flesh = _SKIN[int(rng.integers(4))]
    canvas.ground(canvas.contact, _foot(x, z, 0.5), 150)
    if conditions.sunlight.max() > 0:
        cast_shadow(canvas, conditions, _foot(x, z, 0.4), 1.6)
    canvas.begin("cyclist", z, word, "riding")
    s = canvas.sprite(x, z)
    heat = conditions.temperature("bicycle")
    side = float(rng.choice([-1.0, 1.0]))
    exertion = rng.uniform(0.5, 2.5)
    if rng.random() < 0.6:
        _bicycle(s, rng, side, heat, heat + 1.5)
        phase = rng.uniform(0, np.pi)
        for turn, shade in ((phase + np.pi, 0.7), (phase, 1.0)):
            pedal = (-0.08 * side + 0.16 * np.cos(turn), 0.3 + 0.16 * np.sin(turn))
            knee = (0.12 * side + 0.05 * np.cos(turn), 0.68 + 0.1 * np.sin(turn))
            s.line([(-0.2 * side, 0.92), knee, pedal], 0.14, tone(bottom, shade), lower + exertion)
            s.line([pedal, (pedal[0] + 0.12 * side, pedal[1])], 0.08, (26, 24, 24), lower - 2)
        s.line([(-0.18 * side, 0.98), (0.08 * side, 1.42)], 0.26, top, upper + exertion)
        s.line(
            [(0.1 * side, 1.4), (0.25 * side, 1.16), (0.46 * side, 0.98)],
            0.085,
            tone(top, 0.85),
            upper,
        )
        s.circle((0.46 * side, 0.98), 0.05, flesh, skin - 1)
        head = (0.16 * side, 1.63)
    else:
        s.line([(0, 0.03), (0, 0.66)], 0.06, (24, 24, 25), heat + 1.5)
        s.line([(-0.28, 0.98), (0.28, 0.98)], 0.04, (60, 60, 62), heat)
        for sign, lift in ((-1, 0.0), (1, 0.18)):
            s.line(
                [(sign * 0.1, 0.95), (sign * 0.14, 0.62 + lift), (sign * 0.1, 0.2 + lift)],
                0.14,
                bottom,
                lower + exertion,
            )
        s.polygon(
            [(-0.22, 1.42), (-0.16, 0.9), (0.16, 0.9), (0.22, 1.42), (0.08, 1.5), (-0.08, 1.5)],
            top,
            upper + exertion,
        )
        for sign in (-1, 1):
            s.line(
                [(sign * 0.22, 1.38), (sign * 0.3, 1.16), (sign * 0.26, 0.98)],
                0.09,
                tone(top, 0.82),
                upper,
            )
        head = (0.0, 1.63)
    s.line([(head[0] - 0.03 * side, head[1] - 0.16), head], 0.1, flesh, skin)
    s.circle(head, 0.115, flesh, skin + 0.8)
    helmet = list(COLOURS.values())[int(rng.integers(5))]
    s.ellipse((head[0] - 0.01 * side, head[1] + 0.05), (0.125, 0.09), 0, helmet, conditions.air + 6)
    if conditions.dark and rng.random() < 0.6:
        s.circle((0.42 * side, 0.9), 0.05, (255, 246, 220), heat + 3, 230)
        canvas.lamps.append(Lamp((x + 0.5 * side, 0.9, z - 0.2), (0.35, 0.34, 0.3), narrowness=0.8))


def paint_motorcycle(canvas: Canvas, rng, conditions: Conditions, x: float, z: float) -> None:
    """Paints a parked motorcycle or scooter, seen from the side; some have a warm engine."""
    warm = 18.0 if rng.random() < 0.4 else 0.0
    canvas.ground(canvas.contact, _foot(x, z, 0.7), 190)
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


def paint_dog(canvas: Canvas, rng, conditions: Conditions, x: float, z: float) -> None:
    """Paints a dog, seen from the side."""
    canvas.ground(canvas.contact, _foot(x, z, 0.35), 150)
    if conditions.sunlight.max() > 0:
        cast_shadow(canvas, conditions, _foot(x, z, 0.25), 0.5)
    coat = ((60, 44, 30), (28, 26, 25), (168, 132, 90), (206, 200, 190))[int(rng.integers(4))]
    canvas.begin("dog", z)
    size = rng.uniform(0.8, 1.25)
    s = canvas.sprite(x, z)
    s = Sprite(canvas, s.foot, s.scale * size)
    fur = conditions.air + 0.5 * (30.0 - conditions.air)
    side = float(rng.choice([-1.0, 1.0]))
    for u, lean in ((-0.26, -0.06), (-0.16, 0.06), (0.2, -0.05), (0.28, 0.07)):
        s.line([(u, 0.32), (u + lean, 0.02)], 0.07, tone(coat, 0.8), fur + 1.5)
    s.ellipse((0, 0.42), (0.36, 0.14), 0, coat, fur)
    s.line([(-0.32 * side, 0.46), (-0.5 * side, 0.62)], 0.045, coat, fur - 2)
    s.line([(0.26 * side, 0.46), (0.4 * side, 0.62)], 0.14, coat, fur + 1)
    s.ellipse((0.44 * side, 0.64), (0.13, 0.085), 0, coat, fur + 4)
    s.circle((0.53 * side, 0.61), 0.05, tone(coat, 0.7), 29.0)
