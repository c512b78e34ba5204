"""The ground: roads, sidewalks, paths and grass, curbs and what is painted on roads."""

import numpy as np

from tfds_builders.entity_scenes.canvas import GROUND_REACH, Canvas, Rgb, tone
from tfds_builders.entity_scenes.conditions import Conditions
from tfds_builders.entity_scenes.places import Plan

FAR = 160.0


def paint_ground(canvas: Canvas, rng, conditions: Conditions, plan: Plan) -> None:
    """Paints the ground: what is everywhere, then the path, or the road with its markings."""
    near = 0.6 * canvas.camera.near()
    grass = ((86, 104, 52), (112, 112, 60), (134, 122, 78))[int(rng.integers(3))]
    colours = {
        "grass": tone(grass, rng.uniform(0.8, 1.1)),
        "sidewalk": tone((152, 148, 140), rng.uniform(0.85, 1.1)),
        "road": tone((94, 95, 98), rng.uniform(0.75, 1.3)),
    }
    base = next(kind for kind in ("grass", "sidewalk", "road") if plan.has(kind))
    heat = conditions.temperature(base) + rng.normal(0, 0.8)
    paint_surface(canvas, base, (-400, 400), (near, GROUND_REACH), colours[base], heat)
    if plan.open_country:
        if plan.has("path"):
            earth = ((166, 158, 142), (150, 128, 98), (128, 126, 124))[int(rng.integers(3))]
            heat = conditions.temperature("path") + rng.normal(0, 0.8)
            paint_surface(canvas, "path", (plan.left, plan.right), (near, FAR), earth, heat)
        return
    if plan.has("sidewalk") and base == "grass":
        heat = conditions.temperature("sidewalk") + rng.normal(0, 0.8)
        for sides in (
            (plan.left - plan.walkway, plan.left),
            (plan.right, plan.right + plan.walkway),
        ):
            paint_surface(canvas, "sidewalk", sides, (near, FAR), colours["sidewalk"], heat)
    heat = conditions.temperature("road") + rng.normal(0, 1.0)
    asphalt = colours["road"]
    paint_surface(canvas, "road", (plan.left, plan.right), (near, FAR), asphalt, heat)
    road = canvas.current
    lanes = [plan.centre - 1.7, plan.centre + 1.7]
    if plan.half > 6:
        lanes = [plan.centre + 3.4 * k for k in (-1.5, -0.5, 0.5, 1.5)]
    paint_road_wear(canvas, rng, asphalt, heat, lanes, road)
    if plan.name == "junction":
        canvas.resume(road)
        canvas.at(plan.cross + 4)
        canvas.face(strip(canvas, -90, 90, plan.cross, plan.cross + 9), asphalt, heat)
    if plan.has("curb"):
        stone = (
            (176, 60, 50) if rng.random() < 0.15 else tone((176, 172, 164), rng.uniform(0.8, 1.1))
        )
        stone_heat = conditions.temperature("curb") + rng.normal(0, 1.0)
        for x in (min(plan.left, -0.3), max(plan.right, 0.3)):
            paint_curb(canvas, x, stone, stone_heat, near)
    painted = heat - (3.0 * conditions.sunny + rng.uniform(0.0, 0.5))
    if plan.has("lane marking"):
        lines = [(plan.centre, rng.random() < 0.5)]
        if plan.half > 6:
            lines += [(plan.centre - 3.4, True), (plan.centre + 3.4, True)]
        if rng.random() < 0.6:
            lines += [(plan.left + 0.35, False), (plan.right - 0.35, False)]
        start = plan.cross + 12 if plan.name == "junction" and rng.random() < 0.3 else near
        paint_lane_markings(canvas, rng, painted, lines, start)
        if rng.random() < 0.3:
            paint_arrow(canvas, lanes[int(rng.integers(len(lanes)))], rng.uniform(5, 9), painted)
    if plan.has("crosswalk"):
        away = rng.uniform(1.2, 2.2) * max(near / 0.6, 4.0)
        z = plan.cross - 5.0 if plan.name == "junction" else away
        paint_crosswalk(canvas, rng, plan.left, plan.right, z, painted)


def depths(near: float, far: float, count: int) -> np.ndarray:
    """Depths in metres that are evenly spaced on the image."""
    return 1.0 / np.linspace(1.0 / max(near, 0.5), 1.0 / far, count)


def strip(canvas: Canvas, x0: float, x1: float, z0: float, z1: float, y: float = 0.0) -> np.ndarray:
    """A band on the ground, world [N, 3], with enough corners to follow a bend."""
    z = depths(max(z0, 0.6 * canvas.camera.near()), z1, 16 if z1 - z0 > 6 else 3)
    left = np.stack([np.full_like(z, x0), np.full_like(z, y), z], 1)
    right = np.stack([np.full_like(z, x1), np.full_like(z, y), z], 1)
    return np.vstack([left, right[::-1]])


