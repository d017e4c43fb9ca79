"""The operators of networks: each one file."""
