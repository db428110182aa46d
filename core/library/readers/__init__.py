"""Readers: one file per format, each turning text into sections without touching anything but that text."""
