import pathlib

import pytest
from metric_images import made_up_triple

from egmt_jax.io.images import write_png


@pytest.fixture
def triple():
    return made_up_triple()


@pytest.fixture
def folders(tmp_path) -> dict[str, pathlib.Path]:
    """Folders `fused`, `visible`, `infrared` with three grey pairs of two sizes."""
    shapes = {"a": (49, 57), "b": (49, 57), "c": (40, 44)}
    for seed, (stem, shape) in enumerate(shapes.items()):
        images = made_up_triple(seed, shape)
        for role, image in zip(("fused", "visible", "infrared"), images, strict=True):
            write_png(tmp_path / role / f"{stem}.png", image)
    return {role: tmp_path / role for role in ("fused", "visible", "infrared")}
