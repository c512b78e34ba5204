"""People, cyclists, dogs and umbrellas."""

import numpy as np

from tfds_builders.entity_scenes.canvas import Canvas, Lamp, Sprite, tone
from tfds_builders.entity_scenes.conditions import Conditions
from tfds_builders.entity_scenes.cycles import draw_bicycle
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
    bottom = (*_DARK, (90, 92, 100), (112, 100, 82))[int(rng.integers(6))]
    return tone(top, rng.uniform(0.85, 1.15)), bottom, word


def _body_heat(rng: np.random.Generator, conditions: Conditions) -> tuple[float, float, float]:
    """Temperatures of skin, upper and lower clothing."""
    skin = 31.0 - 0.12 * max(20.0 - conditions.air, 0.0) + rng.normal(0, 0.6)
    coat = rng.uniform(0.3, 0.65)
    warm = conditions.air + conditions.sunny * 5.0
    return skin, warm + coat * (skin - warm), warm + rng.uniform(0.4, 0.75) * (skin - warm)


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
    """Paints a person, walking or standing, from the side or the front, maybe with an umbrella."""
    h = rng.uniform(1.55, 1.88) if rng.random() < 0.9 else rng.uniform(1.1, 1.4)
    top, bottom, word = _clothes(rng)
    skin, upper, lower = _body_heat(rng, conditions)
    canvas.ground(canvas.contact, _foot(x, z, 0.28), 170)
    if conditions.sunlight.max() > 0:
        cast_shadow(canvas, conditions, _foot(x, z, 0.2), h)
    canvas.begin("person", z, word, "walking" if walking else "standing")
    person = canvas.current
    foot = canvas.sprite(x, z)
    s = Sprite(canvas, foot.foot, foot.scale * h)  # from here on, one unit is the body's height
    side = 1.0 if rng.random() < 0.5 else -1.0
    sideways = walking and rng.random() < 0.65
    swing = rng.uniform(0.25, 0.5) * rng.choice([-1.0, 1.0]) if sideways else 0.0
    flesh = _SKIN[int(rng.integers(4))]
    toe = 0.05 * side if sideways else 0.0
    for leg, shade in zip(_legs(swing, side, sideways), (0.75, 1.0), strict=True):
        hip, knee, heel = leg
        heat = lower - 0.6 * (shade < 1)
        s.line([hip, knee], 0.085, tone(bottom, shade), heat)
        s.line([knee, heel], 0.062, tone(bottom, 0.95 * shade), heat - 0.5)
        s.line([heel, (heel[0] + toe, heel[1] - 0.005)], 0.042, (26, 24, 24), heat - 3)
    far_arm, near_arm = _arms(swing, side, sideways)
    _arm(s, far_arm, tone(top, 0.68), flesh, upper - 0.8, skin)
    chest, waist, hip = (0.075, 0.07, 0.075) if sideways else (0.115, 0.083, 0.095)
    left = [(-0.035, 0.855), (-chest, 0.815), (-waist, 0.62), (-hip, 0.47)]
    right = [(-u, v) for u, v in reversed(left)]
    s.polygon(left + right, top, upper)
    inner = [(-0.3 * hip, 0.47), (-0.3 * chest, 0.84)]
    s.polygon(left[1:] + inner, tone(top, 0.8), upper - 0.5)
    if rng.random() < 0.3:  # a pack shields the body's heat
        pack = _DARK[int(rng.integers(4))]
        place, size = ((-0.12 * side, 0.7), (0.06, 0.1)) if sideways else ((0, 0.7), (0.08, 0.105))
        s.ellipse(place, size, 0, pack, conditions.air + 0.25 * (upper - conditions.air))
    _arm(s, near_arm, tone(top, 0.9), flesh, upper - 0.3, skin)
    _head(s, rng, flesh, skin, conditions, side if sideways else 0.0)
    if umbrella:
        _umbrella(canvas, rng, conditions, foot, z, h)
        canvas.resume(person)


def _arm(s: Sprite, joints, sleeve, flesh, heat: float, skin: float) -> None:
    shoulder, elbow, hand = joints
    s.line([shoulder, elbow], 0.05, sleeve, heat)
    s.line([elbow, hand], 0.04, sleeve, heat - 0.4)
    s.circle(hand, 0.022, flesh, skin - 1.0)


def _arms(swing: float, side: float, sideways: bool):
    """Shoulder, elbow and hand of the far and of the near arm, in body heights."""
    arms = []
    for sign in (-1.0, 1.0):
        if sideways:
            reach = -sign * swing * side * 0.5
            arms.append(((0.0, 0.795), (0.4 * reach, 0.635), (0.85 * reach + 0.05 * side, 0.49)))
        else:
            arms.append(((0.1 * sign, 0.79), (0.135 * sign, 0.635), (0.12 * sign, 0.475)))
    return arms


def _legs(swing: float, side: float, sideways: bool):
    """Hip, knee and heel of the far and of the near leg, in body heights."""
    legs = []
    for sign in (-1.0, 1.0):
        if sideways:
            angle = sign * swing
            knee = (np.sin(angle) * 0.24, 0.5 - np.cos(angle) * 0.24)
            shin = angle - side * (0.35 if angle * side < 0 else 0.05)
            heel = (knee[0] + np.sin(shin) * 0.24, max(knee[1] - np.cos(shin) * 0.24, 0.015))
            legs.append([(0.0, 0.49), knee, heel])
        else:
            legs.append([(0.047 * sign, 0.48), (0.055 * sign, 0.27), (0.058 * sign, 0.025)])
    return legs


def _head(s: Sprite, rng, flesh, skin: float, conditions: Conditions, side: float) -> None:
    hair = ((24, 20, 18), (60, 42, 28), (120, 92, 60), (150, 148, 146))[int(rng.integers(4))]
    shift = 0.02 * side
    covered = conditions.air + 0.6 * (skin - conditions.air)
    s.line([(0.5 * shift, 0.84), (shift, 0.88)], 0.045, tone(flesh, 0.85), skin)
    s.ellipse((shift, 0.935), (0.047, 0.064), 0, hair, covered)
    if side or rng.random() < 0.5:  # otherwise the back of the head
        s.ellipse((shift + 0.014 * side, 0.922), (0.037, 0.05), 0, flesh, skin + 0.8)


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
        draw_bicycle(s, rng, side, heat, heat + 1.5)
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
