"""Sets of recipes, run outside the page."""
