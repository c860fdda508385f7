"""Limits on guesses and on requests."""
