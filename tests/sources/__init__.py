"""Contract and fuzz tests over the registry, with recorded cases."""
