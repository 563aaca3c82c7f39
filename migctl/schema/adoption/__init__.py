"""Adoption: an events table with rows, made by hand or by an older tool, becomes that of 0001 while it is read and written.

What can't end well is refused before a statement is run (`refusals`). The rest is done in steps (`steps`), none of which holds up
readers for longer than the patience that was given, and which are read from the table itself (`shape`), so that a run that was
killed is finished by the next.
"""
