"""Architectures, sample models and model files."""
