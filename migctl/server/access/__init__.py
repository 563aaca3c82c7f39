"""Who may pass: tokens, rules, the guard that asks them, what pages of other origins get, and how much a token may send."""
