"""Data sets as resident tensors."""
