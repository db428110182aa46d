"""The machine: what it is, what it allows, how loaded it is, and the pool of threads that obeys it."""
