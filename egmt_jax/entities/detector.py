"""Entities in captions by Flan-T5 (Chung et al. 2022, arXiv 2210.11416), as in the paper."""

import re
from collections.abc import Callable, Sequence

from egmt_jax.entities.extra import load_model
from egmt_jax.entities.extraction import MOST, denied_entities, extract, mentions
from egmt_jax.entities.lexicon import load_lexicon
from egmt_jax.entities.vocabulary import load_vocabulary

PROMPT = (
    "List the physical objects in this sentence, separated by commas.\n\n"
    "Sentence: {caption}\n\nObjects:"
)
LEAST = 2
_LONGEST = 64  # tokens of an answer
# Answers come as "a car, two people and a road", as lines, or numbered.
_SEPARATOR = re.compile(r"[,;|/\n•]|\band\b|\b\d+[.)]")
_LEADING = re.compile(r"^(?:(?:a|an|the|some|several|many|one|two|three|\d+)\s+)+", re.IGNORECASE)


def load_detector(model: str) -> Callable[[Sequence[str]], list[str]]:
    """Loads a Flan-T5 entity detector; on a GPU where there is one, then in bfloat16.

    Args:
      model: hub id, such as "google/flan-t5-large", or local path of a T5 model that follows
        instructions.

    Returns:
      A function from captions to the model's answers, for `parse_answer`. It decodes greedily.

    Raises:
      UserError: the extra [annotate] is not installed, or the model does not load.
    """
    torch, tokenizer, network = load_model(
        "entity detector", model, "t5", "AutoTokenizer", "T5ForConditionalGeneration"
    )

    def detect(captions: Sequence[str]) -> list[str]:
        prompts = [PROMPT.format(caption=caption) for caption in captions]
        inputs = tokenizer(
            prompts, padding=True, truncation=True, max_length=512, return_tensors="pt"
        ).to(network.device)
        with torch.inference_mode():
            tokens = network.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=_LONGEST,
                do_sample=False,
            )
        return tokenizer.batch_decode(tokens, skip_special_tokens=True)

    return detect


def parse_answer(answer: str) -> tuple[list[str], list[str]]:
    """Reads a detector's answer.

    Args:
      answer: names of things, separated by commas, semicolons, "and", lines or numbers.

    Returns:
      Canonical names of the vocabulary, and the words that name none of them; both in order and
      without duplicates. A name counts if all of it is known ("people"), or else for the things
      mentioned in it ("two parked cars").
    """
    vocabulary, lexicon = load_vocabulary(), load_lexicon()
    known: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for piece in _SEPARATOR.split(answer.lower()):
        name = _LEADING.sub("", piece.strip(" \t.:!?-*\"'()[]")).strip()
        if not name:
            continue
        if name in vocabulary:
            known[vocabulary.canonical(name)] = None
            continue
        found = [entity for entity, _ in mentions(name, lexicon) if entity in vocabulary.names]
        known |= dict.fromkeys(found)
        if not found:
            unknown[name] = None
    return list(known), list(unknown)


def merge_entities(
    answers: Sequence[str], caption_visible: str, caption_infrared: str
) -> tuple[list[str], list[str]]:
    """Makes one entity list of a detector's answers about the two captions of a pair.

    What the captions only deny ("no people") is dropped. The order is that of `extract`, then
    that of the answers. If fewer than two are left, what `extract` finds is added.

    Args:
      answers: about the visible and the infrared caption.
      caption_visible: of the visible image.
      caption_infrared: of the infrared image.

    Returns:
      At most 8 canonical names, most salient first, and the words outside the vocabulary.
    """
    known: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for answer in answers:
        inside, outside = parse_answer(answer)
        known |= dict.fromkeys(inside)
        unknown |= dict.fromkeys(outside)
    denied = denied_entities(caption_visible, caption_infrared)
    detected = [name for name in known if name not in denied]
    extracted = extract(caption_visible, caption_infrared)
    entities = [name for name in extracted if name in detected]
    entities += [name for name in detected if name not in extracted]
    if len(entities) < LEAST:
        entities += [name for name in extracted if name not in entities]
    return entities[:MOST], list(unknown)
