"""From painted layers to two images: light, haze, glare, noise; radiance, optics, gain, noise."""

import dataclasses

import cv2
import numpy as np

from tfds_builders.entity_scenes.canvas import SUPERSAMPLING, Canvas, Lamp, Layers
from tfds_builders.entity_scenes.conditions import Conditions

# Relative strength of texture in the visible, and degrees of it in the infrared.
_TEXTURE = {
    "road": (0.12, 0.5), "sidewalk": (0.13, 0.6), "path": (0.16, 0.6), "grass": (0.32, 1.1),
    "bush": (0.34, 1.3), "tree": (0.34, 1.3), "palm tree": (0.28, 1.0), "hill": (0.25, 0.8),
    "building": (0.09, 0.7), "house": (0.07, 0.5), "wall": (0.16, 0.9), "window": (0.18, 0.6),
    "curb": (0.1, 0.5), "fence": (0.12, 0.4), "car": (0.03, 0.7), "van": (0.03, 0.7),
    "truck": (0.04, 0.8), "bus": (0.04, 0.9), "person": (0.08, 0.7), "cyclist": (0.08, 0.7),
    "dog": (0.15, 0.6), "lane marking": (0.18, 0.4), "crosswalk": (0.18, 0.4),
}  # fmt: skip
_GROUND = frozenset({"road", "sidewalk", "path", "grass", "lane marking", "crosswalk", "curb"})
# Linear RGB of a cloud's brightest part.
_CLOUD_LIGHT = {
    "day": (0.95, 0.96, 0.98),
    "dusk": (0.42, 0.27, 0.24),
    "night": (0.007, 0.0065, 0.007),
}
_TO_LINEAR = ((np.arange(256) / 255.0) ** 2.2).astype(np.float32)


def _table(canvas: Canvas, values) -> np.ndarray:
    table = np.zeros(256, np.float32)
    table[: len(canvas.instances)] = [values(i.kind) for i in canvas.instances]
    return table


