"""Flags: definitions in flagd's format, our own compiled evaluator, and how a share of users changes hands."""
