"""The TCP proxy used alone: Toxiproxy's HTTP API in front of any number of proxies, so that its clients work unchanged."""

from migctl.faults.api.configfile import named, read_config
from migctl.faults.api.documents import NewProxy
from migctl.faults.api.serving import Wanted, serving

__all__ = ["NewProxy", "Wanted", "named", "read_config", "serving"]
