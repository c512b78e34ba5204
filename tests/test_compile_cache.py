"""What is compiled is kept where the user's caches are, and nowhere that cannot be written."""

import jax
import pytest

from egmt_jax.compile_cache import keep_compiled

FOLDER = "jax_compilation_cache_dir"


@pytest.fixture(autouse=True)
def unset():
    names = FOLDER, "jax_persistent_cache_min_compile_time_secs"
    before = {name: getattr(jax.config, name) for name in names}
    jax.config.update(FOLDER, None)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


def test_the_folder_is_made_among_the_users_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    keep_compiled()
    assert getattr(jax.config, FOLDER) == str(tmp_path / "caches" / "egmt-jax")
    assert (tmp_path / "caches" / "egmt-jax").is_dir()


def test_a_folder_that_is_set_stays(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    jax.config.update(FOLDER, "mine")
    keep_compiled()
    assert getattr(jax.config, FOLDER) == "mine"
    assert list(tmp_path.iterdir()) == []


def test_where_no_folder_can_be_made_nothing_is_kept(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    keep_compiled()
    assert getattr(jax.config, FOLDER) is None
