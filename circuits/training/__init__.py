"""One step of training, proved: what a proof of training repeats for every batch."""
