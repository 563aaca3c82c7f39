"""OpenFeature: the flags of migctl in the process of an application, behind the standard SDK. Needs the extra `openfeature`."""

try:
    import openfeature as _sdk  # noqa: F401
except ImportError as error:
    raise ImportError(
        "OpenFeature's SDK is not installed: pip install 'migctl[openfeature]'", name=error.name
    ) from None

from migctl.openfeature.provider import MigctlProvider as MigctlProvider

__all__ = ["MigctlProvider"]
