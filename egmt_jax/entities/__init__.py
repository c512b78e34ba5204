"""From captions to entities: extractor, vocabulary, text features. Needs NumPy only."""

from egmt_jax.entities.annotations import read_captions
from egmt_jax.entities.extraction import extract
from egmt_jax.entities.features import build_table, embed, load_text_features
from egmt_jax.entities.vocabulary import MOST_ENTITIES, Vocabulary, load_vocabulary

__all__ = [
    "MOST_ENTITIES",
    "Vocabulary",
    "build_table",
    "embed",
    "extract",
    "load_text_features",
    "load_vocabulary",
    "read_captions",
]
