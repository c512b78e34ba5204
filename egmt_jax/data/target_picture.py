"""The target picture: a fusion in closed form that the network learns, and improves by guidance.

It keeps the texture of both sources on a base that mixes them smoothly; docs/target_picture.md
shows what it reaches and where it fails. It contains none of the metrics that judge the result.

Images are float32 [H, W] in [0, 1].
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from egmt_jax.io.valid import continued

Image = Float32[np.ndarray, "h w"]

BASE_RADIUS = 12
"""Pixels; structure that is larger, or has edges of 20 grey levels, belongs to the base."""

EDGE, SKY_EDGE = 0.08**2, 0.1**2
"""Variance above which the guided filters keep an edge."""

MOST_GRAIN = 8.0 / 255.0
"""Standard deviation of the finest band up to which calm places count as grain."""

LARGEST_DEVIATION = 0.25
"""Standard deviation that the tone aims at, at most."""

TEXTURE_GAIN = 1.4

SKY_RADIUS = 24


def target_picture(
    visible: Image,
    infrared: Image,
    has_infrared: Bool[np.ndarray, "h w"] | None = None,
    contrast: float = 1.0,
) -> Image:
    """Computes the target picture of a pair.

    Args:
      visible: luma.
      infrared: bright where it is warm.
      has_infrared: where the infrared image holds data; None: everywhere.
      contrast: factor on the contrast; less is more similar to the sources.
    """
    there = np.ones_like(visible)
    if has_infrared is not None:
        # The infrared image continues smoothly: no edge at the border in its base, and no texture.
        has = has_infrared.astype(np.float32)
        infrared = continued(infrared, has_infrared)
        there = np.clip(2.0 * _smooth(has, 4) - 1.0, 0.0, 1.0)
    bases = [_guided(x, x, BASE_RADIUS, EDGE) for x in (visible, infrared)]
    textures = [_without_grain(x - b) for x, b in zip((visible, infrared), bases, strict=True)]
    textures[1] = textures[1] * there
    means = np.mean(bases[0]), np.sum(bases[1] * there) / np.sum(there)
    deviations = bases[0] - means[0], bases[1] - means[1]
    sky = _bright_over_black(*deviations)
    base = _mixed_base(*deviations, sky)
    texture = _mixed_texture(textures[0], textures[1], sky)

    # Tone: more contrast than the sources have, the mean of the brighter one, headroom above.
    stronger = max(np.std(x) for x in (visible, infrared, np.maximum(visible, infrared)))
    aim = contrast * min(1.3 * stronger, LARGEST_DEVIATION)
    gain = np.clip(aim / max(np.std(base + texture), 1e-6), 0.7, 1.7)
    mean = max(means)
    mean += 0.25 * np.clip(0.27 - mean, 0.0, 0.2) - 0.6 * np.clip(mean - 0.45, 0.0, 0.2)
    # Only the base is bent, then texture is added: it stays visible in hot and in dark areas.
    base = _shoulder(_shoulder(mean + gain * base, 0.7, 0.97), 0.17, 0.03)
    fused = base + TEXTURE_GAIN * contrast * texture
    fused = _shoulder(_shoulder(fused, 0.9, 1.0), 0.08, 0.0)
    return np.clip(fused, 0.0, 1.0).astype(np.float32)


def _mixed_texture(visible: Image, infrared: Image, sky: Image) -> Image:
    """Both textures, the stronger one in full and at least 0.4 of the weaker one."""
    energy = [np.maximum(_mean(x * x, 3), 0.0) + 1e-6 for x in (visible, infrared)]
    share = _smooth(energy[0] / (energy[0] + energy[1]), 2)
    # A dark wire in one and a bright one in the other would cancel: the weaker one is reduced.
    opposed = np.maximum(-_mean(visible * infrared, 3) / np.sqrt(energy[0] * energy[1]), 0.0)
    opposed = 0.4 * _smooth(opposed, 2)
    of_visible = np.clip(0.4 + share - opposed * (1.0 - share), 0.0, 1.0)
    of_infrared = np.clip(1.4 - share - opposed * share, 0.0, 1.0)
    return of_visible * visible + (1.0 - 0.6 * sky) * of_infrared * infrared


def _mixed_base(visible: Image, infrared: Image, sky: Image) -> Image:
    """The sum of both bases without their means; in skies the visible one with infrared detail."""
    level = _smooth(sky * infrared, SKY_RADIUS) / (_smooth(sky, SKY_RADIUS) + 1e-3)
    yielding = sky * (0.95 * level + 0.4 * (infrared - level))
    base = (1.0 + 0.15 * sky) * visible + infrared - yielding
    return base - 0.7 * np.mean(base)


def _bright_over_black(visible: Image, infrared: Image) -> Image:
    """How much a place is bright in the visible base and dark in the infrared one, in [0, 1].

    There, as in skies and glare, the bases would cancel to grey. Takes bases without their means.
    """
    sky = np.maximum(_smooth(visible, 8), 0.0) * np.maximum(-_smooth(infrared, 8), 0.0)
    sky = sky / (sky + 0.1**2)
    return np.clip(_guided(sky, visible - infrared, SKY_RADIUS, SKY_EDGE), 0.0, 1.0)


def _without_grain(texture: Image) -> Image:
    """Texture whose finest band is reduced to 0.4 where it is no stronger than grain.

    Grain is what that band holds in the calm places of the picture.
    """
    fine = texture - _smooth(texture, 2)
    energy = np.maximum(_smooth(fine * fine, 4), 0.0)
    level = np.sqrt(energy + 1e-12)
    calm = level * np.exp(-3.0 * level / np.mean(level))
    grain = min(np.sum(calm * level) / np.sum(calm), MOST_GRAIN)
    floor = (1.5 * grain * grain) ** 2
    return texture - 0.6 * fine * floor / (energy * energy + floor + 1e-14)


def _guided(image: Image, guide: Image, radius: int, variance: float) -> Image:
    """The guided filter (He, Sun and Tang, ECCV 2010): smooth, but with the edges of the guide."""
    mean_image, mean_guide = _mean(image, radius), _mean(guide, radius)
    spread = np.maximum(_mean(guide * guide, radius) - mean_guide * mean_guide, 0.0)
    slope = (_mean(image * guide, radius) - mean_image * mean_guide) / (spread + variance)
    return _mean(slope, radius) * guide + _mean(mean_image - slope * mean_guide, radius)


def _shoulder(image: Image, knee: float, end: float) -> Image:
    """The identity up to the knee (down to it, if `end` is below), then smoothly towards `end`."""
    width = end - knee
    over = np.maximum((image - knee) / width, 0.0)
    return image + width * (np.tanh(over) - over)


def _mean(image: Image, radius: int) -> Image:
    """Mean over a square of 2 radius + 1 pixels."""
    side = 2 * radius + 1
    return cv2.blur(image, (side, side), borderType=cv2.BORDER_REFLECT)


def _smooth(image: Image, radius: int) -> Image:
    """`_mean` of `_mean`."""
    return _mean(_mean(image, radius), radius)
