"""From captions to entities: extractor, vocabulary, text features. Needs NumPy only."""

# ruff: noqa: F401  (these are the public names)
from egmt_jax.entities.annotations import read_captions
from egmt_jax.entities.extraction import extract
from egmt_jax.entities.features import build_table, embed, load_text_features
from egmt_jax.entities.vocabulary import MOST_ENTITIES, Vocabulary, load_vocabulary
