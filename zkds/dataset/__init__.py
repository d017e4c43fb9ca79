"""Committed data sets: schema, records, Ajtai leaves, Merkle tree, files, sampling of batches, membership."""
