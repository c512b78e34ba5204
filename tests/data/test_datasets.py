"""Data sets by name: splits, sums of splits, and errors that name the missing files."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

import tfds_builders  # noqa: F401  (registers the data sets)
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
    pair = pipeline.to_pair(datasets.records(data_set, "train")[0])
    np.testing.assert_array_equal(pair.visible, made_up_pair(24, 30, int(pair.id))[0])
    counts = data_set.counts
    assert sum(counts.values()) == len(datasets.records(data_set, "all")) == 3
    assert len(datasets.records(data_set, "+".join(counts))) == 3
    assert len(datasets.records(data_set, "train[:1]")) == 1
    for split in ("tset", "train+tset", "train[:0]", "train["):
        with pytest.raises(UserError, match=rf"it has .*train \({counts['train']}\).*: set"):
            datasets.records(data_set, split)


def test_no_image_is_decoded_to_read_names(manual_dir, tmp_path, monkeypatch):
    data_set = datasets.prepare("m3fd/fusion", str(tmp_path / "tfds"), str(manual_dir))
    expected = [record["id"] for record in datasets.records(data_set, "all")]

    def fail(*_):
        raise AssertionError("an image was decoded")

    monkeypatch.setattr(tfds.features.Image, "decode_example_np", fail)
    records = datasets.records(data_set, "all", images=False)
    assert [records[row]["id"] for row in range(3)] == expected
    assert {"entities", "present", "has_present", "mask_entities"} <= records[0].keys()
    assert not {"visible", "infrared", "masks"} & records[0].keys()
    with pytest.raises(AssertionError, match="an image was decoded"):
        datasets.records(data_set, "all")[0]


def test_a_set_without_files_names_the_files_and_their_folder(tmp_path):
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
    known = "known: entity_scenes, m3fd, msrs, roadscene, tno; folder reads your own pairs"
    with pytest.raises(UserError, match=rf"data\.name='{name}': no such data set; {known}"):
        datasets.prepare(name, str(tmp_path))


@pytest.mark.parametrize(
    ("name", "known"),
    [("m3fd/none", "m3fd/fusion, m3fd/detection"), ("tno/none", "tno"), ("tno:9.9.9", "tno")],
)
def test_an_unknown_config_is_refused_with_the_known_ones(name, known, tmp_path):
    with pytest.raises(UserError, match=rf"'{name}': no such config or version; known: {known}$"):
        datasets.prepare(name, str(tmp_path))


def test_an_unwritable_data_dir_is_named(manual_dir, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"data\.data_dir='.*file/tfds'"):
        datasets.prepare("m3fd/fusion", str(tmp_path / "file" / "tfds"), str(manual_dir))


def test_an_empty_root_is_refused():
    data = base.get_config().data
    with pytest.raises(UserError, match=r"data\.root is empty; set it to a folder"):
        datasets.open_set("folder", data)
