"""The history checker: everything that `serve` promises about events, checked from outside while every part of it is killed.

It shares nothing with the product: it speaks HTTP, WebSocket, Phoenix and SQL by itself, and starts the product as a program.
Producers, a nemesis and readers write one history, in the order in which things happened to this process; `checker` reads it.

| module | what it does |
|---|---|
| `content` | draws events, and says what one holds, however it is spelled |
| `records` | the history: NDJSON, a record a line |
| `parts` | the stack and `serve`, as programs |
| `lines` | TCP lines between them, which break |
| `producers`, `readers`, `changes`, `tables` | those who write and read, each over its own protocol |
| `tokens` | the token of all of these, those that are revoked, and who tries them |
| `captures` | the product's own subscribers, as programs |
| `nemesis` | kills, stops, clock steps and faults, drawn by seed |
| `checker` | the verdict on a history; pure |
| `run` | one run: all of them, then quiet, then the verdict |

    ./dev run python -m tests.crash.history --minutes 60
"""
