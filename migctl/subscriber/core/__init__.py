"""What every subscriber is, whatever feeds it: the merge, the flow to the application, when to look for what is missing."""
