"""Buildings, houses, walls, fences and gates."""

import numpy as np

from tfds_builders.entity_scenes.canvas import Canvas, Rgb, tone
from tfds_builders.entity_scenes.conditions import Conditions
from tfds_builders.entity_scenes.surfaces import depths
from tfds_builders.entity_scenes.vehicles import cast_shadow

_FACADES: dict[str, Rgb] = {
    "brick": (150, 88, 70),
    "white": (206, 202, 192),
    "beige": (186, 164, 126),
    "grey": (138, 138, 136),
    "brown": (120, 92, 72),
    "pink": (186, 132, 120),
}


def _quads(p0, p1, u, v) -> np.ndarray:
    """Rectangles on an upright face from ground point p0 to p1.

    Args:
      p0: (x, z) where u = 0.
      p1: (x, z) where u = 1.
      u: float [M, 2], from and to along the face, 0-1.
      v: float [M, 2], from and to above the ground, in metres.

    Returns:
      World float [M, 4, 3].
    """
    u4 = u[:, (0, 1, 1, 0)]
    v4 = v[:, (0, 0, 1, 1)]
    x = p0[0] + (p1[0] - p0[0]) * u4
    z = p0[1] + (p1[1] - p0[1]) * u4
    return np.stack([x, v4, z], -1)


def _ribbon(canvas: Canvas, p0, p1, low: float, high: float, rgb: Rgb, heat: float) -> None:
    """An upright face, in pieces, so that it bends with the world and knows its depth."""
    z0, z1 = max(p0[1], 0.6), max(p1[1], 0.6)
    count = 8 if abs(z1 - z0) > 4 else 1
    cut = (depths(z0, z1, count + 1) - z0) / (z1 - z0) if count > 1 else np.array([0.0, 1.0])
    start = (p0[0] + (p1[0] - p0[0]) * (z0 - p0[1]) / (p1[1] - p0[1]), z0) if z0 != p0[1] else p0
    u = np.stack([cut[:-1], cut[1:]], 1)
    quads = _quads(start, (p1[0], z1), u, np.tile([[low, high]], (count, 1)))
    for quad in quads[::-1]:
        canvas.at(float(quad[:, 2].mean()))
        canvas.face(quad, rgb, heat)


def _project_quads(canvas: Canvas, quads: np.ndarray) -> np.ndarray:
    kept = quads[quads[..., 2].min(1) > 0.8]
    return canvas.camera.project(kept.reshape(-1, 3)).reshape(-1, 4, 2)


def _windows(canvas, rng, conditions, p0, p1, rows, pitch, lit_share, size=(0.5, 1.5)) -> None:
    """Windows of one upright face: `rows` are their sills' heights, `pitch` their spacing."""
    length = float(np.hypot(p1[0] - p0[0], p1[1] - p0[1]))
    count = int(np.clip(length / pitch, 1, 14))
    middle = (np.arange(count) + 0.5) / count
    half = 0.5 * size[0] * pitch / max(length, 1e-6)
    u = np.tile(np.stack([middle - half, middle + half], 1), (len(rows), 1))
    v = np.repeat(np.stack([rows, rows + size[1]], 1), count, axis=0)
    quads = _quads(p0, p1, u, v)
    lit = rng.random(len(quads)) < lit_share
    shades = rng.random(len(quads)) < 0.5
    glass = conditions.temperature("window", 0.0)
    canvas.at(0.5 * (max(p0[1], 1) + p1[1]))
    frame = np.array([[-0.06, 0.06]]) * half / 0.5
    canvas.polygons(
        _project_quads(canvas, _quads(p0, p1, u + frame, v + np.array([[-0.12, 0.1]]))),
        (176, 172, 164) if conditions.time == "day" else (120, 116, 110),
        glass + 3.0,
    )
    dark = (
        ((62, 76, 92), (84, 100, 118)) if conditions.time == "day" else ((30, 34, 40), (40, 42, 46))
    )
    for group, rgb in ((~lit & shades, dark[0]), (~lit & ~shades, dark[1])):
        canvas.polygons(_project_quads(canvas, quads[group]), rgb, glass + rng.normal(0, 0.5))
    warm = (255, 214, 140) if rng.random() < 0.7 else (226, 236, 240)
    for group, glow in ((lit & shades, 70), (lit & ~shades, 110)):
        canvas.polygons(_project_quads(canvas, quads[group]), warm, glass + 2.5, glow)


