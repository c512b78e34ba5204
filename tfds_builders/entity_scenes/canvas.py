"""Camera and canvas: shapes in metres, painted once for both images and for the masks."""

import dataclasses
import math

import cv2
import numpy as np

SUPERSAMPLING = 2
GROUND_REACH = 300.0  # metres to where the painted ground ends
_FIXED_POINT_BITS = 3
_COLDEST = -80.0  # degrees Celsius at code 0; one code is 0.01 degrees
_FARTHEST = 255

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
    """

    width: int
    height: int
    focal: float
    horizon: float
    centre: float
    eye: float

    def project(self, points) -> np.ndarray:
        """World float [..., 3] in metres -> pixel float [..., 2]; depth is at least 0.5 m."""
        world = np.asarray(points, np.float64)
        scale = self.focal / np.maximum(world[..., 2], 0.5)
        pixels = np.empty((*world.shape[:-1], 2))
        pixels[..., 0] = self.centre + scale * world[..., 0]
        pixels[..., 1] = self.horizon + scale * (self.eye - world[..., 1])
        return pixels

    def span(self, z: float) -> tuple[float, float]:
        """Leftmost and rightmost x in view at depth z, in metres."""
        return -self.centre * z / self.focal, (self.width - self.centre) * z / self.focal

    def scaled(self, factor: float) -> "Camera":
        """The same view on a canvas `factor` times as large."""
        return Camera(
            round(self.width * factor), round(self.height * factor), self.focal * factor,
            self.horizon * factor, self.centre * factor, self.eye,
        )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Lamp:
    """A source of visible light at a world point, in metres.

    A surface one metre away on its axis receives the linear RGB `power`; beside the axis the light
    falls as the cosine to the power of `narrowness`.
    """

    position: tuple[float, float, float]
    power: Rgb
    axis: tuple[float, float, float] = (0.0, -1.0, 0.0)
    narrowness: float = 1.0


@dataclasses.dataclass
class Layers:
    """What was painted, at image size.

    Attributes:
      rgb: reflectance, uint8 [H, W, 3], sRGB.
      glow: light given off, uint8 [H, W].
      heat: temperature in degrees Celsius, float32 [H, W].
      kind: number of the kind of thing seen, uint8 [H, W].
      depth: metres, float32 [H, W].
      shadow: 255 where no sun reaches the ground, uint8 [H, W].
    """

    rgb: np.ndarray
    glow: np.ndarray
    heat: np.ndarray
    kind: np.ndarray
    depth: np.ndarray
    shadow: np.ndarray


class Canvas:
    """Layers that are painted back to front.

    One 64-bit value per pixel carries colour, kind, glow, depth and temperature, so each shape is
    one OpenCV call, and both images and the masks agree to the pixel by construction.
    """

    def __init__(self, camera: Camera):
        self.camera = camera
        self.lamps: list[Lamp] = []
        self._layers = np.zeros((camera.height, camera.width, 4), np.uint16)
        self._shadow = np.zeros((camera.height, camera.width), np.uint8)
        self._kind = 0
        self._depth = _FARTHEST

    def begin(self, kind: int, depth: float) -> None:
        """Paints a thing of `kind`, `depth` metres away, from here on."""
        self._kind = kind
        self._depth = min(int(40.0 * math.log1p(max(depth, 0.0))), _FARTHEST)

    def polygons(self, pixels, rgb: Rgb, heat: float, glow: float = 0) -> None:
        """Fills polygons that do not overlap, float [M, N, 2] canvas pixels.

        For all shapes, `rgb` is reflectance (sRGB, 0 to 255), `heat` is in degrees Celsius, and
        `glow` is the light given off in that colour, 0 to 255.
        """
        value = self._value(rgb, heat, glow)
        cv2.fillPoly(self._layers, list(_fixed(pixels)), value, cv2.LINE_8, _FIXED_POINT_BITS)

    def fill(self, top: float, rgb: Rgb, heat: float) -> None:
        """Fills the rows from `top` down."""
        width, height = self.camera.width, self.camera.height
        self.polygons([[(0, top), (width, top), (width, height), (0, height)]], rgb, heat)

    def ellipse(self, centre, axes, rgb: Rgb, heat: float, glow: float = 0) -> None:
        """Fills an ellipse; centre and half axes in canvas pixels."""
        x, y, a, b = _fixed((*centre, *axes)).tolist()
        half = (max(a, 4), max(b, 4))
        value = self._value(rgb, heat, glow)
        cv2.ellipse(self._layers, (x, y), half, 0, 0, 360, value, -1, cv2.LINE_8, _FIXED_POINT_BITS)

    def line(self, pixels, width: float, rgb: Rgb, heat: float, glow: float = 0) -> None:
        """Draws a polyline of float [N, 2] canvas pixels; width in pixels, at least 1."""
        value = self._value(rgb, heat, glow)
        cv2.polylines(
            self._layers, [_fixed(pixels)], False, value, max(round(width), 1), cv2.LINE_8,
            _FIXED_POINT_BITS,
        )  # fmt: skip

    def shade(self, points) -> None:
        """Takes the sun from a polygon of ground points, float [N, 3]."""
        pixels = _fixed(self.camera.project(points))
        cv2.fillPoly(self._shadow, [pixels], 255, cv2.LINE_8, _FIXED_POINT_BITS)

    def read(self) -> Layers:
        """The painted layers, at image size."""
        step = SUPERSAMPLING
        size = (self.camera.width // step, self.camera.height // step)
        parts = self._layers.astype("<u2", copy=False).view(np.uint8)

        def reduced(layer):
            return cv2.resize(np.ascontiguousarray(layer), size, interpolation=cv2.INTER_AREA)

        heat = reduced(self._layers[..., 3]).astype(np.float32)
        metres = np.expm1(np.arange(256, dtype=np.float32) / 40.0)
        return Layers(
            rgb=reduced(parts[..., :3]),
            glow=reduced(parts[..., 4]),
            heat=heat * np.float32(0.01) + np.float32(_COLDEST),
            kind=np.ascontiguousarray(parts[::step, ::step, 3]),
            depth=metres[parts[::step, ::step, 5]],
            shadow=reduced(self._shadow),
        )

    def _value(self, rgb: Rgb, heat: float, glow: float) -> tuple[int, int, int, int]:
        code = int((heat - _COLDEST) * 100.0)
        return (
            min(int(rgb[0]), 255) | min(int(rgb[1]), 255) << 8,
            min(int(rgb[2]), 255) | self._kind << 8,
            int(glow) | self._depth << 8,
            min(max(code, 0), 65535),
        )


def _fixed(pixels) -> np.ndarray:
    """Fixed-point coordinates as OpenCV takes them."""
    scaled = np.asarray(pixels, np.float64) * (1 << _FIXED_POINT_BITS)
    return np.minimum(np.maximum(scaled, -2.4e5), 2.4e5).astype(np.int32)


def tone(rgb: Rgb, factor: float) -> Rgb:
    """A lighter or darker version of a colour."""
    return (rgb[0] * factor, rgb[1] * factor, rgb[2] * factor)
