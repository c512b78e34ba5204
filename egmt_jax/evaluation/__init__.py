"""Evaluation of models on pairs: scores, entire splits, the effect of guidance."""
