"""What is served: each module answers its own routes."""
