"""Identities over the integers about tensors of digits, and their proofs."""
