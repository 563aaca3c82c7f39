"""What a drill acts on: a stack, lines with faults, `serve`, producers and subscribers, each a process of its own."""
