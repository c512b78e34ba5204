"""The page of `egmt app`, in gradio; `egmt_jax.cli.page` has its content."""

import contextlib
import html
import os
import pathlib
import socket
import tempfile
from collections.abc import Iterator, Sequence

import gradio as gr
import numpy as np

from egmt_jax.cli import page as pages
from egmt_jax.entities.vocabulary import MOST_ENTITIES
from egmt_jax.errors import UserError
from egmt_jax.inference.fuser import Fused, Fuser
from egmt_jax.io.images import SUFFIXES, read_image, to_rgb, write_png

LARGEST_FILE = "64mb"
EXAMPLES_HEIGHT = 330  # pixels
SWEEP_SECONDS, KEPT_SECONDS = 600, 7200
"""Interval between clean-ups, and the age at which files are removed."""

# System fonts, since others are fetched from the network.
THEME = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])

# Enlarges small images as the sliders do.
CSS = "#attention img { width: 100%; height: auto; object-fit: contain !important; }"

INTRODUCTION = """# Fuse a visible and an infrared image
Give a registered pair of at most 25 megapixels, or pick an example. The entities that the model
predicts guide the fusion; choose others to guide it by them."""

VIEW = dict(format="png", interactive=False, buttons=["fullscreen"])
OFF = ("share", "inbrowser", "inline", "ssr_mode", "run_history")


def build(fuser: Fuser, examples: Sequence[pages.Example]) -> gr.Blocks:
    """The page; sessions share the model, but no images."""

    def fuse(visible, infrared, guidance, entities):
        """A generator, so that the file is removed after gradio has copied it."""
        try:
            result = pages.fuse_pair(fuser, visible, infrared, guidance, entities)
        except UserError as error:
            message = html.escape(str(error))
            gr.Warning(message, title="Not fused")
            hidden = {results: gr.Column(visible=False), download: gr.DownloadButton(value=None)}
            yield {notes: f"**Not fused:** {message}", fusion: None, **hidden}
            return
        with tempfile.TemporaryDirectory() as folder:
            name = f"{pathlib.Path(visible).stem}-fused.png"
            write_png(pathlib.Path(folder, name), result.picture)
            file = gr.DownloadButton(value=str(pathlib.Path(folder, name)))
            yield {**shown(result), download: file}

    def shown(result: pages.Result) -> dict:
        fused, guides = result.fused, pages.attention_choices(result.fused)
        first = guides[0][1] if guides else None
        return {
            notes: "\n\n".join(f"**Note:** {html.escape(each)}" for each in result.warnings),
            fusion: fused,
            results: gr.Column(visible=True),
            against_visible: (result.visible, result.picture),
            against_infrared: (result.infrared, result.picture),
            entities: gr.Dropdown(choices=pages.choices(fuser.names, fused)),
            entity: gr.Dropdown(choices=guides, value=first, visible=bool(guides)),
            attention: gr.Image(pages.attention_picture(fused, first), visible=bool(guides)),
            scores: result.scores,
        }

    def pick(event: gr.SelectData) -> tuple[str, str]:
        example = examples[event.index]
        return str(example.visible), str(example.infrared)

    def preselect(guidance: str, entities: list[str], fused: Fused | None) -> list[str]:
        return entities or (pages.first_choice(fused) if guidance == pages.CHOSEN else [])

    with gr.Blocks(
        title="EGMT: fuse a visible and an infrared image",
        analytics_enabled=False,
        delete_cache=(SWEEP_SECONDS, KEPT_SECONDS),
    ) as page:
        types = sorted(SUFFIXES)
        fusion = gr.State(time_to_live=KEPT_SECONDS)
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                visible, infrared = (
                    gr.File(
                        label=f"{name} image", file_types=types, height=130, elem_id=name.lower()
                    )
                    for name in ("Visible", "Infrared")
                )
                guidance = gr.Radio(
                    [
                        ("what the model predicts", pages.PREDICTED),
                        ("the entities chosen below", pages.CHOSEN),
                        ("nothing", pages.NONE),
                    ],
                    value=pages.PREDICTED,
                    label="Guided by",
                    elem_id="guidance",
                )
                entities = gr.Dropdown(
                    pages.choices(fuser.names),
                    value=[],
                    multiselect=True,
                    max_choices=MOST_ENTITIES,
                    label=f"Entities, {MOST_ENTITIES} at most",
                    info="After a fusion: with the probability that they are in the pair.",
                    elem_id="entities",
                )
                button = gr.Button("Fuse", variant="primary", elem_id="fuse")
                gr.Markdown("Examples: made-up scenes, visible on the left, infrared on the right.")
                gallery = gr.Gallery(
                    [(_half_and_half(example), example.time) for example in examples],
                    show_label=False,
                    columns=2,
                    height=EXAMPLES_HEIGHT,
                    object_fit="cover",
                    allow_preview=False,
                    interactive=False,
                    buttons=[],
                    elem_id="examples",
                )
            with gr.Column(scale=5, min_width=480):
                notes = gr.Markdown(elem_id="notes")
                with gr.Column(visible=False) as results:
                    with gr.Row():
                        against_visible, against_infrared = (
                            gr.ImageSlider(label=f"{name} | fused", elem_id=f"against-{id}", **VIEW)
                            for id, name in (("visible", "Visible"), ("infrared", "Infrared"))
                        )
                    download = gr.DownloadButton("Download the image (PNG)", elem_id="download")
                    with gr.Row():
                        with gr.Column():
                            entity = gr.Dropdown([], label="Attention to", elem_id="entity")
                            attention = gr.Image(label="Attention", elem_id="attention", **VIEW)
                        scores = gr.Dataframe(
                            headers=["metric", "fused", "average"],
                            datatype=["str", "number", "number"],
                            label="Metrics of the fused image and of the average of the sources",
                            interactive=False,
                            max_height=900,
                            elem_id="scores",
                        )
        arguments = [visible, infrared, guidance, entities]
        parts = [notes, fusion, results, against_visible, against_infrared, download]
        parts += [entities, entity, attention, scores]
        button.click(fuse, arguments, parts)
        gallery.select(pick, None, [visible, infrared]).then(fuse, arguments, parts)
        preselected = guidance.input(preselect, [guidance, entities, fusion], entities)
        preselected.then(fuse, arguments, parts)
        entities.input(lambda: pages.CHOSEN, None, guidance).then(fuse, arguments, parts)
        entity.input(pages.attention_picture, [fusion, entity], attention)
    return page.queue(default_concurrency_limit=1)


