"""Espalier: prune and distil neural networks and see what each choice costs and buys."""
