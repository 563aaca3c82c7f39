"""Faults of real parts, each armed and lifted by a word.

On the line before Supabase: a TCP proxy with toxics (`TcpProxy` in this process, `ProxyProcess` as one of its own). In processes:
signals. In the stand-in: the switches of `migctl stack fault`. Nothing here decides when, or what it proves.
"""

from migctl.faults.proxy_process import ProxyProcess, proxy_process
from migctl.faults.signals import go_on, kill, stop, stopped
from migctl.faults.tcp_proxy import TcpProxy, tcp_proxy
from migctl.faults.toxics import Toxic
from migctl.faults.ways import Counts, Word

__all__ = [
    "Counts",
    "ProxyProcess",
    "TcpProxy",
    "Toxic",
    "Word",
    "go_on",
    "kill",
    "proxy_process",
    "stop",
    "stopped",
    "tcp_proxy",
]