def paint_building(
    canvas: Canvas, rng, conditions: Conditions, x: float, z0: float, z1: float, height: float
) -> None:
    """Paints a building beside the road: its face along x from z0 to z1, and the near end."""
    name = list(_FACADES)[int(rng.integers(len(_FACADES)))]
    rgb = tone(_FACADES[name], rng.uniform(0.85, 1.1))
    side = float(np.sign(x))
    depth_x = x + side * rng.uniform(9, 16)
    _block_shadow(canvas, conditions, x, depth_x, z0, z1, height)
    normal_side, normal_front = (-side, 0.0, 0.0), (0.0, 0.0, -1.0)
    heat = conditions.temperature("building", 0.0) + rng.normal(0, 1.2)
    storeys = max(int(height / 3.2), 1)
    rows = 1.0 + 3.2 * np.arange(storeys)
    pitch = rng.uniform(2.4, 4.0)
    lit = rng.uniform(0.1, 0.55) if conditions.dark else 0.0
    blind = rng.random() < 0.35  # some have hardly a window to the road
    shop = list(_FACADES.values())[int(rng.integers(6))] if rng.random() < 0.4 else None
    canvas.begin("building", z0 + 4, name)
    building = canvas.current
    window = None
    for p0, p1, normal in (((depth_x, z0), (x, z0), normal_front), ((x, z0), (x, z1), normal_side)):
        if p0[1] == p1[1] and z0 < 1.5:
            continue
        canvas.resume(building)
        shade = conditions.shade(normal)
        sun = max(float(np.dot(normal, conditions.sun)), 0.0)
        warm = heat + 8.0 * conditions.sunny * sun
        _ribbon(canvas, p0, p1, 0.0, height, tone(rgb, shade), warm)
        _ribbon(canvas, p0, p1, height - 0.5, height, tone(rgb, 0.75 * shade), warm - 1.5)
        _ribbon(canvas, p0, p1, 0.0, 0.6, tone(rgb, 0.6 * shade), warm + 0.8)
        if blind:
            continue
        if window is None:
            canvas.begin("window", z0 + 4, "", "lit" if lit else "")
            window = canvas.current
        canvas.resume(window)
        if shop is None:
            _windows(canvas, rng, conditions, p0, p1, rows, pitch, lit)
            continue
        _windows(canvas, rng, conditions, p0, p1, rows[1:], pitch, lit)
        _windows(canvas, rng, conditions, p0, p1, np.array([0.4]), 4.5, 1.6 * lit, (0.78, 2.1))
        canvas.resume(building)
        _ribbon(canvas, p0, p1, 2.7, 3.15, tone(shop, shade), warm - 1.0)


def paint_skyline(canvas: Canvas, rng, conditions: Conditions) -> None:
    """Paints far blocks along the horizon, as one building."""
    camera = canvas.camera
    canvas.begin("building", 220.0)
    heat = conditions.temperature("building", 0.2) - 1.0
    x = -0.05 * camera.width
    while x < 1.05 * camera.width:
        width = camera.focal * rng.uniform(0.03, 0.12)
        rise = camera.focal * rng.uniform(0.01, 0.075)
        name = list(_FACADES)[int(rng.integers(len(_FACADES)))]
        low = camera.ground_end() + 2
        block = np.array([[x, low], [x, low - rise], [x + width, low - rise], [x + width, low]])
        canvas.polygon(block, tone(_FACADES[name], 0.75), heat + rng.normal(0, 1.0))
        x += width * rng.uniform(0.8, 1.5)


