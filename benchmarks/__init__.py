"""What ``make bench`` runs: speed and memory against bars and against peers, side by side."""
