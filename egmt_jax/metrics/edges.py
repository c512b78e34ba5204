"""Qabf: how well the edges of the sources survive in the fused image."""

import math

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from egmt_jax.metrics.regions import Size, as_float, cut, extent, root, total

STRENGTH = (0.9994, -15.0, 0.5)  # Gamma, kappa, sigma
ANGLE = (0.9879, -22.0, 0.8)
# arctan x = x (1 + a_1 x^2 + a_2 x^4 ...) for 0 <= x <= 1, to 2e-8: Abramowitz and Stegun, Handbook
# of Mathematical Functions, 4.4.49. XLA's own arctangent takes longer than all the rest on CPU.
ARCTANGENT = (
    -0.3333314528,
    0.1999355085,
    -0.1420889944,
    0.1065626393,
    -0.0752896400,
    0.0429096138,
    -0.0161657367,
    0.0028662257,
)


@jax.jit
def edge_preservation(
    fused: ArrayLike, visible: ArrayLike, infrared: ArrayLike, *, size: Size = None
) -> Array:
    """Qabf: edge strength and orientation of the sources that the fused image preserves.

    Definition: Sobel gradients with zeros outside the image; strength g = sqrt(gx^2 + gy^2), angle
    a = arctan(gy / gx), pi/2 where gx = 0. For each source, with the ratio G of the smaller to the
    larger strength (the strength itself where both are equal) and A = 1 - |aS - aF| / (pi/2),

        Q = 0.9994 / (1 + exp(-15 (G - 0.5))) * 0.9879 / (1 + exp(-22 (A - 0.8)))

    Qabf is the mean of Q over both sources and all pixels, weighted by the strength in the source.
    Symmetric in the sources. Higher is better. Range: 0 to 0.976; 0 where both sources are black.
    The zeros outside make an edge of any border that is not black, so equal constant images have
    0.975. A single flip may change the value, as upright edges keep the angle pi/2.

    Source: Xydeas and Petrovic, "Objective image fusion performance measure", Electronics Letters
    36(4), 2000. Code differs at the border (replicated or cropped), in the case of equal strengths
    (the paper's ratio is 1 there; the value hardly moves) and in the exponent of the weights.

    Args:
      fused: uint8 or float [H, W], 8-bit grey values.
      visible: the same shape.
      infrared: the same shape.
      size: true (height, width) where the arrays are padded.

    Returns:
      float32 scalar.
    """
    images = as_float(fused, visible, infrared)
    height, width = extent(images[0].shape, size)
    fused_edges, *sources = (_sobel(cut(image, height, width)) for image in images)
    preserved, weights = 0.0, 0.0
    for source in sources:
        strength = root(_squares(*source))
        quality = _quality(_strength_ratio(fused_edges, source), STRENGTH) * _quality(
            1 - _angle_between(fused_edges, source) / (math.pi / 2), ANGLE
        )
        preserved = preserved + total(quality * strength, height, width)
        weights = weights + total(strength, height, width)
    return preserved / jnp.where(weights > 0, weights, 1.0)


def _sobel(image: Array) -> tuple[Array, Array]:
    """Horizontal and vertical Sobel responses: left less right, lower less upper; zeros outside."""
    framed = jnp.pad(image, 1)
    columns = framed[:-2] + 2 * framed[1:-1] + framed[2:]
    rows = framed[:, :-2] + 2 * framed[:, 1:-1] + framed[:, 2:]
    return columns[:, :-2] - columns[:, 2:], rows[2:] - rows[:-2]


def _squares(x: Array, y: Array) -> Array:
    return x**2 + y**2


def _strength_ratio(first: tuple[Array, Array], second: tuple[Array, Array]) -> Array:
    """Smaller edge strength over the larger one; the strength itself where they are equal."""
    first, second = _squares(*first), _squares(*second)
    larger = jnp.maximum(first, second)
    ratio = jnp.minimum(first, second) / jnp.where(larger > 0, larger, 1.0)
    return root(jnp.where(first == second, first, ratio))


def _angle_between(first: tuple[Array, Array], second: tuple[Array, Array]) -> Array:
    """|difference| of the angles arctan(y / x), each in (-pi/2, pi/2]; between 0 and pi.

    Both gradients are turned into the half plane of positive x; then the angle between two vectors
    is one arctangent of their cross and dot products, where the angles themselves would take two.
    """
    first, second = _right_half(*first), _right_half(*second)
    cross = jnp.abs(first[0] * second[1] - second[0] * first[1])
    dot = first[0] * second[0] + first[1] * second[1]
    across, along = jnp.minimum(cross, jnp.abs(dot)), jnp.maximum(cross, jnp.abs(dot))
    tangent = across / jnp.where(along > 0, along, 1.0)
    series = 0.0
    for coefficient in reversed(ARCTANGENT):
        series = (series + coefficient) * tangent**2
    angle = tangent * (1 + series)
    angle = jnp.where(cross > jnp.abs(dot), math.pi / 2 - angle, angle)
    return jnp.where(dot < 0, math.pi - angle, angle)


def _right_half(x: Array, y: Array) -> tuple[Array, Array]:
    """The same line with x >= 0; straight up where x = 0."""
    upright = x == 0
    return jnp.abs(x), jnp.where(upright, 1.0, jnp.where(x < 0, -y, y))


def _quality(value: Array, constants: tuple[float, float, float]) -> Array:
    gamma, kappa, sigma = constants
    return gamma / (1 + jnp.exp(kappa * (value - sigma)))
