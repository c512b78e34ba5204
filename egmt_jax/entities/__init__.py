"""From captions to entities: an extractor, a vocabulary, text features.

Importing needs numpy and the standard library only; text encoders are loaded when they are used.
"""

from egmt_jax.entities.annotations import read_captions
from egmt_jax.entities.extraction import extract
from egmt_jax.entities.features import TextFeatures, build_table, embed, load_text_features
from egmt_jax.entities.vocabulary import MOST_ENTITIES, Vocabulary, load_vocabulary

__all__ = [
    "MOST_ENTITIES",
    "TextFeatures",
    "Vocabulary",
    "build_table",
    "embed",
    "extract",
    "load_text_features",
    "load_vocabulary",
    "read_captions",
]
