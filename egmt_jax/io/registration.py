"""Detects pairs whose images are shifted against each other."""

import cv2
import numpy as np
from jaxtyping import Float32, Shaped

SMALLEST_SIDE = 64  # pixels below which a pair has too few edges to measure a shift
SIDE = 320  # edges are compared in images whose longer side is reduced to this many pixels
NARROWEST = 16  # pixels of the shorter side of the reduced images below which nothing is measured
REACH = 24  # largest shift in pixels of the reduced images, and at most a quarter of their side
REGISTERED = 4.0  # shift in pixels of the pair that counts as none: published sets have parallax

LEAST_GAIN, LEAST_PEAK = 0.65, 3.5
"""How far the correlation of a reported shift exceeds that of the registered pair, and the mean, in
standard deviations over all shifts. `benchmarks/registration.py DIR --shifted 300 --seed 2` reports
11 of the 1083 published training pairs of MSRS (the four inspected are misregistered), none of
RoadScene, TNO and M3FD, and 91, 99, 87 and 90 % of pairs shifted by 6 to 20 pixels."""


def edge_shift(
    visible: Shaped[np.ndarray, "h w"], infrared: Shaped[np.ndarray, "h w"]
) -> tuple[float, float] | None:
    """Estimates the shift of the edges of the infrared image against the visible luma.

    In pixels down and to the right; None if it is at most `REGISTERED` or not certain.
    """
    scale = min(1.0, SIDE / max(visible.shape))
    if min(visible.shape) < SMALLEST_SIDE or min(visible.shape) * scale < NARROWEST:
        return None
    first, second = _edges(visible, scale), _edges(infrared, scale)
    reach = min(REACH, min(first.shape[:2]) // 4)
    inner = second[reach:-reach, reach:-reach]
    correlation = cv2.matchTemplate(first, inner, cv2.TM_CCOEFF_NORMED)
    # Where the inner part is found d further down, infrared lies d further up.
    shifts = -np.mgrid[-reach : reach + 1, -reach : reach + 1] / scale
    best = np.argmax(correlation)
    peak, deviation = correlation.flat[best], np.std(correlation)
    gain = peak - np.max(correlation[np.hypot(*shifts) <= REGISTERED])
    if gain <= LEAST_GAIN * deviation or peak - np.mean(correlation) <= LEAST_PEAK * deviation:
        return None
    down, right = (float(shift.flat[best]) for shift in shifts)
    return down, right


def _edges(image: np.ndarray, scale: float) -> Float32[np.ndarray, "h w 2"]:
    """Locally normalised gradients, of doubled angle since modalities often differ in sign."""
    image = image.astype(np.float32)
    if scale < 1.0:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    image = cv2.GaussianBlur(image, (0, 0), 1.0)
    x, y = cv2.Sobel(image, cv2.CV_32F, 1, 0), cv2.Sobel(image, cv2.CV_32F, 0, 1)
    strength = cv2.magnitude(x, y)
    around = cv2.blur(strength, (17, 17)) + np.float32(0.3 * np.mean(strength) + 1e-6)
    weight = 1.0 / (strength * around + np.float32(1e-9))
    edges = cv2.merge([(x * x - y * y) * weight, 2.0 * x * y * weight])
    return cv2.GaussianBlur(edges, (0, 0), 0.6)  # tolerates parallax
