"""Detects pairs whose images are shifted against each other."""

import cv2
import numpy as np

SMALLEST_SIDE = 64
"""Pixels below which a pair has too few edges to measure a shift."""

SIDE = 320
"""Edges are compared in images whose longer side is reduced to this many pixels."""

NARROWEST = 16
"""Pixels of the shorter side of the reduced images below which a pair is not measured."""

REACH = 24
"""Largest shift in pixels of the reduced images, bounded by a quarter of the shorter side."""

REGISTERED = 4.0
"""Shift in pixels of the pair up to which it counts as registered: published sets have parallax."""

LEAST_GAIN, LEAST_PEAK = 0.65, 3.5
"""How far the correlation of a reported shift exceeds that of the registered pair, and the mean, in
standard deviations over all shifts. Without the second, pairs that share no edges are reported.
Measured on 2026-11-30 by `benchmarks/registration.py DIR --shifted 300 --seed 2`: reported are 11
of the 1083 published training pairs of MSRS (all by day; the four inspected are misregistered) and
none of RoadScene (171), TNO (25) and M3FD (30); of pairs shifted by 6 to 20 pixels 91, 99, 87 and
90 %, of those shifted by 6 to 8 pixels 73, 97, 81 and 59 %. Pairs without a report may be shifted.
"""


def edge_shift(visible: np.ndarray, infrared: np.ndarray) -> tuple[float, float] | None:
    """Estimates how far the edges of the infrared image are shifted against the visible image.

    Args:
      visible: luma [H, W] of any range.
      infrared: [H, W] of any range, the same size.

    Returns:
      Shift of the infrared image in pixels, down and to the right; None where it is at most
      `REGISTERED` or not certain.
    """
    scale = min(1.0, SIDE / max(visible.shape))
    if min(visible.shape) * scale < NARROWEST:
        return None
    correlation, shifts = _correlate(_edges(visible, scale), _edges(infrared, scale))
    distance = np.hypot(*shifts) / scale
    best = np.argmax(correlation)
    peak = correlation.flat[best]
    gain = peak - np.max(correlation[distance <= REGISTERED])
    deviation = np.std(correlation)
    if gain <= LEAST_GAIN * deviation or peak - np.mean(correlation) <= LEAST_PEAK * deviation:
        return None
    down, right = (float(shift.flat[best]) / scale for shift in shifts)
    return down, right


def _correlate(visible: np.ndarray, infrared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of edges for shifts [2, n, n] of infrared, in pixels down and to the right."""
    reach = min(REACH, min(visible.shape[:2]) // 4)
    inner = infrared[reach:-reach, reach:-reach]
    correlation = cv2.matchTemplate(visible, inner, cv2.TM_CCOEFF_NORMED)
    # Where the inner part is found d further down, infrared lies d further up.
    return correlation, -np.mgrid[-reach : reach + 1, -reach : reach + 1]


def _edges(image: np.ndarray, scale: float) -> np.ndarray:
    """Locally normalised gradients of the reduced image: float32 [h, w, 2].

    Vectors of doubled angle: the gradients of two modalities often have opposite signs.
    """
    image = image.astype(np.float32)
    if scale < 1.0:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    image = cv2.GaussianBlur(image, (0, 0), 1.0)
    x, y = (cv2.Sobel(image, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    strength = cv2.magnitude(x, y)
    around = cv2.blur(strength, (17, 17)) + np.float32(0.3 * np.mean(strength) + 1e-6)
    weight = 1.0 / (strength * around + np.float32(1e-9))
    edges = cv2.merge([(x * x - y * y) * weight, 2.0 * x * y * weight])
    return cv2.GaussianBlur(edges, (0, 0), 0.6)  # tolerates parallax
