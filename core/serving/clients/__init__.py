"""The configuration files of the programs that agents run in: our entry put in, everything else left as it is."""
