"""The page of `egmt app`, in gradio; `egmt_jax.cli.page` has its content."""

import contextlib
import html
import os
import pathlib
import socket
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from egmt_jax.cli import page as pages
from egmt_jax.entities.vocabulary import MOST_ENTITIES
from egmt_jax.errors import UserError
from egmt_jax.inference.fuser import Fuser
from egmt_jax.io.images import SUFFIXES, write_png

SWEEP_SECONDS, KEPT_SECONDS = 600, 7200  # interval of clean-ups, age at which files are removed
# System fonts, since others are fetched from the network.
THEME = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
# Enlarges small images as the sliders do.
CSS = "#attention img { width: 100%; height: auto; object-fit: contain !important; }"
TITLE = "EGMT: fuse a visible and an infrared image"
INTRODUCTION = """# Fuse a visible and an infrared image
Give a registered pair of at most 25 megapixels, or pick an example. The entities that the model
predicts guide the fusion; choose others to guide it by them."""
GUIDANCE = [
    ("what the model predicts", pages.PREDICTED),
    ("the entities chosen below", pages.CHOSEN),
    ("nothing", pages.NONE),
]
# Arguments of components, and of the server.
GUIDED_BY: dict[str, Any] = dict(value=pages.PREDICTED, label="Guided by", elem_id="guidance")
ENTITIES: dict[str, Any] = dict(
    value=[],
    multiselect=True,
    max_choices=MOST_ENTITIES,
    label=f"Entities, {MOST_ENTITIES} at most",
    info="After a fusion: with the probability that they are in the pair.",
    elem_id="entities",
)
FILE: dict[str, Any] = dict(file_types=sorted(SUFFIXES), height=130)
VIEW: dict[str, Any] = dict(format="png", interactive=False, buttons=["fullscreen"])
GALLERY: dict[str, Any] = dict(columns=2, height=330, object_fit="cover", buttons=[])
GALLERY |= dict(show_label=False, interactive=False, allow_preview=False, elem_id="examples")
SCORES: dict[str, Any] = dict(interactive=False, max_height=900, elem_id="scores")
SCORES |= dict(headers=["metric", "fused", "average"], datatype=["str", "number", "number"])
SCORES |= dict(label="Metrics of the fused image and of the average of the sources")
OFF = ("share", "inbrowser", "inline", "ssr_mode", "run_history")
LAUNCH: dict[str, Any] = dict(theme=THEME, css=CSS, max_file_size="64mb", footer_links=[])
LAUNCH |= dict(prevent_thread_lock=True, quiet=True) | dict.fromkeys(OFF, False)


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
            file = pathlib.Path(folder, f"{pathlib.Path(visible).stem}-fused.png")
            write_png(file, result.picture)
            fused, guides = result.fused, pages.attention_choices(result.fused)
            first = guides[0][1] if guides else None
            yield {
                notes: "\n\n".join(f"**Note:** {html.escape(each)}" for each in result.warnings),
                fusion: fused,
                results: gr.Column(visible=True),
                against_visible: (result.visible, result.picture),
                against_infrared: (result.infrared, result.picture),
                download: gr.DownloadButton(value=str(file)),
                choice: gr.Dropdown(choices=pages.choices(fused)),
                entity: gr.Dropdown(choices=guides, value=first, visible=bool(guides)),
                attention: gr.Image(pages.attention_picture(fused, first), visible=bool(guides)),
                scores: result.scores,
            }

    def pick(event: gr.SelectData) -> tuple[str, str]:
        return str(examples[event.index].visible), str(examples[event.index].infrared)

    def slider(kind: str) -> gr.ImageSlider:
        return gr.ImageSlider(label=f"{kind} | fused", elem_id=f"against-{kind.lower()}", **VIEW)

    times = (SWEEP_SECONDS, KEPT_SECONDS)
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=times) as page:
        fusion = gr.State(time_to_live=KEPT_SECONDS)
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                visible = gr.File(label="Visible image", elem_id="visible", **FILE)
                infrared = gr.File(label="Infrared image", elem_id="infrared", **FILE)
                guidance = gr.Radio(GUIDANCE, **GUIDED_BY)
                choice = gr.Dropdown(list(fuser.names), **ENTITIES)
                button = gr.Button("Fuse", variant="primary", elem_id="fuse")
                gr.Markdown("Examples: made-up scenes, visible on the left, infrared on the right.")
                gallery = gr.Gallery([(each.picture, each.time) for each in examples], **GALLERY)
            with gr.Column(scale=5, min_width=480):
                notes = gr.Markdown(elem_id="notes")
                with gr.Column(visible=False) as results:
                    with gr.Row():
                        against_visible, against_infrared = slider("Visible"), slider("Infrared")
                    download = gr.DownloadButton("Download the image (PNG)", elem_id="download")
                    with gr.Row():
                        with gr.Column():
                            entity = gr.Dropdown([], label="Attention to", elem_id="entity")
                            attention = gr.Image(label="Attention", elem_id="attention", **VIEW)
                        scores = gr.Dataframe(**SCORES)
        arguments = [visible, infrared, guidance, choice]
        parts = [notes, fusion, results, against_visible, against_infrared, download]
        parts += [choice, entity, attention, scores]
        button.click(fuse, arguments, parts)
        gallery.select(pick, None, [visible, infrared]).then(fuse, arguments, parts)
        preselected = guidance.input(pages.preselect, [guidance, choice, fusion], choice)
        preselected.then(fuse, arguments, parts)
        choice.input(lambda: pages.CHOSEN, None, guidance).then(fuse, arguments, parts)
        entity.input(pages.attention_picture, [fusion, entity], attention)
    return page.queue(default_concurrency_limit=1)


@contextlib.contextmanager
def serve(fuser: Fuser, host: str, port: int) -> Iterator[str]:
    """Serves the page at the yielded URL, then removes its files; UserError: unusable address."""
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:  # gradio's own message gives no reason
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        fix = "name another --port or --host"
        raise UserError(f"{host}:{port}: cannot listen ({error.strerror}); {fix}") from error
    with tempfile.TemporaryDirectory(prefix="egmt-app-") as folder:
        # gradio reads it when components are made; it has no argument for it.
        os.environ["GRADIO_TEMP_DIR"] = str(pathlib.Path(folder, "cache"))
        page = build(fuser, pages.write_examples(pathlib.Path(folder, "examples")))
        name = f"[{host}]" if ":" in host else host
        page.launch(server_name=name, server_port=port, allowed_paths=[folder], **LAUNCH)
        try:
            yield page.local_url
        finally:
            page.close(verbose=False)
