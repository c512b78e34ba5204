import json
import sys

import downstream
import numpy as np
import pytest
from people_head import overlaps, union_ratio
from two_scale import guided_filter, two_scale

from egmt_jax.errors import UserError
from egmt_jax.io.images import write_png

BOXES = """<annotation><size><width>64</width><height>48</height></size>
<object><name>Car</name><bndbox><xmin>0</xmin><ymin>0</ymin><xmax>64</xmax><ymax>9</ymax></bndbox>
</object>
<object><name>People</name><bndbox><xmin>8</xmin><ymin>12</ymin><xmax>24</xmax><ymax>36</ymax>
</bndbox></object></annotation>"""


@pytest.fixture
def folders(tmp_path):
    """Grey pictures with a bright square in every other one, and maps that call it a person."""
    rng = np.random.default_rng(0)
    for k in range(40):
        picture = rng.integers(40, 80, (48, 64)).astype(np.uint8)
        labels = np.full((48, 64), 1, np.uint8)  # cars
        if k % 2:
            top, left = rng.integers(0, 28), rng.integers(0, 44)
            picture[top : top + 20, left : left + 20] = 230
            labels[top : top + 20, left : left + 20] = 2
        write_png(tmp_path / "fused" / f"{k:03}.png", picture)
        write_png(tmp_path / "dark" / f"{k:03}.png", np.zeros_like(picture))
        write_png(tmp_path / "labels" / f"{k:03}.png", labels)
    return tmp_path


def run(monkeypatch, folders, *more):
    out = folders / "out.json", folders / "page.md"
    flags = [f"--labels={folders / 'labels'}", f"--out={out[0]}", f"--page={out[1]}", *more]
    monkeypatch.setattr(sys, "argv", ["downstream.py", *flags])
    downstream.main()
    return json.loads(out[0].read_text())["results"], out[1].read_text()


@pytest.mark.slow
def test_people_are_found_where_a_picture_shows_them_and_not_where_it_is_dark(folders, monkeypatch):
    kinds = [f"--pictures={name}={folders / name}" for name in ("fused", "dark")]
    results, page = run(monkeypatch, folders, *kinds, "--steps=40", "--seeds=1")
    fused, dark = (results[kind]["seeds"][0] for kind in ("fused", "dark"))
    assert fused["AP"] > 0.9 > dark["AP"]
    assert fused["IoU"] > dark["IoU"] + 0.3
    assert "| fused | " in page


def test_pictures_without_labels_are_named(folders, monkeypatch):
    (folders / "labels" / "017.png").unlink()
    with pytest.raises(SystemExit, match="no labels for 1 pictures, such as 017"):
        run(monkeypatch, folders, f"--pictures=fused={folders / 'fused'}")


def test_boxes_of_people_become_cells(tmp_path):
    path = tmp_path / "1.xml"
    path.write_text(BOXES)
    mask = downstream.mask_of_labels(path, (480, 640))
    assert mask.shape == (48, 64)
    assert mask[12:36, 8:24].all()
    assert mask.sum() == 24 * 16
    assert downstream.cells_of(mask).mean() == pytest.approx(mask.mean(), rel=1e-3)


def test_a_coloured_map_and_broken_boxes_are_refused(tmp_path):
    write_png(tmp_path / "1.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "2.xml").write_text("<annotation>")
    with pytest.raises(UserError, match=r"1\.png: not a map of indices"):
        downstream.mask_of_labels(tmp_path / "1.png", (8, 8))
    with pytest.raises(UserError, match=r"2\.xml: not a readable file of boxes"):
        downstream.mask_of_labels(tmp_path / "2.xml", (8, 8))


def test_the_ratio_is_that_of_all_pictures_together():
    where = np.asarray([[[0.9, 0.1]], [[0.9, 0.9]]])
    cells = np.asarray([[[1.0, 1.0]], [[0.0, 1.0]]])
    assert union_ratio(overlaps(where, cells, 0.5)) == pytest.approx(2 / 4)
    assert union_ratio(overlaps(where, 0 * cells, 0.95)) == 0.0


def test_a_guided_filter_flattens_grain_and_keeps_edges():
    rng = np.random.default_rng(0)
    image = np.where(np.arange(80) < 40, 50.0, 200.0) * np.ones((60, 1))
    base = guided_filter((image + rng.normal(0, 4, image.shape)).astype(np.float32))
    assert base[:, :25].std() < 2.0
    assert base[:, 42:45].mean() - base[:, 35:38].mean() > 120


def test_two_scale_takes_detail_from_the_source_that_has_it_and_fills_the_range():
    stripes = (100 + 30 * (np.arange(96) // 2 % 2) * np.ones((64, 1))).astype(np.uint8)
    ramp = np.linspace(60, 180, 64)[:, None].astype(np.uint8) * np.ones((1, 96), np.uint8)
    for sources in ((stripes, ramp), (ramp, stripes)):
        fused = two_scale(*sources)
        assert fused.dtype == np.uint8
        assert fused.min() == 0
        assert fused.max() == 255
        assert np.corrcoef(fused[32].astype(float), stripes[32])[0, 1] > 0.9
