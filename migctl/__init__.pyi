from migctl.events import Position as Position
from migctl.publisher.drafts import NewEvent as NewEvent
from migctl.publisher.drafts import Published as Published
from migctl.publisher.publisher import Publisher as Publisher
from migctl.subscriber.core.release import Discontinuity as Discontinuity
from migctl.subscriber.core.release import Release as Release
from migctl.subscriber.subscriber import Subscriber as Subscriber

__version__: str
