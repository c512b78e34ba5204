"""Qabf: the share of the edges of the sources that the fused image preserves."""

import math

import jax
import jax.numpy as jnp
from jax import Array

from egmt_jax.metrics.regions import Grey, Scalar, Size, as_float, cut, divide, root, total

Edges = tuple[Array, Array]  # horizontal and vertical Sobel responses

STRENGTH = (0.9994, -15.0, 0.5)  # Gamma, kappa, sigma
ANGLE = (0.9879, -22.0, 0.8)
# arctan x = x p(x^2) for 0 <= x <= 1, to 2e-8, highest power first: Abramowitz and Stegun, Handbook
# of Mathematical Functions, 4.4.49. On CPU, XLA's arctangent takes longer than the rest of Qabf.
ARCTANGENT = (
    *(0.0028662257, -0.0161657367, 0.0429096138, -0.0752896400),
    *(0.1065626393, -0.1420889944, 0.1999355085, -0.3333314528, 1.0),
)


@jax.jit
def edge_preservation(fused: Grey, visible: Grey, infrared: Grey, *, size: Size = None) -> Scalar:
    """Qabf: preservation of the edge strength and orientation of the sources.

    Definition: Sobel gradients with zeros outside the image; strength g = sqrt(gx^2 + gy^2), angle
    a = arctan(gy / gx), pi/2 where gx = 0. For each source S, with the ratio G of the smaller to
    the larger strength (the strength itself where both are equal) and A = 1 - |aS - aF| / (pi/2),

        Q = 0.9994 / (1 + exp(-15 (G - 0.5))) * 0.9879 / (1 + exp(-22 (A - 0.8)))

    Qabf is the mean of Q over both sources and all pixels, weighted by the strength in the source.
    Higher is better. Range: 0 (also where both sources are black) to 0.976. The zeros outside make
    an edge of a border that is not black: equal constant images have 0.975. A single flip may
    change the value, since vertical gradients keep the angle pi/2.

    Source: Xydeas and Petrovic, "Objective image fusion performance measure", Electronics Letters
    36(4), 2000. Other code replicates or crops the border, uses a ratio of 1 for equal strengths,
    as in the paper (the value hardly changes), or raises the weights to another power.
    """
    images, size = as_float(fused, visible, infrared, size=size)
    fused_edges, *sources = (_sobel(cut(image, size)) for image in images)
    preserved = weights = jnp.zeros(())
    for source in sources:
        strength = root(source[0] ** 2 + source[1] ** 2)
        alignment = 1 - _angle_between(fused_edges, source) / (math.pi / 2)
        quality = _quality(_strength_ratio(fused_edges, source), *STRENGTH)
        preserved += total(quality * _quality(alignment, *ANGLE) * strength, size)
        weights += total(strength, size)
    return divide(preserved, weights)


def _sobel(image: Array) -> Edges:
    """Sobel responses: left minus right, lower minus upper; zeros outside the image."""
    framed = jnp.pad(image, 1)
    columns = framed[:-2] + 2 * framed[1:-1] + framed[2:]
    rows = framed[:, :-2] + 2 * framed[:, 1:-1] + framed[:, 2:]
    return columns[:, :-2] - columns[:, 2:], rows[2:] - rows[:-2]


def _strength_ratio(first: Edges, second: Edges) -> Array:
    """Smaller edge strength over the larger one; the strength itself where they are equal."""
    one, other = (x**2 + y**2 for x, y in (first, second))
    ratio = divide(jnp.minimum(one, other), jnp.maximum(one, other))
    return root(jnp.where(one == other, one, ratio))


def _angle_between(first: Edges, second: Edges) -> Array:
    """|difference| of the angles arctan(y / x), each in (-pi/2, pi/2]; between 0 and pi.

    With both gradients in the half plane of positive x, one arctangent of their cross and dot
    products gives the angle between them.
    """
    first, second = _right_half(*first), _right_half(*second)
    cross = jnp.abs(first[0] * second[1] - second[0] * first[1])
    dot = first[0] * second[0] + first[1] * second[1]
    tangent = divide(jnp.minimum(cross, jnp.abs(dot)), jnp.maximum(cross, jnp.abs(dot)))
    angle = tangent * jnp.polyval(jnp.asarray(ARCTANGENT, jnp.float32), tangent**2)
    angle = jnp.where(cross > jnp.abs(dot), math.pi / 2 - angle, angle)
    return jnp.where(dot < 0, math.pi - angle, angle)


def _right_half(x: Array, y: Array) -> Edges:
    """The same direction, up to its sign, with x >= 0; (0, 1) where x = 0."""
    return jnp.abs(x), jnp.where(x == 0, 1.0, jnp.where(x < 0, -y, y))


def _quality(value: Array, gamma: float, kappa: float, sigma: float) -> Array:
    return gamma / (1 + jnp.exp(kappa * (value - sigma)))
