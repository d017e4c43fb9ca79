"""Networks as a public description, and their weights."""
