"""A stack with `serve` and subscribers, all real, each in a process of its own."""
