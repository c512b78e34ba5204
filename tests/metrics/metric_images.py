"""Made-up images for the tests of the metrics."""

import numpy as np
import scipy.ndimage

# 8 k + 1: every scale of VIF has odd sides, so that keeping every second pixel is symmetric
SHAPE = (49, 57)


def made_up_image(random, shape=SHAPE, grain=6.0):
    """Clouds with grain, uint8, with some black and white pixels."""
    clouds = scipy.ndimage.gaussian_filter(random.normal(size=shape), 4)
    image = 128 + 80 * clouds / clouds.std() + random.normal(0, grain, shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def made_up_triple(seed=0, shape=SHAPE):
    """A fused image that mixes its sources and has some grain of its own, and the sources."""
    random = np.random.default_rng(seed)
    visible, infrared = made_up_image(random, shape), made_up_image(random, shape)
    mixed = 0.4 * visible + 0.7 * infrared - 10 + random.normal(0, 3, shape)
    return np.clip(mixed, 0, 255).astype(np.uint8), visible, infrared
