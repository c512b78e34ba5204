"""From painted layers to two images: light, haze, glare and noise; radiance, optics and gain."""

import cv2
import numpy as np

from tfds_builders.entity_scenes.canvas import Camera, Lamp, Layers
from tfds_builders.entity_scenes.things import NUMBERS, TABLE
from tfds_builders.entity_scenes.weather import Weather

# Linear RGB of a cloud's brightest part.
_CLOUD_LIGHT = {
    "day": (0.95, 0.96, 0.98),
    "dusk": (0.42, 0.27, 0.24),
    "night": (0.007, 0.0065, 0.007),
}
_TO_LINEAR = ((np.arange(256) / 255.0) ** 2.2).astype(np.float32)
_TEXTURE = np.array([thing.texture for thing in TABLE], np.float32)
_GROUND = np.array([thing.zone == "ground" for thing in TABLE])


def expose(
    rng: np.random.Generator,
    layers: Layers,
    camera: Camera,
    weather: Weather,
    lamps: list[Lamp],
    cloudy: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Takes the visible image, uint8 [H, W, 3] RGB, and the infrared image, uint8 [H, W, 1].

    The camera has the size of the images. If `cloudy`, single clouds cover the sky: there the kind
    in `layers` becomes "cloud".
    """
    shape = height, width = layers.kind.shape
    sky, ground = layers.kind == NUMBERS["sky"], _GROUND[layers.kind]
    # World points of all pixels, from their columns and rows as slopes.
    across = ((np.arange(width) - camera.centre) / camera.focal).astype(np.float32)
    down = ((np.arange(height) - camera.horizon) / camera.focal).astype(np.float32)[:, None]
    plane = np.minimum(camera.eye / np.maximum(down, 1e-4), 250.0)
    depth = np.where(ground, plane, layers.depth)
    x, y = across * depth, np.float32(camera.eye) - down * depth
    texture = _octaves(rng, shape, ((1, 0.6), (3, 0.6), (12, 0.5)))
    tile = rng.standard_normal((128, 128), np.float32)  # lies on the ground, so it recedes
    near = cv2.remap(tile, x * 2, depth * 2, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    texture = np.where(ground, 0.5 * texture + near * np.exp(depth / -50.0), texture)
    cover = np.zeros(shape, np.float32)
    if cloudy:
        field = _octaves(rng, shape, [(height * k, k**0.8 * 4.5) for k in (0.16, 0.06, 0.02)])
        cover = np.where(sky, np.clip(1.3 * field - 0.2, 0, 1), np.float32(0))
        layers.kind[cover > 0.5] = NUMBERS["cloud"]
    up = np.clip(down / down.min(), 0, 1)
    amount = _TEXTURE[layers.kind]
    shadow = np.where(ground, layers.shadow, 0).astype(np.float32) / 255
    lamplight, shades = _lamplight(lamps, x, y, depth), 1.0 + amount[..., 0] * texture
    visible = _visible(rng, layers, weather, sky, cover, up, depth, shades, shadow, lamplight)
    heat = layers.heat + amount[..., 1] * texture - 4.0 * weather.sunny * shadow - 0.012 * depth
    # Low sky is seen through more air, so it is warmer than the zenith; clouds are warmer too.
    cold = weather.air - 4.0 - (10.0 + 18.0 * weather.clear) * (0.35 + 0.65 * up**0.6)
    heat = np.where(sky, cold + cover * (9.0 + 5.0 * weather.clear) + 0.3 * texture, heat)
    return visible, _infrared(rng, heat.astype(np.float32), sky, weather)


def _octaves(rng: np.random.Generator, shape: tuple[int, int], scales) -> np.ndarray:
    """Noise with cells of several sizes in pixels, each with a weight: float32 [H, W]."""
    total = np.zeros(shape, np.float32)
    for cell, weight in scales:
        coarse = rng.standard_normal([int(side / cell) + 2 for side in shape], np.float32)
        total += np.float32(weight) * cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return total


def _lamplight(lamps: list[Lamp], x, y, z) -> np.ndarray:
    """Light of lamps at world points, computed at half the size: float32 [3, H, W]."""
    x, y, z = (np.ascontiguousarray(plane[::2, ::2]) for plane in (x, y, np.minimum(z, 300)))
    light = np.zeros((3, *z.shape), np.float32)
    for lamp in lamps:
        offsets = [p - np.float32(q) for p, q in zip((x, y, z), lamp.position, strict=True)]
        square = sum(d * d for d in offsets) + np.float32(0.6)
        along = sum(d * np.float32(a) for d, a in zip(offsets, lamp.axis, strict=True))
        cone = np.maximum(along / np.sqrt(square), 0.0) ** np.float32(lamp.narrowness)
        for plane, power in zip(light, lamp.power, strict=True):
            plane += np.float32(power) * cone / square
    return light


def _visible(rng, layers, weather, sky, cover, up, depth, texture, shadow, lamplight) -> np.ndarray:
    shape = height, width = sky.shape
    glow = np.float32(9.6) * (layers.glow.astype(np.float32) / 255) ** 2
    texture, sunlit = np.maximum(texture, 0.15), 1.0 - 0.9 * shadow
    through = np.exp(-np.float32(weather.haze) * np.minimum(depth, 400.0))
    high, thick = up**0.7, 0.72 + 0.28 * cover
    image = np.empty((3, *shape), np.float32)
    for k, plane in enumerate(image):  # planes are faster than a last axis of three
        light = weather.skylight[k] + sunlit * weather.sunlight[k] + glow
        light += cv2.resize(lamplight[k], (width, height))
        seen = _TO_LINEAR[layers.rgb[..., k]] * light * texture * through
        seen += 0.8 * (1.0 - through) * weather.sky_low[k]
        clear = weather.sky_low[k] + (weather.sky_top[k] - weather.sky_low[k]) * high
        cloud = thick * np.float32(_CLOUD_LIGHT[weather.time][k])
        plane[:] = np.where(sky, clear + (cloud - clear) * cover, seen)
    if layers.glow.any():  # lenses spread very bright light
        strength, size = np.float32(rng.uniform(0.5, 1.5)), (width // 4, height // 4)
        for plane in image:
            bright = np.maximum(cv2.resize(plane, size, interpolation=cv2.INTER_AREA) - 1.0, 0.0)
            for share, weight in ((0.008, 0.25), (0.03, 0.35)):
                halo = cv2.GaussianBlur(bright, (0, 0), max(share * width, 0.5))
                plane += strength * np.float32(weight) * cv2.resize(halo, (width, height))
    exposure, gain = {
        "day": (1.05, 0.006),
        "dusk": (rng.uniform(1.2, 3.0), 0.012),
        "night": (rng.choice([1.5, 3.0, 6.0], p=(0.25, 0.45, 0.3)), rng.uniform(0.008, 0.025)),
    }[weather.time]
    image = np.float32(exposure) * image + np.float32(rng.uniform(0.0, 0.01))
    # A shoulder keeps highlights from clipping; values below a half are nearly left alone.
    image = np.sqrt(image / np.sqrt(1.0 + 0.55 * image * image)) * np.float32(1.13)
    image += np.float32(gain) * rng.standard_normal((3, *shape), np.float32)
    image += np.float32(0.7 * gain) * rng.standard_normal(shape, np.float32)
    if rng.random() < 0.5:
        sigma = rng.uniform(0.3, 0.55) * max(width / 320, 0.8)
        image = np.stack([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in image])
    return cv2.merge(list(_to_uint8(image)))


def _infrared(rng, heat: np.ndarray, sky: np.ndarray, weather: Weather) -> np.ndarray:
    height, width = heat.shape
    if rng.random() < 0.4:  # a coarser detector, enlarged
        factor = rng.uniform(1.2, 1.7)
        size = (max(int(width / factor), 8), max(int(height / factor), 8))
        heat = cv2.resize(heat, size, interpolation=cv2.INTER_AREA)
        heat = cv2.resize(heat, (width, height), interpolation=cv2.INTER_CUBIC)
    heat = cv2.GaussianBlur(heat, (0, 0), rng.uniform(0.45, 0.9) * max(width / 320, 0.6))
    scene = heat[~sky]
    low, middle, high = np.percentile(scene if scene.size else heat, (2, 50, 98))
    span = max(high - low, 8.0)
    if rng.random() < 0.65:  # stretched to the scene, edges lifted
        wide = cv2.blur(heat, (max(width // 12, 3) | 1,) * 2)
        heat = heat + np.float32(rng.uniform(0.2, 0.7)) * np.clip(heat - wide, -6, 6)
        value = rng.uniform(0.12, 0.25) + (heat - low) / span * rng.uniform(0.55, 0.75)
    else:  # dim surroundings, bright bodies
        span = max(span, 14.0) * rng.uniform(1.0, 1.3)
        value = rng.uniform(0.25, 0.42) + (heat - middle) / span
    # A knee keeps hot things from one flat white; a toe keeps the cold sky from one flat black.
    value = np.where(value > 0.75, 0.75 + 0.5 * (value - 0.75), value)
    floor = rng.uniform(0.05, 0.14)
    value = np.where(value < floor, floor + 0.16 * (value - floor), value).astype(np.float32)
    noise = np.float32(rng.uniform(0.006, 0.02))
    value += noise * rng.standard_normal((height, width), np.float32)
    value += np.float32(0.4) * noise * rng.standard_normal((1, width), np.float32)
    rows, columns = np.linspace(-0.5, 0.5, height)[:, None], np.linspace(-0.5, 0.5, width)
    value -= rng.uniform(-0.04, 0.12) * (rows**2 + columns**2)  # vignetting
    return _to_uint8(value)[..., None]


def _to_uint8(image: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
