"""Criteria, masks and surgery."""
