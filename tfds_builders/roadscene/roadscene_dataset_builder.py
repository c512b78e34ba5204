"""RoadScene: 221 registered road scenes, thermal and colour."""

from tfds_builders import pairs_builder


class Builder(pairs_builder.PairsBuilder):
    """Builder of RoadScene; see the README beside it for layouts and splits."""

    HOMEPAGE = "https://github.com/hanna-xu/RoadScene"
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Put `cropinfrared/` and `crop_LR_visible/` of https://github.com/hanna-xu/RoadScene there, or
    folders `ir/` and `vi/` with equal file names; or either inside a folder `roadscene/`.
    """

    def folder_names(self):
        """As people name it, and as its repository unpacks."""
        return ["roadscene", "RoadScene", "RoadScene-master"]

    def layouts(self):
        """The published folders, or plain ones."""
        return [
            (pairs_builder.Folders("crop_LR_visible", "cropinfrared"),),
            (pairs_builder.Folders("vi", "ir"),),
        ]