def paint_surface(
    canvas: Canvas,
    kind: str,
    x: tuple[float, float],
    z: tuple[float, float],
    rgb: Rgb,
    heat: float,
) -> None:
    """Paints a flat band of ground between two x and two depths."""
    canvas.begin(kind, 0.5 * (z[0] + min(z[1], 40.0)))
    canvas.face(strip(canvas, *x, *z), rgb, heat)


def paint_road_wear(
    canvas: Canvas, rng, rgb: Rgb, heat: float, lanes: list[float], road: int
) -> None:
    """Paints wheel tracks, patches and manholes on a road: seen a little in both modalities."""
    canvas.resume(road)
    canvas.at(20.0)
    for x in lanes:
        for side in (-0.8, 0.8):
            band = strip(canvas, x + side - 0.25, x + side + 0.25, 0.5, FAR)
            canvas.face(band, tone(rgb, rng.uniform(0.92, 0.98)), heat + rng.uniform(0.1, 0.6))
    for _ in range(int(rng.integers(0, 5))):
        x, z = rng.choice(lanes) + rng.normal(0, 0.8), rng.uniform(4, 30)
        w, d = rng.uniform(0.4, 1.8), rng.uniform(0.6, 4.0)
        patch = strip(canvas, x - w / 2, x + w / 2, z, z + d)
        canvas.face(patch, tone(rgb, rng.uniform(0.78, 1.12)), heat + rng.normal(0, 0.8))
    if rng.random() < 0.5:
        x, z = rng.choice(lanes) + rng.normal(0, 0.4), rng.uniform(5, 20)
        turn = np.linspace(0, 2 * np.pi, 16)
        lid = np.stack([x + 0.36 * np.cos(turn), np.zeros(16), z + 0.36 * np.sin(turn)], 1)
        canvas.face(lid, tone(rgb, 0.6), heat + rng.normal(0, 2.0))


def paint_lane_markings(
    canvas: Canvas, rng, heat: float, lines: list[tuple[float, bool]], z0: float
) -> None:
    """Paints lane markings at each (x, dashed)."""
    yellow = rng.random() < 0.3
    rgb = tone((226, 190, 70) if yellow else (222, 222, 216), rng.uniform(0.75, 1.0))
    canvas.begin("lane marking", 15.0, "yellow" if yellow else "white")
    canvas.at(15.0)
    for x, dashed in lines:
        if not dashed:
            canvas.face(strip(canvas, x - 0.08, x + 0.08, z0, FAR), rgb, heat)
            continue
        offset = rng.uniform(0, 6)
        for k in range(16):
            z = offset + 6.0 * k
            if z + 3.0 > max(z0, canvas.camera.near() * 0.7):
                canvas.face(strip(canvas, x - 0.09, x + 0.09, max(z, z0), z + 3.0), rgb, heat)


def paint_arrow(canvas: Canvas, x: float, z: float, heat: float) -> None:
    """Paints a straight-on arrow on the road, as part of the lane marking painted before."""
    shape = [(-0.09, 0), (0.09, 0), (0.09, 2.2), (0.38, 2.2), (0, 3.8), (-0.38, 2.2), (-0.09, 2.2)]
    points = np.array([[x + u, 0.0, z + v] for u, v in shape])
    canvas.face(points, (205, 205, 198), heat)


def paint_crosswalk(canvas: Canvas, rng, x0: float, x1: float, z: float, heat: float) -> None:
    """Paints the stripes of a crosswalk, 3.5 m deep, over a road from x0 to x1."""
    canvas.begin("crosswalk", z + 1.5, "white")
    rgb = tone((224, 224, 218), rng.uniform(0.75, 1.0))
    for x in np.arange(x0 + 0.3, x1 - 0.4, 0.95):
        canvas.face(strip(canvas, x, x + 0.48, z, z + 3.5), rgb, heat)


def paint_curb(canvas: Canvas, x: float, rgb: Rgb, heat: float, z0: float) -> None:
    """Paints a curb along the road at x: the riser and the top of the stones."""
    canvas.begin("curb", 12.0)
    z = depths(max(z0, 0.6 * canvas.camera.near()), FAR, 16)
    inner, outer = x, x + 0.22 * np.sign(x)
    low = np.stack([np.full_like(z, inner), np.zeros_like(z), z], 1)
    high = np.stack([np.full_like(z, inner), np.full_like(z, 0.14), z], 1)
    back = np.stack([np.full_like(z, outer), np.full_like(z, 0.14), z], 1)
    canvas.face(np.vstack([high, back[::-1]]), rgb, heat)
    canvas.face(np.vstack([low, high[::-1]]), tone(rgb, 0.72), heat + 1.0)
