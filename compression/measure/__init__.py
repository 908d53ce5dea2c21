"""What a model is and does: accuracy, size, work, time and energy."""
