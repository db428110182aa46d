"""Documentation as found on disk or in installed packages, read into passages."""
