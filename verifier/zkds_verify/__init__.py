"""A verifier of certificates, independent of the package zkds: the standard library alone, written from docs/specification."""
