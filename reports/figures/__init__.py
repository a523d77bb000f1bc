"""The figures: one function each, tables in, a matplotlib Figure out."""
