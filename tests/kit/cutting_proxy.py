"""The name by which tests ask for the TCP proxy."""

from tests.kit.tcp_proxy import TcpProxy as CuttingProxy
from tests.kit.tcp_proxy import tcp_proxy as cutting_proxy

__all__ = ["CuttingProxy", "cutting_proxy"]
