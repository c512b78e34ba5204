"""Camera and canvas: things in metres, painted once for both modalities and for the masks."""

import dataclasses
import math

import cv2
import numpy as np

SUPERSAMPLING = 2
_FIXED_POINT_BITS = 3
_COLDEST = -80.0  # degrees Celsius at code 0; one code is 0.01 degrees
_SKY_DEPTH = 255
GROUND_REACH = 400.0  # metres

Rgb = tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Camera:
    """A pinhole camera over flat ground; x points right, y up, z forward, in metres.

    Attributes:
      width: canvas width in pixels.
      height: canvas height in pixels.
      focal: focal length in pixels.
      horizon: row of the horizon in pixels.
      centre: column of the vanishing point in pixels.
      eye: height above the ground in metres.
      bend: how far the world bends sideways, in 1/metres: x grows by bend * z^2, so roads curve.
    """

    width: int
    height: int
    focal: float
    horizon: float
    centre: float
    eye: float
    bend: float = 0.0

    def project(self, points: np.ndarray) -> np.ndarray:
        """World float [N, 3] in metres -> pixel float [N, 2]; depth is held at 0.5 m at least."""
        world = np.asarray(points, np.float64).reshape(-1, 3)
        z = np.maximum(world[:, 2], 0.5)
        scale = self.focal / z
        pixels = np.empty((len(world), 2))
        pixels[:, 0] = self.centre + scale * (world[:, 0] + self.bend * z * z)
        pixels[:, 1] = self.horizon + scale * (self.eye - world[:, 1])
        return pixels

    def scale(self, z: float) -> float:
        """Pixels per metre at depth z."""
        return self.focal / max(z, 0.5)

    def near(self) -> float:
        """Depth of the ground at the lower edge of the image."""
        return self.focal * self.eye / max(self.height - self.horizon, 1.0)

    def ground_end(self) -> float:
        """Row where painted ground ends, a little below the horizon."""
        return self.horizon + self.focal * self.eye / GROUND_REACH

    def half_width(self, z: float) -> float:
        """Half of what the image spans at depth z, in metres."""
        return 0.5 * self.width / self.scale(z)


@dataclasses.dataclass(frozen=True)
class Instance:
    """One thing on the canvas: its kind, its depth in metres, and words for captions."""

    kind: str
    depth: float
    colour: str = ""
    state: str = ""


@dataclasses.dataclass(frozen=True)
class Lamp:
    """A source of visible light.

    Attributes:
      place: world metres.
      power: linear RGB; what reaches a surface one metre away on the axis.
      direction: unit vector of the axis.
      narrowness: light falls as the cosine to the axis to this power; below 1 some goes everywhere.
    """

    place: tuple[float, float, float]
    power: Rgb
    direction: tuple[float, float, float] = (0.0, -1.0, 0.0)
    narrowness: float = 1.0