def paint_facade(
    canvas: Canvas, rng, conditions: Conditions, z: float, x0: float, x1: float, height: float
) -> None:
    """Paints a building that closes the view, square to it."""
    name = list(_FACADES)[int(rng.integers(len(_FACADES)))]
    rgb = tone(_FACADES[name], rng.uniform(0.85, 1.1))
    _block_shadow(canvas, conditions, x0, x1, z, z + 10, height)
    canvas.begin("building", z, name)
    normal = (0.0, 0.0, -1.0)
    shade = conditions.shade(normal)
    sun = max(-conditions.sun[2], 0.0)
    heat = (
        conditions.temperature("building", 0.0) + rng.normal(0, 1.2) + 8.0 * conditions.sunny * sun
    )
    _ribbon(canvas, (x0, z), (x1, z), 0.0, height, tone(rgb, shade), heat)
    _ribbon(canvas, (x0, z), (x1, z), height - 0.6, height, tone(rgb, 0.7 * shade), heat - 2.0)
    if rng.random() < 0.25:
        return
    lit = rng.uniform(0.1, 0.55) if conditions.dark else 0.0
    canvas.begin("window", z, "", "lit" if lit else "")
    rows = 1.0 + 3.3 * np.arange(max(int(height / 3.3), 1))
    _windows(canvas, rng, conditions, (x0, z), (x1, z), rows, rng.uniform(2.6, 4.0), lit)


def _block_shadow(canvas, conditions, x0, x1, z0, z1, height):
    foot = np.array([[x0, 0, z0], [x1, 0, z0], [x1, 0, z1], [x0, 0, z1]], np.float64)
    if conditions.sunlight.max() > 0:
        cast_shadow(canvas, conditions, foot, height)


def paint_house(canvas: Canvas, rng, conditions: Conditions, x: float, z: float) -> None:
    """Paints a house, near corner at (x, z): gable to the viewer, eaves to the road."""
    side = float(np.sign(x)) or 1.0
    width, length = rng.uniform(6, 9), rng.uniform(7, 12)
    eaves, ridge = rng.uniform(2.7, 3.4), rng.uniform(1.6, 2.8)
    if rng.random() < 0.35:
        eaves += 2.7
    name = ("white", "beige", "grey", "brick")[int(rng.integers(4))]
    rgb = tone(_FACADES[name], rng.uniform(0.9, 1.1))
    _block_shadow(canvas, conditions, x, x + side * width, z, z + length, eaves + 0.5 * ridge)
    heat = conditions.temperature("house", 0.0) + rng.normal(0, 1.0)
    canvas.begin("house", z, name)
    house = canvas.current
    sun_front, sun_side = max(-conditions.sun[2], 0.0), max(-side * conditions.sun[0], 0.0)
    far_x, middle = x + side * width, x + side * width / 2
    front = tone(rgb, conditions.shade((0, 0, -1)))
    flank = tone(rgb, conditions.shade((-side, 0, 0)))
    flank_heat = heat + 7 * conditions.sunny * sun_side
    _ribbon(canvas, (x, z), (x, z + length), 0, eaves, flank, flank_heat)
    canvas.at(z)
    gable = np.array(
        [[x, 0, z], [far_x, 0, z], [far_x, eaves, z], [middle, eaves + ridge, z], [x, eaves, z]]
    )
    canvas.face(gable, front, heat + 7 * conditions.sunny * sun_front)
    slope = np.array([-side * ridge, width / 2, 0.0]) / np.hypot(ridge, width / 2)
    roof_rgb = ((120, 62, 48), (84, 80, 78), (104, 84, 66))[int(rng.integers(3))]
    eave_x, eave_y, top_y = x - side * 0.4, eaves - 0.2, eaves + ridge
    roof = np.array(
        [
            [eave_x, eave_y, z - 0.4],
            [middle, top_y, z - 0.4],
            [middle, top_y, z + length],
            [eave_x, eave_y, z + length],
        ]
    )
    roof_heat = conditions.temperature("roof", float(np.dot(slope, conditions.sun)))
    canvas.face(roof, tone(roof_rgb, conditions.shade(slope)), roof_heat)
    rim = np.array([[far_x + side * 0.4, eaves - 0.2, z - 0.4], [middle, eaves + ridge, z - 0.4]])
    canvas.line(
        canvas.camera.project(rim), 0.25 * canvas.camera.scale(z), tone(roof_rgb, 0.8), roof_heat
    )
    rim = np.array([[x - side * 0.4, eaves - 0.2, z - 0.4], [middle, eaves + ridge, z - 0.4]])
    canvas.line(
        canvas.camera.project(rim), 0.25 * canvas.camera.scale(z), tone(roof_rgb, 0.8), roof_heat
    )
    door = _quads((x, z), (far_x, z), np.array([[0.42, 0.56]]), np.array([[0.0, 2.05]]))[0]
    canvas.face(door, tone((96, 60, 44), conditions.shade((0, 0, -1))), heat - 0.8)
    lit = 0.45 if conditions.dark else 0.0
    canvas.begin("window", z, "", "lit" if lit else "")
    rows = np.array([1.0]) if eaves < 4 else np.array([1.0, 3.7])
    _windows(canvas, rng, conditions, (x, z), (far_x, z), rows, width / 3, lit, (0.42, 1.2))
    _windows(canvas, rng, conditions, (x, z), (x, z + length), rows, 3.2, lit, (0.4, 1.2))
    canvas.resume(house)
    canvas.face(door, tone((96, 60, 44), conditions.shade((0, 0, -1))), heat - 0.8)


