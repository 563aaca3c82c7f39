"""SUPABASE_URL, as people copy it: mended where it can only mean one address, else refused by name."""

from __future__ import annotations

import re

from migctl.config.warned import warn
from migctl.errors import Usage

VARIABLE = "SUPABASE_URL"

_PROJECT_URL = re.compile(
    r"(https?)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?(/[\x21-\x7e]*)?", re.IGNORECASE
)
# What the parts of a project answer under, with what may follow.
_API = re.compile(r"/(?:rest|auth|realtime|storage|functions|graphql)/v1(?:/.*)?")
_DASHBOARD = re.compile(r"(?:www\.|app\.)?supabase\.(?:com|io)")
_REFERENCE = re.compile(r"/project/([a-z0-9]{20})(?:/|$)")
_DATABASE = re.compile(r"db\.([a-z0-9]{20}\.supabase\.co)")


def project_url(text: str) -> str:
    """The address that everything of the project is under, without a slash at its end. Raises Usage.

    | it has                                    | then                                     |
    |-------------------------------------------|------------------------------------------|
    | white space around it, slashes at its end | it goes                                  |
    | upper case in scheme or host              | it is lower case                         |
    | the path of an API (`/rest/v1`)           | that goes, with a warning                |
    | another path                              | it stays, but under supabase.co: refused |
    | a user, a query or a fragment             | refused                                  |
    | the host of the dashboard, or of `db.`    | refused                                  |
    """
    url = text.strip().rstrip("/")
    if "@" in url:  # not quoted: what is before it is a password
        raise Usage(
            f"{VARIABLE}: expected https://PROJECT.supabase.co, got an address with a user",
            do="set the address alone; the keys have variables of their own",
        )
    found = _PROJECT_URL.fullmatch(url)
    if found is None:
        raise _refused(url, "set the address of the project")
    scheme, host, port, path = found[1].lower(), found[2].lower(), found[3] or "", found[4] or ""
    if "?" in path or "#" in path:  # not quoted: a key may be in it
        raise Usage(
            f"{VARIABLE}: expected https://PROJECT.supabase.co, got an address with a query or a fragment",
            do="set the address alone; the keys have variables of their own",
        )
    if _DASHBOARD.fullmatch(host):
        reference = _REFERENCE.search(path)
        project = reference[1] if reference is not None else "PROJECT"
        raise _refused(
            url, f"that is the dashboard; the project's own address is https://{project}.supabase.co"
        )
    if (database := _DATABASE.fullmatch(host)) is not None:
        raise _refused(url, f"that is the database's host; the project's address is https://{database[1]}")
    kept = _API.sub("", path)
    if kept != path:
        warn(
            f"{VARIABLE}: {path} is one part of the project, and left out: the address is {scheme}://{host}{port}{kept}"
        )
    if kept and host.endswith(".supabase.co"):
        raise _refused(url, f"leave {kept} out: https://{host}")
    return f"{scheme}://{host}{port}{kept}"


def _refused(url: str, do: str) -> Usage:
    return Usage(f"{VARIABLE}: expected https://PROJECT.supabase.co, got {url!r}", do=do)