class Canvas:
    """Layers that painters fill back to front.

    One 64-bit value per pixel carries colour, instance, glow, depth and temperature, so each
    primitive is one OpenCV call, and modalities and masks agree to the pixel by construction.
    """

    def __init__(self, camera: Camera):
        self.camera = camera
        self.instances: list[Instance] = []
        self.lamps: list[Lamp] = []
        self._layers = np.zeros((camera.height, camera.width, 4), np.uint16)
        size = (camera.height // SUPERSAMPLING, camera.width // SUPERSAMPLING)
        self.shadow = np.zeros(size, np.uint8)  # 255: no sun reaches the ground
        self.contact = np.zeros(size, np.uint8)  # 255: no sky reaches the ground
        self.warmth = np.zeros(size, np.uint8)  # tenths of a degree added to the ground
        self._instance = 0
        self._depth = _SKY_DEPTH

    def begin(self, kind: str, depth: float, colour: str = "", state: str = "") -> None:
        """What is painted from here on is one more instance of `kind`, `depth` metres away."""
        if len(self.instances) == 255:
            raise ValueError("a canvas holds at most 255 instances")
        self.instances.append(Instance(kind, depth, colour, state))
        self._instance = len(self.instances) - 1
        self.at(depth)

    def at(self, depth: float) -> None:
        """Sets the depth of what is painted next, for things that reach far."""
        self._depth = min(int(40.0 * math.log1p(max(depth, 0.0))), _SKY_DEPTH)

    def resume(self, instance: int) -> None:
        """Paints on as an earlier instance."""
        self._instance = instance
        self.at(self.instances[instance].depth)

    @property
    def current(self) -> int:
        """Index of the instance being painted."""
        return self._instance

    def _value(self, rgb: Rgb, heat: float, glow: float) -> tuple[int, int, int, int]:
        r, g, b = (min(max(int(c), 0), 255) for c in rgb)
        return (
            r | g << 8,
            b | self._instance << 8,
            min(max(int(glow), 0), 255) | self._depth << 8,
            min(max(int((heat - _COLDEST) * 100.0), 0), 65535),
        )

    def polygon(self, pixels: np.ndarray, rgb: Rgb, heat: float, glow: float = 0) -> None:
        """Fills one polygon.

        Args:
          pixels: float [N, 2], canvas pixels.
          rgb: reflectance, sRGB 0-255.
          heat: temperature in degrees Celsius.
          glow: light given off, 0-255, in the colour of `rgb`.
        """
        fixed = np.rint(np.clip(pixels, -3e4, 3e4) * (1 << _FIXED_POINT_BITS)).astype(np.int32)
        cv2.fillPoly(
            self._layers, [fixed], self._value(rgb, heat, glow), cv2.LINE_8, _FIXED_POINT_BITS
        )

    def polygons(self, pixels: np.ndarray, rgb: Rgb, heat: float, glow: float = 0) -> None:
        """Fills polygons that do not overlap: float [M, N, 2]."""
        if len(pixels):
            fixed = np.rint(np.clip(pixels, -3e4, 3e4) * (1 << _FIXED_POINT_BITS)).astype(np.int32)
            value = self._value(rgb, heat, glow)
            cv2.fillPoly(self._layers, list(fixed), value, cv2.LINE_8, _FIXED_POINT_BITS)

    def face(self, points: np.ndarray, rgb: Rgb, heat: float, glow: float = 0) -> None:
        """Fills a polygon given in metres: float [N, 3]."""
        self.polygon(self.camera.project(points), rgb, heat, glow)

    def circle(self, centre, radius: float, rgb: Rgb, heat: float, glow: float = 0) -> None:
        """Fills a disc; centre and radius in canvas pixels."""
        x, y = (round(min(max(float(c), -3e4), 3e4) * 8) for c in centre)
        value = self._value(rgb, heat, glow)
        cv2.circle(self._layers, (x, y), max(round(radius * 8), 4), value, -1, cv2.LINE_8, 3)

    def ellipse(self, centre, axes, angle: float, rgb: Rgb, heat: float, glow: float = 0) -> None:
        """Fills an ellipse; centre and half axes in canvas pixels, angle in degrees."""
        x, y = (round(min(max(float(c), -3e4), 3e4) * 8) for c in centre)
        a, b = (max(round(float(v) * 8), 4) for v in axes)
        value = self._value(rgb, heat, glow)
        cv2.ellipse(self._layers, (x, y), (a, b), angle, 0, 360, value, -1, cv2.LINE_8, 3)

    def line(self, pixels, width: float, rgb: Rgb, heat: float, glow: float = 0) -> None:
        """Draws a polyline with round ends; width in canvas pixels, one at least."""
        fixed = np.rint(np.clip(np.asarray(pixels, np.float64), -3e4, 3e4) * 8).astype(np.int32)
        value = self._value(rgb, heat, glow)
        cv2.polylines(self._layers, [fixed], False, value, max(round(width), 1), cv2.LINE_8, 3)

    def sprite(self, x: float, z: float, y: float = 0.0) -> "Sprite":
        """A flat thing that faces the camera, its foot at (x, y, z)."""
        (foot,) = self.camera.project(np.array([[x, y, z]]))
        return Sprite(self, foot, self.camera.scale(z))

    def ground(self, layer: np.ndarray, points: np.ndarray, value: int) -> None:
        """Fills ground points, float [N, 3], in one of `shadow`, `contact`, `warmth`."""
        pixels = self.camera.project(points) / SUPERSAMPLING
        fixed = np.rint(np.clip(pixels, -3e4, 3e4) * 8).astype(np.int32)
        cv2.fillPoly(layer, [fixed], value, cv2.LINE_8, 3)

    def read(self) -> "Layers":
        """The painted layers, at image size."""
        s = SUPERSAMPLING
        size = (self.camera.width // s, self.camera.height // s)
        parts = self._layers.astype("<u2", copy=False).view(np.uint8)
        rgb = cv2.resize(np.ascontiguousarray(parts[..., :3]), size, interpolation=cv2.INTER_AREA)
        glow = cv2.resize(np.ascontiguousarray(parts[..., 4]), size, interpolation=cv2.INTER_AREA)
        heat = cv2.resize(
            np.ascontiguousarray(self._layers[..., 3]), size, interpolation=cv2.INTER_AREA
        )
        depth = np.expm1(np.arange(256, dtype=np.float32) / 40.0)
        return Layers(
            rgb=rgb,
            glow=glow,
            heat=heat.astype(np.float32) * np.float32(0.01) + np.float32(_COLDEST),
            instance=np.ascontiguousarray(parts[::s, ::s, 3]),
            depth=cv2.LUT(np.ascontiguousarray(parts[::s, ::s, 5]), depth),
        )


@dataclasses.dataclass
class Layers:
    """What was painted, at image size.

    Attributes:
      rgb: reflectance, uint8 [H, W, 3], sRGB.
      glow: light given off, uint8 [H, W].
      heat: temperature in degrees Celsius, float32 [H, W].
      instance: index into the canvas's instances, uint8 [H, W].
      depth: metres, float32 [H, W].
    """

    rgb: np.ndarray
    glow: np.ndarray
    heat: np.ndarray
    instance: np.ndarray
    depth: np.ndarray


@dataclasses.dataclass
class Sprite:
    """Paints in metres relative to a foot point: u to the right, v up."""

    canvas: Canvas
    foot: np.ndarray
    scale: float

    def pixels(self, points) -> np.ndarray:
        """Metres [N, 2] -> canvas pixels [N, 2]."""
        return self.foot + np.asarray(points, np.float64) * (self.scale, -self.scale)

    def polygon(self, points, rgb: Rgb, heat: float, glow: float = 0) -> None:
        """Fills a polygon of [N, 2] metres."""
        self.canvas.polygon(self.pixels(points), rgb, heat, glow)

    def rectangle(self, u0, v0, u1, v1, rgb: Rgb, heat: float, glow: float = 0) -> None:
        """Fills a rectangle between two corners in metres."""
        self.polygon([(u0, v0), (u1, v0), (u1, v1), (u0, v1)], rgb, heat, glow)

    def line(self, points, width: float, rgb: Rgb, heat: float, glow: float = 0) -> None:
        """Draws a polyline; points and width in metres."""
        self.canvas.line(self.pixels(points), width * self.scale, rgb, heat, glow)

    def circle(self, centre, radius: float, rgb: Rgb, heat: float, glow: float = 0) -> None:
        """Fills a disc; centre and radius in metres."""
        self.canvas.circle(self.pixels([centre])[0], radius * self.scale, rgb, heat, glow)

    def ellipse(self, centre, axes, angle: float, rgb: Rgb, heat: float, glow: float = 0) -> None:
        """Fills an ellipse; centre and half axes in metres, angle in degrees."""
        axes = (axes[0] * self.scale, axes[1] * self.scale)
        self.canvas.ellipse(self.pixels([centre])[0], axes, angle, rgb, heat, glow)


def tone(rgb: Rgb, factor: float) -> Rgb:
    """A lighter or darker version of a colour."""
    return (rgb[0] * factor, rgb[1] * factor, rgb[2] * factor)
