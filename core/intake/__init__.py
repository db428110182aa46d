"""The door of hooks: what a client's hook leaves behind in a moment, and how the engine takes it in."""
