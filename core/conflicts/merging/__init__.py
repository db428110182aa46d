"""Merging as such, pure: three versions, what each changed, a decision at each place, and the result."""
