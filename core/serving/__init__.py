"""The engine's local door: other processes of the same person reach search and the engine's work through it."""
