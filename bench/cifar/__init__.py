"""Networks of the zoo, trained on CIFAR-10 on two cores: what the proofs of large networks are made for."""
