"""The sign-off report: what a rollout went through, from the record, for who has to put their name to it."""
