"""Witness: what gates believe, seen from outside `serve`, one window of evidence a minute."""
