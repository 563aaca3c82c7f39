"""Rollout: stages, gates and steps as data, and the walk from one to the next."""
