"""Lookups: every cell of the checked part of the committed vector is in its table (LogUp-GKR).

tables.py          tables, and what the verifier computes of them
plan.py            which leaf is which cell, chunks, sizes
multiplicities.py  how often each row of each table is looked up
tree.py            the sum of fractions of one chunk, reduced to its leaves
argument.py        the whole argument: `prove` and `verify`
"""

from zkds.lookup.argument import prove, verify
from zkds.lookup.multiplicities import NotInTable, multiplicities
from zkds.lookup.plan import MULTIPLICITIES, Lookup, LookupPlan, multiplicity_column
from zkds.lookup.tables import ExplicitTable, RangeTable, Table

__all__ = [
    "MULTIPLICITIES",
    "ExplicitTable",
    "Lookup",
    "LookupPlan",
    "NotInTable",
    "RangeTable",
    "Table",
    "multiplicities",
    "multiplicity_column",
    "prove",
    "verify",
]
