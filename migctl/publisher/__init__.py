"""Publisher: what a service calls instead of writing to its sockets.

An event is handed out as published once it is durable in the journal: of a `serve` that runs elsewhere (`url`), or of this very
process (`journal`). Nothing that was accepted is dropped; what can't be delivered is raised to whoever published it.
"""

from migctl.publisher.drafts import NewEvent, Published
from migctl.publisher.publisher import Publisher
from migctl.publisher.state import PublisherState
from migctl.publisher.waiting import Full

__all__ = ["Full", "NewEvent", "Published", "Publisher", "PublisherState"]
