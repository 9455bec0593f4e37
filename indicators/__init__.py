"""Coal equivalent, unit-product energy, comparison with norms. Pure: numbers in, numbers out."""
