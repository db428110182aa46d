"""Keys and sealing: the workspace's identity, the slots that open it, and bytes sealed in the age v1 format.

Importing this package and its modules imports nothing heavy: pyrage, cryptography and keyring come when first used.
What a person types, what lies in key files and what is derived from them is held in ``Secret``, never in plain.
"""
