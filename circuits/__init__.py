"""What is proved: the fixed-point semantics of directional sharpness, and the circuit that says the same of committed cells.

Imported as `zkds.circuits`; the folder stands at the top level because it is what an ML engineer wants to read.

    graph         the public description of a network: `Network`, `Layer`, `Pool`
    zoo           networks with a name
    model_file    reads model files; checkpoint and program read torch's two formats as data, without torch
    torch_import  from programs of torch.export, and from modules, to networks
    torch_module  the torch module of a network
    weights       the integers that stand for parameters, and the digest of a public model
    tensors       tensors of the circuit, and claims about them that wait until their turn comes
"""
