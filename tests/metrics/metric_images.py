"""Made-up images for the tests of the metrics."""

import numpy as np
import scipy.ndimage

# 8 k + 1: every scale of VIF has an odd number of pixels, so that keeping every second one is
# symmetric
SHAPE = (49, 57)


def made_up_picture(random, shape=SHAPE, grain=6.0):
    """Clouds with grain, uint8, some of it black and white."""
    clouds = scipy.ndimage.gaussian_filter(random.normal(size=shape), 4)
    return np.clip(
        128 + 80 * clouds / clouds.std() + random.normal(0, grain, shape), 0, 255
    ).astype(np.uint8)


def made_up_triple(seed=0, shape=SHAPE):
    """A fused image that mixes its sources and has some grain of its own."""
    random = np.random.default_rng(seed)
    visible, infrared = made_up_picture(random, shape), made_up_picture(random, shape)
    mixed = 0.4 * visible + 0.7 * infrared - 10 + random.normal(0, 3, shape)
    return np.clip(mixed, 0, 255).astype(np.uint8), visible, infrared
