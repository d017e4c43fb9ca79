"""The weights w_0 of a proof: a public model's or a private one's."""
