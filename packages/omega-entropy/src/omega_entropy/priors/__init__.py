"""The priors of Omega."""
