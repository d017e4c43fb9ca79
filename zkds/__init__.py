"""zkds: zero-knowledge proofs of directional sharpness."""

__version__ = "0.1.0"
