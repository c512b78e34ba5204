"""TwoScale: a baseline of a few lines, without training.

A guided filter (He et al., 2013; each image guides itself) splits both sources into base and
detail. The fused base is half their maximum and half their sum minus the smaller mean; the fused
detail is the locally stronger one, times 1.25; the result is stretched to 0..255.
"""

import cv2
import numpy as np

RADIUS, EPSILON = 15, 400.0
DETAIL = 1.25
NEAR = 3  # radius in pixels of local strength
STRETCH = (0.3, 99.7)


def box_mean(image: np.ndarray, radius: int = RADIUS) -> np.ndarray:
    return cv2.blur(image, (2 * radius + 1, 2 * radius + 1))


def guided_filter(image: np.ndarray) -> np.ndarray:
    """Edge-preserving base of grey values 0..255, float32 [H, W] -> [H, W]."""
    mean = box_mean(image)
    variance = np.maximum(box_mean(image * image) - mean * mean, 0.0)
    slope = variance / (variance + EPSILON)
    return box_mean(slope) * image + box_mean((1.0 - slope) * mean)


def two_scale(visible: np.ndarray, infrared: np.ndarray) -> np.ndarray:
    """Fuses two grey images of equal size, uint8 [H, W]."""
    sources = [image.astype(np.float32) for image in (visible, infrared)]
    bases = [guided_filter(image) for image in sources]
    details = [image - base for image, base in zip(sources, bases, strict=True)]
    base = 0.5 * np.maximum(*bases) + 0.5 * (bases[0] + bases[1] - min(x.mean() for x in bases))
    strength = [box_mean(np.abs(detail), NEAR) for detail in details]
    detail = np.where(strength[0] >= strength[1], *details)
    fused = base + DETAIL * detail
    low, high = np.percentile(fused, STRETCH)
    stretched = 255.0 * (fused - low) / max(high - low, 1e-6)
    return np.rint(np.clip(stretched, 0.0, 255.0)).astype(np.uint8)
