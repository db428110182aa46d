"""Disclosure: what of the workspace may leave, to whom and in which form; what owners say about it; who was refused."""
