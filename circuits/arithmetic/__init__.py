"""The integers of the fixed-point semantics: formats, exact sums, tables of functions."""
