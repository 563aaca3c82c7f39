from migctl.events import Position as Position
from migctl.publisher.drafts import NewEvent as NewEvent
from migctl.publisher.drafts import Published as Published
from migctl.publisher.publisher import Publisher as Publisher
from migctl.subscriber.release import Discontinuity as Discontinuity
from migctl.subscriber.release import Release as Release
from migctl.subscriber.whole import Subscriber as Subscriber

__version__: str
