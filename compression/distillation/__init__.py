"""Distillation: what a student learns from a teacher, and where the two are compared."""
