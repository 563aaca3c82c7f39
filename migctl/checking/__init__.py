"""Every kind of file that an operator writes: checked together, and described for editors."""