def _octaves(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise at several scales, about unit variance: float32 [H, W]."""
    total = 0.55 * rng.standard_normal((height, width), np.float32)
    for cell, weight in ((2, 0.5), (5, 0.4), (14, 0.4)):
        coarse = rng.standard_normal((height // cell + 2, width // cell + 2), np.float32)
        total += weight * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return total


class Exposure:
    """Both images of one painted canvas."""

    def __init__(
        self, canvas: Canvas, layers: Layers, conditions: Conditions, rng: np.random.Generator
    ):
        self.canvas, self.layers, self.conditions, self.rng = canvas, layers, conditions, rng
        camera = canvas.camera
        s = SUPERSAMPLING
        self.camera = dataclasses.replace(
            camera, width=camera.width // s, height=camera.height // s, focal=camera.focal / s,
            horizon=camera.horizon / s, centre=camera.centre / s,
        )  # fmt: skip
        self.height, self.width = layers.heat.shape
        self.sky = cv2.LUT(layers.instance, _table(canvas, lambda k: k in ("sky", "cloud"))) > 0
        self.ground = cv2.LUT(layers.instance, _table(canvas, lambda k: k in _GROUND))
        self.rows = np.arange(self.height, dtype=np.float32)[:, None]
        self.cols = np.arange(self.width, dtype=np.float32)[None]
        below = np.maximum(self.rows - self.camera.horizon, 0.25)
        ground_depth = np.float32(self.camera.focal * self.camera.eye) / below
        self.depth = np.where(self.ground > 0, ground_depth, layers.depth)
        self.texture = _octaves(rng, self.height, self.width)
        self._lay_texture_on_ground()
        sigma = max(self.width / 320, 0.5)
        self.shadow = cv2.GaussianBlur(canvas.shadow, (0, 0), 0.6 * sigma)
        self.contact = cv2.GaussianBlur(canvas.contact, (0, 0), 1.6 * sigma)

    def _lay_texture_on_ground(self) -> None:
        """Replaces texture on the ground by noise that lies in the world and so recedes."""
        z = np.minimum(self.depth, 250.0)
        x = (self.cols - self.camera.centre) * z / self.camera.focal - self.camera.bend * z * z
        tile = self.rng.standard_normal((256, 256), np.float32)
        layers = []
        for metre, reach in ((22.0, 9.0), (1.6, 70.0)):
            noise = cv2.remap(
                tile, x * np.float32(metre), z * np.float32(metre), cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_WRAP,
            )  # fmt: skip
            layers.append(noise * np.exp(z * np.float32(-1.0 / reach)))
        ground = 0.75 * layers[0] + 0.75 * layers[1] + 0.35 * self.texture
        np.copyto(self.texture, ground, where=self.ground > 0)

    def add_clouds(self, cover: np.ndarray, instance: int) -> None:
        """Turns cloudy sky into an instance of its own; cover is float32 [H, W] in [0, 1]."""
        self.cover = np.where(self.sky, cover, np.float32(0.0))
        self.layers.instance[self.cover > 0.5] = instance

    # Visible

    def _lamplight(self) -> np.ndarray:
        """Light of lamps, linear RGB planes, computed at half the size: float32 [3, H, W]."""
        step = 2 if min(self.height, self.width) >= 64 else 1
        camera, z = self.camera, np.ascontiguousarray(self.depth[::step, ::step])
        z = np.minimum(z, 300.0)
        x = (self.cols[:, ::step] - camera.centre) * z / camera.focal - camera.bend * z * z
        y = camera.eye - (self.rows[::step] - camera.horizon) * z / camera.focal
        light = np.zeros((3, *z.shape), np.float32)
        for lamp in self.canvas.lamps:
            amount = _fall_off(lamp, x, y, z)
            for plane, power in zip(light, lamp.power, strict=True):
                plane += amount * np.float32(power)
        return self._enlarge(light) if step > 1 else light

    def _enlarge(self, planes: np.ndarray) -> np.ndarray:
        size = (self.width, self.height)
        return np.stack([cv2.resize(p, size, interpolation=cv2.INTER_LINEAR) for p in planes])

    def visible(self) -> np.ndarray:
        """The visible image, uint8 [H, W, 3] RGB."""
        conditions, layers = self.conditions, self.layers
        texture = cv2.LUT(
            layers.instance, _table(self.canvas, lambda k: _TEXTURE.get(k, (0.03, 0))[0])
        )
        texture *= self.texture
        texture += 1.0
        np.maximum(texture, 0.15, out=texture)
        texture[self.sky] = 1.0
        open_sky = 1.0 - self.ground * self.contact.astype(np.float32) * np.float32(0.8 / 255)
        sunlit = 1.0 - self.ground * self.shadow.astype(np.float32) * np.float32(0.9 / 255)
        strength = np.float32(12.8 if conditions.time == "day" else 9.6)
        glow = strength * (layers.glow.astype(np.float32) * np.float32(1 / 255)) ** 2
        through = np.exp(-np.float32(conditions.haze) * np.minimum(self.depth, 400.0))
        through[self.sky] = 1.0
        fog = np.float32(0.8) * (1.0 - through)
        # Planes, because NumPy is slow where the last axis is as short as three.
        image = np.stack([cv2.LUT(p, _TO_LINEAR) for p in cv2.split(layers.rgb)])
        lamps = self._lamplight() if self.canvas.lamps else np.zeros(3, np.float32)
        for k, plane in enumerate(image):
            light = open_sky * conditions.skylight[k] + sunlit * conditions.sunlight[k]
            light += lamps[k]
            light += glow
            plane *= texture
            plane *= light
            self._paint_sky(plane, k)
            plane *= through
            plane += fog * conditions.sky_low[k]
        self._glare(image)
        return self._develop(image)

    def _paint_sky(self, plane: np.ndarray, k: int) -> None:
        conditions, rows = self.conditions, np.flatnonzero(self.sky.any(1))
        if not rows.size:
            return
        part = slice(0, rows[-1] + 1)
        up = np.clip((self.camera.horizon - self.rows[part]) / max(self.camera.horizon, 1.0), 0, 1)
        sky = conditions.sky_low[k] + (conditions.sky_top - conditions.sky_low)[k] * up**0.7
        cover = self.cover[part]
        cloud = (0.72 + 0.28 * cover) * np.float32(_CLOUD_LIGHT[conditions.time][k])
        np.copyto(plane[part], sky + (cloud - sky) * cover, where=self.sky[part])

    def _soft_texture(self) -> np.ndarray:
        """Slow noise, float32 [H, W]."""
        return cv2.blur(self.texture, (9, 9)) * np.float32(2.0)

    def _glare(self, image: np.ndarray) -> None:
        """Spreads very bright light as lenses do, and that of the sun where it is in view."""
        conditions, rng = self.conditions, self.rng
        height, width = self.height, self.width
        size = (max(width // 4, 1), max(height // 4, 1))
        low = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in image]
        bright = np.maximum(cv2.merge(low) - np.float32(1.0), 0.0)
        strength = np.float32(rng.choice([0.5, 1.0, 2.5], p=(0.4, 0.4, 0.2)))
        sun = conditions.sun
        if sun[2] > 0.25 and conditions.clear > 0.5 and conditions.sunlight.max() > 0:
            x = self.camera.centre + self.camera.focal * sun[0] / sun[2]
            y = self.camera.horizon - self.camera.focal * sun[1] / sun[2]
            if -0.2 * width < x < 1.2 * width and -0.5 * height < y < height and self._in_sky(x, y):
                power = 14.0 if conditions.time == "day" else 5.0
                disc, rgb = (int(x / 4), int(y / 4)), (power, 0.9 * power, 0.75 * power)
                cv2.circle(bright, disc, max(width // 100, 1), rgb, -1)
        if bright.max() == 0:
            return
        spread = np.zeros_like(bright)
        for share, weight in ((0.008, 0.25), (0.03, 0.3)):
            halo = cv2.GaussianBlur(bright, (0, 0), max(share * width, 0.5))
            spread += np.float32(weight) * halo
        small = cv2.resize(
            bright, (max(width // 16, 1), max(height // 16, 1)), interpolation=cv2.INTER_AREA
        )
        veil = cv2.GaussianBlur(small, (0, 0), max(0.03 * width, 0.5))
        spread += np.float32(0.35) * cv2.resize(veil, size, interpolation=cv2.INTER_LINEAR)
        spread *= strength
        image += self._enlarge(cv2.split(spread))

    def _in_sky(self, x: float, y: float) -> bool:
        x = int(np.clip(x, 0, self.width - 1))
        y = int(np.clip(y, 0, self.height - 1))
        return bool(self.sky[y, x])

    def _develop(self, image: np.ndarray) -> np.ndarray:
        """Linear RGB planes to grey levels, with the camera's noise; changes `image`."""
        conditions, rng = self.conditions, self.rng
        exposure = {
            "day": 1.05,
            "dusk": rng.uniform(1.2, 3.0),
            "night": rng.choice([1.5, 3.0, 7.0], p=(0.2, 0.4, 0.4)),
        }[conditions.time]
        gain = {"day": 0.006, "dusk": 0.012, "night": rng.uniform(0.008, 0.03)}[conditions.time]
        veil = rng.uniform(0.0, 0.012)
        soft = rng.uniform(0.35, 0.6) * max(self.width / 320, 0.8) if rng.random() < 0.5 else 0.0
        image *= np.float32(exposure)
        image += np.float32(veil)
        # A shoulder keeps highlights from clipping flat; values below a half are nearly left alone.
        image /= np.sqrt(1.0 + 0.55 * image * image)
        np.maximum(image, 0.0, out=image)
        np.sqrt(image, out=image)
        image *= np.float32(1.13)
        grain = rng.standard_normal((self.height, self.width), np.float32)
        coarse = rng.standard_normal((3, self.height // 2 + 1, self.width // 2 + 1), np.float32)
        noise = self._enlarge(coarse)
        noise += grain
        noise *= np.float32(gain * 0.7)
        image += noise
        if soft:
            image = np.stack([cv2.GaussianBlur(plane, (0, 0), soft) for plane in image])
        return cv2.merge([_to_uint8(plane) for plane in image])

    # Infrared

    def infrared(self) -> np.ndarray:
        """The infrared image, uint8 [H, W, 1]."""
        conditions, layers, rng = self.conditions, self.layers, self.rng
        height, width = self.height, self.width
        texture = cv2.LUT(
            layers.instance, _table(self.canvas, lambda k: _TEXTURE.get(k, (0, 0.25))[1])
        )
        heat = layers.heat + texture * self.texture[:, ::-1]
        heat -= (
            self.ground * self.shadow.astype(np.float32) * np.float32(conditions.sunny * 4.0 / 255)
        )
        heat += (
            self.ground
            * cv2.GaussianBlur(self.canvas.warmth, (0, 0), max(width / 200, 0.6))
            * np.float32(0.1)
        )
        # Low sky is seen through more air, so it is warmer than the zenith; clouds are warmer too.
        up = np.clip((self.camera.horizon - self.rows) / max(self.camera.horizon, 1.0), 0, 1)
        sky = conditions.air - 4.0 - (10.0 + 18.0 * conditions.clear) * (0.35 + 0.65 * up**0.6)
        sky = (
            sky + self.cover * np.float32(9.0 + 5.0 * conditions.clear) + 0.6 * self._soft_texture()
        )
        heat = np.where(self.sky, sky.astype(np.float32), heat)
        heat -= np.where(self.sky, 0.0, np.minimum(self.depth, 200.0) * 0.012).astype(np.float32)
        blur = rng.uniform(0.45, 0.9) * max(width / 320, 0.6)
        if rng.random() < 0.4:  # a coarser detector, enlarged
            factor = rng.uniform(1.3, 1.9)
            small = cv2.resize(
                heat,
                (max(int(width / factor), 8), max(int(height / factor), 8)),
                interpolation=cv2.INTER_AREA,
            )
            heat = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        heat = cv2.GaussianBlur(heat, (0, 0), blur)
        return self._gain(heat)

    def _gain(self, heat: np.ndarray) -> np.ndarray:
        """Degrees to grey levels, in one of three manners, with noise; uint8 [H, W, 1]."""
        rng, height, width = self.rng, self.height, self.width
        wide = 0.38 if self.conditions.time == "night" else 0.2
        manner = int(rng.choice(3, p=(0.76 - wide, wide, 0.24)))
        scene = heat[~self.sky] if (~self.sky).any() else heat
        sample = scene[:: max(scene.size // 4000, 1)]
        low, middle, high = np.percentile(sample, (2, 50, 98))
        if manner == 0:  # stretched to the scene, edges lifted
            span = max(high - low, 7.0)
            wide = cv2.blur(heat, (max(width // 12, 3) | 1,) * 2)
            heat = heat + np.float32(rng.uniform(0.2, 0.7)) * np.clip(heat - wide, -6, 6)
            value = rng.uniform(0.12, 0.3) + (heat - low) / span * rng.uniform(0.5, 0.72)
            noise = rng.uniform(0.008, 0.022)
        elif manner == 1:  # a wide fixed span: dim surroundings, bright bodies
            span = rng.uniform(24.0, 36.0)
            value = rng.uniform(0.12, 0.26) + (heat - middle) / span
            noise = rng.uniform(0.005, 0.012)
        else:  # moderate, grey
            span = max(high - low, 14.0) * rng.uniform(1.0, 1.3)
            value = rng.uniform(0.35, 0.5) + (heat - middle) / span
            noise = rng.uniform(0.01, 0.03)
        value = value.astype(np.float32)
        # A knee keeps hot things from one flat white; a toe keeps the cold sky from one flat black.
        value = np.where(value > 0.72, 0.72 + 0.42 * (value - 0.72), value)
        floor = np.float32(rng.uniform(0.05, 0.16))
        value = np.where(value < floor, floor + 0.16 * (value - floor), value)
        value += np.float32(noise) * rng.standard_normal((height, width), np.float32)
        value += np.float32(0.4 * noise) * rng.standard_normal((1, width), np.float32)
        value += np.float32(0.25 * noise) * rng.standard_normal((height, 1), np.float32)
        edge = ((self.cols / width - 0.5) ** 2 + (self.rows / height - 0.5) ** 2).astype(np.float32)
        value -= np.float32(rng.uniform(-0.04, 0.12)) * edge
        return _to_uint8(value)[..., None]


def _to_uint8(plane: np.ndarray) -> np.ndarray:
    plane = plane * np.float32(255.0)
    np.clip(plane, 0.0, 255.0, out=plane)
    return np.rint(plane, out=plane).astype(np.uint8)


def _fall_off(lamp: Lamp, x, y, z) -> np.ndarray:
    dx, dy, dz = (
        x - np.float32(lamp.place[0]),
        y - np.float32(lamp.place[1]),
        z - np.float32(lamp.place[2]),
    )
    square = dx * dx + dy * dy + dz * dz + np.float32(0.6)
    cosine = (dx * lamp.direction[0] + dy * lamp.direction[1] + dz * lamp.direction[2]) / np.sqrt(
        square
    )
    if lamp.narrowness < 1:
        cosine = np.maximum(cosine, 0.0) + np.float32(0.25)
    cone = np.maximum(cosine, 0.0) ** np.float32(lamp.narrowness)
    return (cone / square).astype(np.float32)
