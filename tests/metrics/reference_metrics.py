"""The fusion metrics in NumPy and SciPy, written directly from the definitions.

Shares no code with the package, and computes in the type of the images: float64 for tests, float32
for comparisons of speed.
"""

import numpy as np
import scipy.ndimage
import scipy.signal


def entropy(fused):
    shares = np.bincount(fused.astype(np.uint8).ravel(), minlength=256) / fused.size
    shares = shares[shares > 0]
    return -(shares * np.log2(shares)).sum()


def standard_deviation(fused):
    return fused.std()


def spatial_frequency(fused):
    return np.sqrt((np.diff(fused, axis=0) ** 2).mean() + (np.diff(fused, axis=1) ** 2).mean())


def average_gradient(fused):
    along_y, along_x = np.gradient(fused)
    return np.sqrt((along_x**2 + along_y**2) / 2).mean()


def _information(first, second):
    """I(first; second) and H(first) + H(second), in nats."""
    joint, _, _ = np.histogram2d(first.ravel(), second.ravel(), bins=256, range=[[0, 256]] * 2)
    joint = joint / joint.sum()
    rows, columns = joint.sum(1), joint.sum(0)
    seen = joint > 0
    information = (joint[seen] * np.log(joint[seen] / np.outer(rows, columns)[seen])).sum()
    entropies = sum(-(p[p > 0] * np.log(p[p > 0])).sum() for p in (rows, columns))
    return information, entropies


def mutual_information(fused, visible, infrared):
    return _information(fused, visible)[0] + _information(fused, infrared)[0]


def normalised_mutual_information(fused, visible, infrared):
    terms = [_information(fused, source) for source in (visible, infrared)]
    return sum(2 * information / entropies for information, entropies in terms if entropies > 0)


def _correlation(first, second):
    first, second = first - first.mean(), second - second.mean()
    norm = np.sqrt((first**2).sum() * (second**2).sum())
    return (first * second).sum() / norm if norm > 0 else 0.0


def correlation_coefficient(fused, visible, infrared):
    return (_correlation(fused, visible) + _correlation(fused, infrared)) / 2


def sum_of_correlations_of_differences(fused, visible, infrared):
    return _correlation(infrared, fused - visible) + _correlation(visible, fused - infrared)


def mean_squared_error(fused, visible, infrared):
    return (((fused - visible) ** 2).mean() + ((fused - infrared) ** 2).mean()) / 2


def peak_signal_to_noise_ratio(fused, visible, infrared):
    peak = max(fused.max(), 1)
    error = mean_squared_error(fused, visible, infrared)
    return min(10 * np.log10(peak**2 / error), 100) if error > 0 else 100.0


def _fidelity(source, fused):
    kept = everything = 0.0
    for side in (17, 9, 5, 3):
        offset = np.arange(side) - side // 2
        window = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * (side / 5) ** 2))
        window = (window / window.sum()).astype(source.dtype)

        def blur(image, window=window):
            return scipy.signal.convolve2d(image, window, mode="valid")

        if side < 17:
            source, fused = blur(source)[::2, ::2], blur(fused)[::2, ::2]
        mean_source, mean_fused = blur(source), blur(fused)
        source_variance = np.maximum(blur(source**2) - mean_source**2, 0)
        fused_variance = np.maximum(blur(fused**2) - mean_fused**2, 0)
        covariance = blur(source * fused) - mean_source * mean_fused
        gain = covariance / (source_variance + 1e-10)
        noise = fused_variance - gain * covariance
        flat = source_variance < 1e-10
        gain[flat], noise[flat] = 0, fused_variance[flat]
        source_variance[flat] = 0
        flat = fused_variance < 1e-10
        gain[flat], noise[flat] = 0, 0
        against = gain < 0
        noise[against], gain[against] = fused_variance[against], 0
        noise = np.maximum(noise, 1e-10)
        kept += np.log10(1 + gain**2 * source_variance / (noise + 2)).sum()
        everything += np.log10(1 + source_variance / 2).sum()
    return kept / everything if everything > 0 else 1.0


def visual_information_fidelity(fused, visible, infrared):
    return _fidelity(visible, fused) + _fidelity(infrared, fused)


def _edges(image):
    # convolve2d flips the kernels
    left_minus_right = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], image.dtype)
    lower_minus_upper = np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]], image.dtype)
    x = scipy.signal.convolve2d(image, left_minus_right, mode="same")
    y = scipy.signal.convolve2d(image, lower_minus_upper, mode="same")
    upright = x == 0
    angle = np.where(upright, np.pi / 2, np.arctan(y / np.where(upright, 1, x)))
    return np.sqrt(x**2 + y**2), angle


def edge_preservation(fused, visible, infrared):
    fused_strength, fused_angle = _edges(fused)
    preserved = weights = 0.0
    for source in (visible, infrared):
        strength, angle = _edges(source)
        larger, smaller = np.maximum(strength, fused_strength), np.minimum(strength, fused_strength)
        ratio = np.where(larger == smaller, strength, smaller / np.where(larger > 0, larger, 1))
        alignment = 1 - np.abs(angle - fused_angle) / (np.pi / 2)
        quality = 0.9994 / (1 + np.exp(-15 * (ratio - 0.5)))
        quality = quality * 0.9879 / (1 + np.exp(-22 * (alignment - 0.8)))
        preserved += (quality * strength).sum()
        weights += strength.sum()
    return preserved / weights if weights > 0 else 0.0


def _similarity(first, second, data_range):
    def window_mean(image):
        return scipy.ndimage.uniform_filter(image, 7)[3:-3, 3:-3]

    mean_1, mean_2 = window_mean(first), window_mean(second)
    variance_1 = (window_mean(first**2) - mean_1**2) * 49 / 48
    variance_2 = (window_mean(second**2) - mean_2**2) * 49 / 48
    covariance = (window_mean(first * second) - mean_1 * mean_2) * 49 / 48
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    return (
        (2 * mean_1 * mean_2 + c1)
        * (2 * covariance + c2)
        / ((mean_1**2 + mean_2**2 + c1) * (variance_1 + variance_2 + c2))
    ).mean()


def structural_similarity(fused, visible, infrared, data_range=255):
    return _similarity(fused, visible, data_range) + _similarity(fused, infrared, data_range)


def fusion_metrics(fused, visible, infrared):
    """All metrics of one pair of float images, like `egmt_jax.metrics.fusion_metrics`."""
    triple = (fused, visible, infrared)
    return {
        "EN": entropy(fused),
        "SD": standard_deviation(fused),
        "SF": spatial_frequency(fused),
        "AG": average_gradient(fused),
        "MI": mutual_information(*triple),
        "NMI": normalised_mutual_information(*triple),
        "CC": correlation_coefficient(*triple),
        "SCD": sum_of_correlations_of_differences(*triple),
        "PSNR": peak_signal_to_noise_ratio(*triple),
        "MSE": mean_squared_error(*triple),
        "VIF": visual_information_fidelity(*triple),
        "Qabf": edge_preservation(*triple),
        "SSIM": structural_similarity(*triple),
        "SSIM_legacy": structural_similarity(*triple, data_range=2),
    }