def paint_wall(canvas: Canvas, rng, conditions: Conditions, x: float, z0: float, z1: float) -> None:
    """Paints a garden or retaining wall along the road."""
    height = rng.uniform(1.0, 2.4)
    rgb = tone(
        ((150, 142, 130), (168, 120, 96), (188, 180, 164))[int(rng.integers(3))],
        rng.uniform(0.85, 1.1),
    )
    side = float(np.sign(x))
    _block_shadow(canvas, conditions, x, x + side * 0.3, z0, z1, height)
    canvas.begin("wall", z0 + 5)
    normal = (-side, 0.0, 0.0)
    heat = conditions.temperature(
        "wall", max(float(np.dot(normal, conditions.sun)), 0.0)
    ) + rng.normal(0, 1.0)
    _ribbon(canvas, (x, z0), (x, z1), 0.0, height, tone(rgb, conditions.shade(normal)), heat)
    _ribbon(canvas, (x, z0), (x, z1), height - 0.15, height, tone(rgb, 1.1), heat - 1.0)


def paint_fence(
    canvas: Canvas, rng, conditions: Conditions, x: float, z0: float, z1: float
) -> None:
    """Paints a fence of posts, rails and slats along the road."""
    height = rng.uniform(0.9, 1.6)
    rgb = ((120, 92, 66), (206, 204, 198), (60, 62, 64), (150, 150, 150))[int(rng.integers(4))]
    z0 = max(z0, canvas.camera.near() * 0.8)
    canvas.begin("fence", 0.5 * (z0 + z1))
    heat = conditions.temperature("fence") + rng.normal(0, 0.8)
    shade = tone(rgb, conditions.shade((-float(np.sign(x)), 0, 0)))
    for level in (0.35, 0.9):
        _ribbon(canvas, (x, z0), (x, z1), level * height - 0.05, level * height + 0.05, shade, heat)
    slats = rng.random() < 0.6
    step = 0.45 if slats else 1.9
    z = np.arange(z0, min(z1, z0 + 60 * step), step)[:60]
    u0 = (z - z0) / (z1 - z0)
    thick = (0.09 if slats else 0.14) / (z1 - z0)
    u = np.stack([u0, u0 + (2.2 if slats else 1.0) * thick], 1)
    v = np.tile([[0.0, height]], (len(z), 1))
    canvas.polygons(_project_quads(canvas, _quads((x, z0), (x, z1), u, v)), shade, heat)


def paint_gate(
    canvas: Canvas, rng, conditions: Conditions, x: float, z: float, width: float
) -> None:
    """Paints a barred gate between two pillars, square to the view."""
    canvas.begin("gate", z)
    s = canvas.sprite(x, z)
    heat = conditions.temperature("gate") + rng.normal(0, 0.8)
    half = width / 2
    iron = ((40, 42, 44), (70, 54, 40), (34, 60, 46))[int(rng.integers(3))]
    shade = conditions.shade((0, 0, -1))
    for u in np.arange(-half, half + 0.01, 0.3):
        s.line([(u, 0.1), (u, 1.7)], 0.06, tone(iron, shade), heat)
    for v in (0.15, 0.9, 1.65):
        s.line([(-half, v), (half, v)], 0.08, tone(iron, shade), heat)
    stone = tone((164, 154, 138), shade)
    for u in (-half, half):
        s.rectangle(u - 0.25, 0, u + 0.25, 2.0, stone, conditions.temperature("wall"))
        s.rectangle(
            u - 0.32, 2.0, u + 0.32, 2.15, tone(stone, 0.85), conditions.temperature("wall")
        )
