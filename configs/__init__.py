"""Configs of launch.py, one module each."""
