"""Inference with a trained model: fusing arrays, files and videos, drawing, exporting."""