def _half_and_half(example: pages.Example) -> np.ndarray:
    visible, infrared = (to_rgb(read_image(path)) for path in (example.visible, example.infrared))
    middle = visible.shape[1] // 2
    return np.concatenate([visible[:, :middle], infrared[:, middle:]], axis=1)


@contextlib.contextmanager
def serve(fuser: Fuser, host: str, port: int) -> Iterator[str]:
    """Serves the page while the context is open, then removes all files of it; yields its URL.

    Raises:
      UserError: the address is in use, or not one of this machine.
    """
    host = host.strip("[]")
    ipv6 = ":" in host
    try:  # gradio's own message gives no reason
        with socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise UserError(
            f"{host}:{port}: cannot listen ({error.strerror}); name another --port or --host"
        ) from error
    with tempfile.TemporaryDirectory(prefix="egmt-app-") as folder:
        # gradio reads it when components are made; it has no argument for it.
        os.environ["GRADIO_TEMP_DIR"] = str(pathlib.Path(folder, "cache"))
        page = build(fuser, pages.write_examples(pathlib.Path(folder, "examples")))
        page.launch(
            server_name=f"[{host}]" if ipv6 else host,
            server_port=port,
            theme=THEME,
            css=CSS,
            prevent_thread_lock=True,
            quiet=True,
            footer_links=[],
            max_file_size=LARGEST_FILE,
            allowed_paths=[folder],
            **dict.fromkeys(OFF, False),
        )
        try:
            yield page.local_url
        finally:
            page.close(verbose=False)
