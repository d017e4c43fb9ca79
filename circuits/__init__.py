"""What is proved: the fixed-point semantics of directional sharpness, and the circuit that says the same of committed cells."""
