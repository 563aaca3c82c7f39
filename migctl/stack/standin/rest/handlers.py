"""HTTP for the PostgREST subset. Each request is one transaction under the role and the claims of its token."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from urllib.parse import quote, urlencode

import psycopg
from aiohttp import web

from migctl.stack.standin.auth import BadToken, Identity, Tokens
from migctl.stack.standin.database import Connection, DatabaseDown, Pool, PoolTimeout, quote_ident, transact
from migctl.stack.standin.gateway import admitted
from migctl.stack.standin.limits import Limits
from migctl.stack.standin.rest import errors, query
from migctl.stack.standin.rest.bodies import read_body
from migctl.stack.standin.rest.catalog import Catalog, Function, Table
from migctl.stack.standin.rest.errors import RestError
from migctl.stack.standin.rest.filters import BadQuery
from migctl.stack.standin.rest.media import Media, negotiated
from migctl.stack.standin.rest.request import Asked, Prefer, parse

_JSON = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Result:
    """total: rows in all, if asked. count: rows in `body`, which is in the form that was negotiated.

    status, headers: as a function or a trigger set them, which is JSON for headers. inserted: of an upsert that merges.
    """

    total: int | None
    count: int
    body: str
    status: str | None
    headers: str | None
    inserted: int | None


class Rest:
    """The routes below /rest/v1. wall: seconds since 1970."""

    def __init__(
        self, pool: Pool, tokens: Tokens, catalog: Catalog, limits: Limits, wall: Callable[[], float]
    ) -> None:
        self._pool = pool
        self._tokens = tokens
        self._catalog = catalog
        self._limits = limits
        self._wall = wall

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/rest/v1/", self._answered(self._root)),
            web.route("*", "/rest/v1/rpc/{name}", self._answered(self._rpc)),
            web.route("*", "/rest/v1/{name}", self._answered(self._table)),
        ]

    def _answered(
        self, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            try:
                return await handler(request)
            except RestError as error:
                if error.code.startswith("PGRST20"):
                    self._catalog.forget()  # what is missing may just have been made
                refusal = error
            except BadQuery as error:
                refusal = errors.from_query(error)
            except BadToken as error:
                refusal = errors.from_token(error)
            except (DatabaseDown, PoolTimeout) as error:
                refusal = errors.from_outage(error)
            except psycopg.Error as error:
                self._catalog.forget()
                anonymous = self._identity(request).role == "anon"
                refusal = errors.from_postgres(error, anonymous=anonymous)
            headers = {"Content-Type": _JSON, **refusal.headers}
            return web.Response(status=refusal.status, body=refusal.body(), headers=headers)

        return answer

    def _identity(self, request: web.Request) -> Identity:
        return self._tokens.for_rest(admitted(request).token, self._wall())

    async def _root(self, request: web.Request) -> web.Response:
        self._identity(request)
        body = {
            "swagger": "2.0",
            "info": {"title": "migctl stand-in", "description": "a stand-in for PostgREST", "version": "0"},
            "paths": {},
        }
        return web.Response(text=json.dumps(body), headers={"Content-Type": _JSON})

    async def _table(self, request: web.Request) -> web.Response:
        identity = self._identity(request)
        reads = request.method in ("GET", "HEAD")
        schema = self._schema(request, "Accept-Profile" if reads else "Content-Profile")
        asked = parse(request.query.items(), range_header=request.headers.get("Range") if reads else None)
        prefer = Prefer.parse(request.headers.getall("Prefer", ()))
        media = negotiated(request.headers.get("Accept"))
        body = "" if reads else await _body(request)
        async with self._pool.connection() as conn:
            table = await self._catalog.table(conn, schema, request.match_info["name"])
            if table is None:
                raise errors.no_table(schema, request.match_info["name"])
            statement = self._statement(request.method, table, asked, prefer, media, body)
            wanted = _wanted(media, prefer.max_affected if request.method in ("PATCH", "DELETE") else None)
            prefer = await self._within_timezones(conn, prefer)
            result = await self._run(conn, request, identity, schema, prefer.timezone, statement, wanted)
        return _reply(request, schema, asked, prefer, media, result, table)

    def _statement(
        self, method: str, table: Table, asked: Asked, prefer: Prefer, media: Media, body: str
    ) -> query.Statement:
        representation = prefer.returned == "representation"
        missing_default = prefer.missing == "default"
        match method:
            case "GET" | "HEAD":
                most = self._limits.max_rows
                return query.read(table, asked, max_rows=most, count=prefer.counts, media=media)
            case "POST":
                return query.insert(
                    table,
                    asked,
                    body,
                    _columns(table, asked, body),
                    resolution=prefer.resolution,
                    representation=representation,
                    location=prefer.returned == "headers-only",
                    missing_default=missing_default,
                    media=media,
                )
            case "PATCH":
                return query.update(
                    table,
                    asked,
                    body,
                    _columns(table, asked, body),
                    representation=representation,
                    missing_default=missing_default,
                    media=media,
                )
            case "DELETE":
                return query.delete(table, asked, representation=representation, media=media)
        raise RestError(405, "PGRST117", f"Unsupported HTTP method: {method}")

    async def _rpc(self, request: web.Request) -> web.Response:
        identity = self._identity(request)
        if request.method not in ("GET", "HEAD", "POST"):
            raise RestError(405, "PGRST101", f"Cannot use the {request.method} method on RPC")
        posted = request.method == "POST"
        schema = self._schema(request, "Content-Profile" if posted else "Accept-Profile")
        asked = parse(request.query.items(), rpc=not posted, range_header=request.headers.get("Range"))
        body = (await _body(request) or "{}") if posted else json.dumps(dict(asked.arguments))
        names = _keys(body)
        if isinstance(names, list):
            raise errors.invalid_body("An rpc takes one JSON object")
        name = request.match_info["name"]
        prefer = Prefer.parse(request.headers.getall("Prefer", ()))
        media = negotiated(request.headers.get("Accept"))
        async with self._pool.connection() as conn:
            found = await self._catalog.functions(conn, schema, name)
            function = _choose(schema, name, found, names)
            given = [argument for argument in function.arguments if argument in names]
            if prefer.max_affected is not None and not function.returns_set:
                raise errors.max_affected_of_one()
            statement = query.call(
                function,
                body,
                given,
                asked,
                max_rows=self._limits.max_rows,
                count=prefer.counts,
                media=media,
            )
            wanted = _wanted(media, prefer.max_affected)
            prefer = await self._within_timezones(conn, prefer)
            result = await self._run(conn, request, identity, schema, prefer.timezone, statement, wanted)
        if function.returns_nothing:
            return _as_set(web.Response(status=204), result)
        return _reply(request, schema, asked, prefer, media, result)

    async def _within_timezones(self, conn: Connection, prefer: Prefer) -> Prefer:
        """The preferences without a time zone that there is not. Raises RestError where it has to be kept."""
        zone = prefer.timezone
        if zone is None or await self._catalog.knows_timezone(conn, zone):
            return prefer
        if prefer.handling == "strict":
            raise errors.bad_preferences([f"timezone={zone}"])
        return replace(prefer, timezone=None)

    def _schema(self, request: web.Request, header: str) -> str:
        schema = request.headers.get(header) or self._limits.schemas[0]
        if schema not in self._limits.schemas:
            raise RestError(
                406,
                "PGRST106",
                f"Invalid schema: {schema}",
                hint=f"Only the following schemas are exposed: {', '.join(self._limits.schemas)}",
            )
        return schema

    async def _run(
        self,
        conn: Connection,
        request: web.Request,
        identity: Identity,
        schema: str,
        timezone: str | None,
        statement: query.Statement,
        wanted: Callable[[int], None] | None,
    ) -> Result:
        """wanted: given the number of rows; what it refuses is rolled back."""
        settings = [
            (
                "search_path",
                ", ".join(quote_ident(name) for name in dict.fromkeys([schema, "public", "extensions"])),
            ),
            *await self._catalog.settings_of(conn, identity.role),
            *([("timezone", timezone)] if timezone is not None else []),
            ("role", identity.role),
            ("request.jwt.claims", identity.claims),
            ("request.method", request.method),
            ("request.path", request.path),
            ("request.headers", json.dumps({name.lower(): value for name, value in request.headers.items()})),
        ]
        check = None if wanted is None else (lambda found: wanted(found[1]))
        row = await transact(conn, _enter(settings), (statement.sql, statement.params), check)
        return Result(*row)


def _enter(settings: list[tuple[str, str]]) -> tuple[str, list[str]]:
    """One statement that makes settings for the transaction. The role comes after what only the login role may set."""
    calls = ", ".join(f"set_config(${n}, ${n + 1}, true)" for n in range(1, 2 * len(settings), 2))
    return f"select {calls}", [text for setting in settings for text in setting]


def _wanted(media: Media, max_affected: int | None) -> Callable[[int], None] | None:
    """How many rows a request may be of, where that is limited."""
    single = media.form == "object"
    if not single and max_affected is None:
        return None

    def check(rows: int) -> None:
        if single and rows != 1:
            raise errors.not_single(rows)
        if max_affected is not None and rows > max_affected:
            raise errors.too_many_affected(rows)

    return check


async def _body(request: web.Request) -> str:
    return read_body(await request.read(), request.headers.get("Content-Type"))


def _columns(table: Table, asked: Asked, body: str) -> tuple[str, ...]:
    """The columns to write: those of `columns=`, else the keys of the body, which must then be the same in each object."""
    if asked.columns is not None:
        names = asked.columns
        if not body.strip():
            raise errors.invalid_body("Empty or invalid json")
    else:
        keys = _keys(body)
        rows = keys if isinstance(keys, list) else [keys]
        if any(row != rows[0] for row in rows):
            raise errors.invalid_body("All object keys must match")
        names = tuple(sorted(rows[0])) if rows else ()
    for name in names:
        if name not in table.types:
            raise errors.no_column(table.name, name)
    return names


def _keys(body: str) -> frozenset[str] | list[frozenset[str]]:
    """The keys of the object, or of each object, in a body. Numbers are not read, so none is too long."""
    try:
        value = json.loads(body, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        raise errors.invalid_body("Empty or invalid json") from None
    if isinstance(value, dict):
        return frozenset(value)
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return [frozenset(item) for item in value]
    raise errors.invalid_body("All object keys must match")


def _choose(schema: str, name: str, found: list[Function], names: frozenset[str]) -> Function:
    fitting = [function for function in found if function.takes(names)]
    if not fitting:
        raise errors.no_function(schema, name, sorted(names))
    if len(fitting) > 1:
        shown = ", ".join(
            f"{f.schema}.{f.name}({', '.join(f'{a} => {t}' for a, t in f.arguments.items())})"
            for f in fitting
        )
        raise RestError(
            300,
            "PGRST203",
            f"Could not choose the best candidate function between: {shown}",
            hint="Try renaming the parameters or the function itself in the database so function overloading "
            "can be resolved",
        )
    return fitting[0]


def _reply(
    request: web.Request,
    schema: str,
    asked: Asked,
    prefer: Prefer,
    media: Media,
    result: Result,
    table: Table | None = None,
) -> web.Response:
    """The status, range and body of a result, as PostgREST forms them. table: None is a call."""
    headers = {"Content-Profile": schema}
    if table is not None and not table.key and asked.on_conflict is None:
        prefer = replace(prefer, resolution=None)
    applied = prefer.applied(request.method, rpc=table is None)
    if applied:
        headers["Preference-Applied"] = applied
    if table is None or request.method in ("GET", "HEAD"):
        status, headers["Content-Range"] = _range(asked.offset, result)
        return _with_body(status, headers, media, result)
    changed = f"0-{result.count - 1}" if request.method == "PATCH" and result.count else "*"
    headers["Content-Range"] = f"{changed}/{result.count if prefer.counts else '*'}"
    status = 201 if result.inserted is None or result.inserted > 0 else 200
    if prefer.returned == "representation":
        return _with_body(status if request.method == "POST" else 200, headers, media, result)
    if request.method == "POST" and result.count == 1 and result.body:
        # The key of the one row, in text.
        key = json.loads(result.body)
        named = {name: "is.null" if value is None else f"eq.{value}" for name, value in key.items()}
        headers["Location"] = f"/{table.name}?{urlencode(named, quote_via=quote)}"
    return _as_set(web.Response(status=status if request.method == "POST" else 204, headers=headers), result)


def _with_body(status: int, headers: dict[str, str], media: Media, result: Result) -> web.Response:
    headers["Content-Type"] = media.content_type
    return _as_set(web.Response(status=status, body=result.body.encode(), headers=headers), result)


def _as_set(response: web.Response, result: Result) -> web.Response:
    """With the status and the headers that the database set for it. Raises RestError."""
    if result.status:
        if not (result.status.isascii() and result.status.isdigit() and 100 <= int(result.status) <= 599):
            raise errors.bad_status()
        response.set_status(int(result.status))
    if result.headers:
        try:
            for one in json.loads(result.headers):
                [(name, value)] = one.items()
                if "\r" in name + value or "\n" in name + value:
                    raise errors.bad_headers()
                response.headers[name] = value
        except (ValueError, AttributeError, TypeError):
            raise errors.bad_headers() from None
    return response


def _range(offset: int, result: Result) -> tuple[int, str]:
    """The status of a read, and its Content-Range. Raises RestError where it begins behind the end."""
    if result.total is not None and offset > result.total:
        raise RestError(
            416,
            "PGRST103",
            "Requested range not satisfiable",
            details=f"An offset of {offset} was requested, but there are only {result.total} rows.",
        )
    total = "*" if result.total is None else str(result.total)
    rows = f"{offset}-{offset + result.count - 1}" if result.count and result.total != 0 else "*"
    return 206 if result.total is not None and result.count < result.total else 200, f"{rows}/{total}"
