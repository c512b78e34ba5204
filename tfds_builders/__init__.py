"""Data set builders for TFDS: importing this package registers them all."""
