"""Where documents are found again: the embedding model, DuckDB with vectors and filters, and the words index.

Importing this package imports nothing heavy; DuckDB, Arrow, tantivy and FastEmbed come with the modules that use them.
"""
