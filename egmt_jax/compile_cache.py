"""Keeps compiled programs on disk, so that later processes start sooner."""

import os
import pathlib
import warnings

import jax


def keep_compiled() -> None:
    """Turns on JAX's persistent compilation cache, in the user's cache folder.

    Does nothing if a cache folder is set already, such as by JAX_COMPILATION_CACHE_DIR, or if the
    folder cannot be created.
    """
    if jax.config.values["jax_compilation_cache_dir"] is not None:
        return
    try:
        home = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        folder = pathlib.Path(home, "egmt-jax")
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: there is no home folder
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    # When two processes write one entry, or the disk is full, the program is compiled again.
    warnings.filterwarnings("ignore", "Error (read|writ)ing persistent compilation cache entry")
