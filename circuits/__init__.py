"""What is proved: the fixed-point semantics of directional sharpness, and the circuit that says the same of committed cells.

Imported as `zkds.circuits`; the folder stands at the top level because it is what an ML engineer wants to read.

The model
    graph               the public description of a network: `Network`, `Layer`, `Pool`
    zoo                 networks with a name
    model_file          reads model files; foreign_models says what other files are and what to do with them
    archive             torch's zip archives, strictly; checkpoint and program are its two formats, read as data, without torch
    safetensors         a third format; stored_tensors are tensors in a file, not read yet
    state_dict          from the names in a checkpoint to those of a network
    strict_json         JSON with one meaning; operators are those a program may have, with their arguments
    torch_import        from programs of torch.export, and from modules, to networks; obstacles lists what can't be proved
    torch_module        the torch module of a network
    weights             the integers that stand for parameters, and the digest of a public model
    threshold           tau.json: a calibrated threshold with its settings
    private_model       weights that nobody but the owner sees; model_root reads and writes their files

The semantics, executable by itself (docs/fixed-point.md)
    fixed_point         formats, the one rounding, the configuration
    exact, tables       exact sums of products; the exponential and the logarithm
    window_views        a convolution's sums as products of matrices
    semantics           a whole probe on integers
    record_inputs       from records to its inputs and labels

Tensors and claims
    axes                weights along the axes of a tensor, and the padded index space of a sumcheck over it
    tensors             committed and virtual tensors, and claims about them that wait until their turn comes
    reshaping, pooling  tensors with the entries of another one in other places, or sums of them
    expressions         integer expressions in tensors; elementwise proves identities between them, entry by entry
    block_plan, block_weights    the public part of such a block of identities, and its weights at the challenges
    field_tables, contraction    the arithmetic below
    settlement          linear equations between hidden values: the end of every relation's protocol

Layers
    layers              one layer as a part of the circuit, forwards and backwards
    convolution         its three sums; windows is their geometry, sums and rounded are what a rounded sum is
    low_digits          exact sums of the low digits of products, for the carries of its identities
    selection, max_pool what stands between two convolutions
    weights_trajectory, public_model     the weights at every step, and at the first

Between the layers
    scalars             softmax, norms, logarithm and statistic put together; gadget is what they are made of

The whole
    directional_sharpness    the relation
    statement           every public choice, and the results
    proving, certificate     make a certificate, check one
    degenerate          results that say nothing: their names, and sentences about them
    work                what verifying a statement costs, counted before it is done
    file_kinds          what a file seems to be, for messages
    summary             what the compiler made of a network: columns, cells, lookups
    simulator           certificates without records or trajectory under programmed challenges: zero knowledge, executable
"""
