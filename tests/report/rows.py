"""Small hand-made sweeps."""

from compression.results import wilson


def row(granularity, sparsity, correct, n=400, **more):
    """One flat row of a sweep; 400 images, so that a quarter of a point is one image."""
    low, high = wilson(correct, n)
    baseline = granularity == "baseline"
    plain = {
        "model": "net",
        "data": "digits",
        "granularity": granularity,
        "criterion": "" if baseline else "magnitude",
        "scope": "" if baseline else "global",
        "sparsity": sparsity,
        "achieved_sparsity": sparsity,
        "epochs": 0,
        "seed": 0,
        "accuracy": correct / n,
        "accuracy_low": low,
        "accuracy_high": high,
        "n": n,
        "split": "val",
        "packed_bytes": 100_000,
        "file_bytes": 100_000,
        "params": 25_000,
        "nonzero": 25_000,
        "macs": 1_000_000,
        "memory_bytes": 200_000,
    }
    return plain | more


def timed(speedup, half=0.05):
    """The fields of a timing."""
    return {"speedup": speedup, "speedup_low": speedup - half, "speedup_high": speedup + half, "batch": 1}


def sweep():
    """Weights get small and not fast; channels get both, and fall sooner."""
    return [
        row("baseline", 0.0, 392, **timed(1.0)),
        row("weights", 0.3, 392, packed_bytes=73_000, **timed(1.0)),
        row("weights", 0.5, 390, packed_bytes=53_000, **timed(1.01)),
        row("weights", 0.7, 376, packed_bytes=33_000, **timed(0.99)),
        row("channels", 0.3, 390, packed_bytes=50_000, macs=500_000, **timed(1.6)),
        row("channels", 0.5, 380, packed_bytes=25_000, macs=250_000, **timed(2.2)),
        row("channels", 0.7, 250, packed_bytes=10_000, macs=100_000, **timed(3.0)),
    ]
