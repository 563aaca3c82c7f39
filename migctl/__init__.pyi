from migctl.subscriber.release import Discontinuity as Discontinuity
from migctl.subscriber.release import Release as Release
from migctl.subscriber.whole import Subscriber as Subscriber

__version__: str
