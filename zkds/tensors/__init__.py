"""Tensors of digits, and claims about them; knows no network."""
