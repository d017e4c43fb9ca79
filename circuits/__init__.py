"""What is proved: the fixed-point semantics of directional sharpness, and the circuit that says the same of committed cells.

Imported as `zkds.circuits` (zkds/circuits/__init__.py leads here); the folder stands at the top level because it is what an ML
engineer wants to read. From the ground up, each room imports those above it in this list only (tests/repository/test_rooms.py):

    arithmetic      the integers: formats, the one rounding, the configuration, exact sums, tables of functions
    operators       what networks are made of, each one file: description, import, semantics, relation
    networks        graphs of operators, networks with a name, the circuit of a network, the integers that stand for weights
    models          the weights w_0: a public model's, or those under a private model's root
    trajectory      everything that a probe computes, by the names of the circuit's tensors
    metric          softmax, perturbation and sharpness, logarithm and statistic: semantics and identities; the results
    model_files     files that hold a model, read strictly: checkpoints, programs, safetensors; from torch to networks
    probe           a whole probe on integers, executable by itself (docs/fixed-point.md)
    probe_records   from records to its inputs and labels
    evaluation      w_0 on other records, forwards only
    training        one step of training, by the same circuit with one pass
    certificate     the relation, statements, proving, verifying, the simulator, what both cost

The general machinery of tensors, claims and identities knows no network and lives in zkds/tensors and zkds/identities.
"""
