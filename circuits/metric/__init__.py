"""Loss, perturbation, sharpness and their statistic; semantics and identities."""
