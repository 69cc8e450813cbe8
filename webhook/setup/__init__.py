"""The first start: pages on which a service without settings is set up, by who sits at its machine."""
