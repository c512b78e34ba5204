"""TNO: registered pairs of mostly military scenes, thermal and grey visible."""

from tfds_builders import pairs_builder


class Builder(pairs_builder.PairsBuilder):
    """Builder of TNO pairs; see the README beside it for layout and splits."""

    HOMEPAGE = "https://doi.org/10.6084/m9.figshare.1008029"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Put folders `ir/` and `vi/` with equal file names there, or inside a folder `tno/`. The
    collection is published at https://doi.org/10.6084/m9.figshare.1008029; the README of this
    builder says how its pairs are named here.
    """

    def folder_names(self):
        """As people name it."""
        return ["tno", "TNO"]
