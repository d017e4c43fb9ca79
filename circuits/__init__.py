"""What is proved: the fixed-point semantics of directional sharpness, and the circuit that says the same of committed cells.

Imported as `zkds.circuits`; the folder stands at the top level because it is what an ML engineer wants to read.

    graph         the public description of a network: `Network`, `Layer`, `Pool`
    tensors       tensors of the circuit, and claims about them that wait until their turn comes
"""
