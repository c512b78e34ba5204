"""Imports run one way: from higher layers to lower ones, without circles."""

import ast
import graphlib
import pathlib

ROOT = pathlib.Path(__file__).parents[1]

LAYERS = (
    ("egmt_jax", "egmt_jax.errors", "egmt_jax.compile_cache"),
    ("egmt_jax.io",),
    ("egmt_jax.metrics", "egmt_jax.models", "egmt_jax.entities"),
    ("egmt_jax.weights", "egmt_jax.testing", "tfds_builders"),
    ("egmt_jax.data", "egmt_jax.inference"),
    ("egmt_jax.evaluation",),
    ("egmt_jax.training",),
    ("egmt_jax.cli",),
    ("egmt_jax.__main__",),
)
"""From the lowest to the highest; packages of one layer do not import each other."""

KNOW_THE_BUILDERS = {"egmt_jax.training.main", "egmt_jax.cli.page"}
"""The only modules of `egmt_jax` that import `tfds_builders`: the first registers the data sets."""

LAZY = {"egmt_jax.weights.checkpoint", "egmt_jax.io.images"}
"""Imported within functions to save start-up time: Orbax, and OpenCV for entities alone."""


def modules():
    for package in ("egmt_jax", "tfds_builders"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), ast.parse(path.read_text(encoding="utf-8"))


TREES = dict(modules())


def imports(tree):
    """(module, whether at the top level) for every import of the project."""
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative import"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in TREES else node.module for name in whole]
        for name in names:
            if name in TREES:
                yield name, id(node) in top


def layer(module):
    """Index and package of the longest match in `LAYERS`."""
    found = [
        (index, package)
        for index, packages in enumerate(LAYERS)
        for package in packages
        if module == package or (module.startswith(f"{package}.") and package != "egmt_jax")
    ]
    assert found, f"{module} belongs to no layer"
    return max(found, key=lambda pair: len(pair[1]))


IMPORTS = {module: set(imports(tree)) for module, tree in TREES.items()}


def test_no_module_imports_from_its_own_or_a_higher_layer():
    wrong = []
    for module, imported in IMPORTS.items():
        index, package = layer(module)
        for name, _ in imported:
            other_index, other = layer(name)
            if other != package and other_index >= index:
                wrong.append(f"{module} imports {name}")
            if other == "tfds_builders" != package and module not in KNOW_THE_BUILDERS:
                wrong.append(f"{module} imports {name}: only {KNOW_THE_BUILDERS} may")
    assert not wrong, "\n".join(wrong)


def test_no_circle_of_imports():
    graph = {module: {name for name, _ in imported} for module, imported in IMPORTS.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


def test_imports_within_functions_save_start_up_time():
    hidden = {
        (module, name)
        for module, imported in IMPORTS.items()
        for name, top in imported
        if not top and not module.startswith("egmt_jax.cli.") and name not in LAZY
    }
    assert not hidden
