"""What is proved: the fixed-point semantics of directional sharpness, and the circuit that says the same of committed cells.

Imported as `zkds.circuits`; the folder stands at the top level because it is what an ML engineer wants to read. From the ground
up, each room imports those above it in this list only (tests/repository/test_rooms.py):

    arithmetic      the integers: formats, the one rounding, the configuration, exact sums, tables of functions
    networks        the public description of a network, networks with a name, the integers that stand for weights
    operators       what networks are made of, each one file: its tensors, identities and claims
    models          the weights w_0: a public model's, or those under a private model's root
    semantics       a whole probe on integers, executable by itself (docs/fixed-point.md)
    record_inputs   from records to its inputs and labels
    metric          softmax, perturbation and sharpness, logarithm and statistic; the published results
    model_files     files that hold a model, read strictly: checkpoints, programs, safetensors; from torch to networks
    certificate     the relation, statements, proving, verifying, the simulator, what verifying costs

The general machinery of tensors, claims and identities knows no network and lives in zkds/tensors and zkds/identities.
"""
