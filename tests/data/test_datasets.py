"""Sets by name: what is missing is told with what to put where; splits and sums of splits."""

import numpy as np
import pytest

from configs import base
from egmt_jax.data import datasets, pipeline
from egmt_jax.errors import UserError
from egmt_jax.io import images
from egmt_jax.testing import made_up_pair


@pytest.fixture
def manual_dir(tmp_path):
    """M3FD as people pass it on, with too few frames for all splits."""
    for number in (1, 2, 80):
        visible, infrared = made_up_pair(24, 30, number)
        images.write_png(tmp_path / "manual" / "m3fd" / "vi" / f"{number:05d}.png", visible)
        images.write_png(tmp_path / "manual" / "m3fd" / "ir" / f"{number:05d}.png", infrared)
    return tmp_path / "manual"


def test_a_set_is_prepared_from_the_manual_folder_and_read(manual_dir, tmp_path):
    data = base.get_config().data
    data.update(data_dir=str(tmp_path / "tfds"), manual_dir=str(manual_dir))
    data_set = datasets.open_set("m3fd/fusion", data)
    source = datasets.source(data_set, "train")
    pair = pipeline.to_pair(source[0])
    np.testing.assert_array_equal(pair.visible, made_up_pair(24, 30, int(pair.id))[0])
    sizes = {split: len(datasets.source(data_set, split)) for split in ("train", "validation")}
    assert sizes == {"train": 2, "validation": 1}
    assert len(datasets.source(data_set, "all")) == 3
    assert len(datasets.source(data_set, "train+validation")) == 3
    assert len(datasets.source(data_set, "train[:1]")) == 1
    for split in ("test", "train+test", "train[:0]", "train["):
        with pytest.raises(UserError, match=r"it has train \(2\), validation \(1\): set"):
            datasets.source(data_set, split)


def test_a_set_without_files_says_what_to_put_where(tmp_path):
    where = tmp_path / "manual"
    with pytest.raises(UserError) as error:
        datasets.prepare("msrs", str(tmp_path / "tfds"), str(where))
    assert str(where) in str(error.value)
    assert "Put `train/` and `test/` of https://github.com/Linfeng-Tang/MSRS" in str(error.value)
    (where / "elsewhere").mkdir(parents=True)
    with pytest.raises(UserError, match=r"put train/ir/ and train/vi/.* or ir/ and vi/ there"):
        datasets.prepare("msrs", str(tmp_path / "tfds"), str(where))


def test_without_a_manual_folder_the_default_one_and_the_field_are_named(tmp_path):
    with pytest.raises(UserError, match=r"\(data\.manual_dir names another folder\)$"):
        datasets.prepare("tno", str(tmp_path / "tfds"))


@pytest.mark.parametrize("name", ["mnist", "tno_dataset_builder", "", "m3d/fusion"])
def test_only_sets_of_this_project_are_opened(name, tmp_path):
    known = "known here: entity_scenes, m3fd, msrs, roadscene, tno; folder reads own pairs"
    with pytest.raises(UserError, match=rf"data\.name='{name}': no such data set; {known}"):
        datasets.prepare(name, str(tmp_path))


@pytest.mark.parametrize(
    ("name", "known"),
    [("m3fd/none", "m3fd/fusion, m3fd/detection"), ("tno/none", "tno"), ("tno:9.9.9", "tno")],
)
def test_an_unknown_config_is_told_with_those_there_are(name, known, tmp_path):
    with pytest.raises(UserError, match=rf"'{name}': no such config or version; known: {known}$"):
        datasets.prepare(name, str(tmp_path))


def test_a_data_dir_that_cannot_be_made_is_named(manual_dir, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"data\.data_dir='.*file/tfds'"):
        datasets.prepare("m3fd/fusion", str(tmp_path / "file" / "tfds"), str(manual_dir))


def test_an_empty_root_is_told():
    data = base.get_config().data
    with pytest.raises(UserError, match=r"data\.root is empty; set it to a folder"):
        datasets.open_set("folder", data)
