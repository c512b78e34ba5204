"""Programs that are compiled once per machine, not once per process."""

import os
import pathlib
import warnings

import jax


def keep_compiled() -> None:
    """Has JAX keep what it compiles in the user's cache folder, so that later runs start sooner.

    Left as it is where a folder is set already, by JAX_COMPILATION_CACHE_DIR for instance, and
    where the folder cannot be made.
    """
    if jax.config.jax_compilation_cache_dir is not None:
        return
    try:
        home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        folder = pathlib.Path(home, "egmt-jax")
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # the latter where there is no home
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    # As when two processes write the same one, or the disk is full: it is compiled anew.
    warnings.filterwarnings("ignore", "Error (read|writ)ing persistent compilation cache entry")
