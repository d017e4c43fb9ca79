"""The demonstration, and the trained networks that it and the benches prove things about."""
