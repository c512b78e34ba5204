"""Values against golden values of made-up and of real images."""

import json
import pathlib

import numpy as np
import pytest

from egmt_jax.io.images import read_image, to_grey
from egmt_jax.metrics import METRICS, fusion_metrics, score_pairs

HERE = pathlib.Path(__file__).parent
TOLERANCE = 1e-3
SYNTHETIC = json.loads((HERE / "synthetic.json").read_text())


@pytest.fixture(scope="module")
def images():
    with np.load(HERE / "synthetic.npz") as archive:
        return dict(archive)


@pytest.mark.parametrize("key", SYNTHETIC)
def test_agrees_with_the_golden_values_of_made_up_triples(images, key):
    number = key.split("_")[0]
    triple = [images[f"f{key}"], images[f"vi{number}"], images[f"ir{number}"]]
    padded = np.full((3, 240, 320), 99, np.uint8)  # one compilation for all
    height, width = triple[0].shape
    padded[:, :height, :width] = triple
    values = fusion_metrics(*padded, (height, width))
    assert list(values) == list(METRICS)
    for name, golden in SYNTHETIC[key].items():
        np.testing.assert_allclose(values[name], golden, rtol=TOLERANCE, err_msg=name)


def test_agrees_with_the_golden_values_of_real_pairs(golden_dir, data_dir):
    golden = json.loads((golden_dir / "real.json").read_text())

    def triples():
        for key in golden:
            path, rule = key.rsplit(":", 1)
            folder, file = path.split("/")
            visible, infrared = (
                to_grey(read_image(data_dir / folder / modality / file))
                for modality in ("vi", "ir")
            )
            mean = np.rint((visible.astype(np.float64) + infrared) / 2).astype(np.uint8)
            yield key, mean if rule == "mean" else np.maximum(visible, infrared), visible, infrared

    rows = score_pairs(triples(), progress=False)
    assert [row["id"] for row in rows] == list(golden)
    for row in rows:
        for name, value in golden[row["id"]].items():
            np.testing.assert_allclose(
                row[name], value, rtol=TOLERANCE, err_msg=f"{row['id']} {name}"
            )
