"""The passphrase of the tests, and a cost of guessing it that lets them be quick."""

PASSPHRASE = "correct horse battery"
CHEAP = 2
