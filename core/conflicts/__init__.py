"""What was changed differently in two places: both versions, kept until somebody rules."""
