"""Experiments: who was served which variant, whether they keep it, and what the variants' figures say, with their doubt."""
