"""The application: routes, and what holds for every request (guard, JSON errors, a log line at debug level)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.hdrs import METH_ALL
from aiohttp.typedefs import Middleware

from migctl import __version__
from migctl.clock import mono
from migctl.clock import now as the_time
from migctl.config import Settings
from migctl.ingest.times import read_times
from migctl.journal import Log
from migctl.server.access.allowance import Allowances
from migctl.server.access.bodies import bodies
from migctl.server.access.cors import cors
from migctl.server.access.forwarded import behind, within
from migctl.server.access.gate import GATE, Gate, passing
from migctl.server.access.guard import check_listen, guard
from migctl.server.access.held import HeldTokens
from migctl.server.access.limits import limits
from migctl.server.access.memory import Memory
from migctl.server.access.rules import Rules
from migctl.server.access.strangers import Strangers
from migctl.server.access.tokens import Tokens
from migctl.server.answers import answer, refusal
from migctl.server.counts import Counts
from migctl.server.routes.assignment import Assignment
from migctl.server.routes.client import client_js_routes
from migctl.server.routes.dashboard import dashboard_routes, page, wants_page
from migctl.server.routes.events import Events
from migctl.server.routes.metrics import CONTENT_TYPE, Metrics
from migctl.server.routes.sources import source_routes
from migctl.server.routes.story import Stories, story_routes
from migctl.server.routes.subscribers import subscriber_routes
from migctl.server.routes.tail import tail_routes
from migctl.status import HttpStatus, Readiness, ServeStatus, json_schema
from migctl.status.feeding import SourcesStatus, sources_of
from migctl.status.health import readiness
from migctl.status.watching import CLIENT
from migctl.telemetry import get_logger
from migctl.telemetry.metrics import Histogram
from migctl.transports.websocket import Gateway
from migctl.transports.wire import MAX_BODY_BYTES

if TYPE_CHECKING:
    from migctl.delivery.figures import BatchFigures

log = get_logger("server")

# What is counted where the client went away in the middle, as nginx has it; nobody gets it.
CUT_OFF = 499

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_INDEX = {
    "GET /": "this list; for a browser the dashboard",
    "POST /events": "take events: one JSON object, an array, or NDJSON; 201 once they are durable",
    "GET /events?epoch=E&after=N&limit=1000": "events after a position",
    "GET /ws": "live events by WebSocket, as the old service sent them",
    "GET /ws?v=2&epoch=E&after=N": "live events with positions; resumes",
    "GET /healthz": "200 while the process lives",
    "GET /readyz": "200 while events are taken and delivered, else 503",
    "GET /api/status": "what it does and how far it is",
    "GET /api/status/schema.json": "its JSON schema",
    "GET /metrics": "the same for Prometheus",
    "GET /api/transport?user=WHO": "the transport of this user, and a token for it",
    "POST /ofrep/v1/evaluate/flags/KEY": "what a flag is for a context, by OFREP; without KEY all flags",
    "GET /api/flags": "flags, and /api/segments; PUT and DELETE of one change it",
    "GET /client.js": "the subscriber, for pages: import { Subscriber } from '/client.js'",
    "GET /api/rollout": "where the rollout stands; POST moves it",
    "GET /api/drills": "drills that were run here",
    "GET /api/tail?match=TEXT": "the newest events as they come, for who watches: NDJSON",
    "GET /api/story?id=ID": "what became of one event; or ?epoch=E&seq=N",
    "GET /openapi.json": "all of this, as an OpenAPI document",
    "GET /admin/subscribers": "who is attached; over the control socket, or with a token of purpose admin",
    "GET /admin/sources": "who feeds it; likewise",
}


def build(
    *,
    journal: Log,
    gateway: Gateway | None,
    settings: Settings,
    status: Callable[[HttpStatus], ServeStatus],
    ready: Callable[[], Readiness] | None = None,
    tokens: Tokens | HeldTokens = Tokens(),  # noqa: B008 - frozen
    refusing: Callable[[], str | None] = lambda: None,
    commits: Histogram | None = None,
    batches: BatchFigures | None = None,
    assignment: Assignment | None = None,
    admin: Sequence[web.RouteDef] = (),
    flags: Sequence[web.RouteDef] = (),
    follow: Callable[[Callable[[Settings], None]], None] = lambda _: None,
    stories: Stories | None = None,
) -> web.Application:
    """The application of one `serve`.

    gateway: None in mode realtime; `/ws` then answers 410, and while it is switched off.
    status: asked for each answer made of it, with what is counted here.
    ready: what `/readyz` answers; None: as the status says.
    tokens: who may do what; without any, only loopback is served.
    commits, batches: durations of the journal's commits, and the relay's batches, for the metrics.
    assignment: answers which transport a user takes; without one there is no such route.
    admin: further routes below /admin/, for tokens with purpose admin and the control socket.
    flags: routes that say what flags are, and change them.
    follow: is given what goes by the settings that hold, as they change.
    stories: knows what became of an event; without it there is no such route.
    refusing: why no events are taken now (draining), which answers 503 before the journal is asked; None while they are.
    Raises Refused where `settings.listen` could be reached from other machines.
    """
    check_listen(settings.listen_host, settings.listen_port, tokens)
    rules = Rules(
        tokens=tokens,
        legacy_open=settings.legacy.open,
        legacy_networks=settings.legacy.networks,
        origins=settings.legacy.origins,
    )
    counts = Counts()
    requests = Allowances(settings.flags.max_requests_per_second)
    of = settings.http
    wrong = Strangers(of.max_wrong_tokens, of.wrong_tokens_within_s)

    def now() -> ServeStatus:
        return status(counts.status(limited_addresses=wrong.limited(mono())))

    scraped = Metrics(now, counts, commits, batches)
    counts.held.body_within_s = of.body_s
    gate = Gate(
        counts.dropped,
        head_s=of.head_s,
        most=of.max_connections,
        spared=lambda address: within(address, settings.trusted_proxies),
    )
    first, behind_guard = passing(gate)
    app = web.Application(
        client_max_size=MAX_BODY_BYTES,
        middlewares=[
            first,
            behind(settings.trusted_proxies),
            _counting(counts),
            cors(settings.legacy.origins),
            _json_errors,
            guard(rules, counts.refused, wrong),
            behind_guard,
            limits(requests),
            bodies(counts.held, Memory()),
        ],
    )
    app[GATE] = gate
    events = Events(
        journal,
        refusing,
        counts=counts,
        events_per_second=settings.ingest.max_events_per_second,
        unknown=settings.ingest.unknown_keys,
        times=read_times(settings.source),
    )

    def allow(settings: Settings) -> None:
        events.follow(settings.ingest.max_events_per_second)
        requests.follow(settings.flags.max_requests_per_second)
        wrong.follow(settings.http.max_wrong_tokens, settings.http.wrong_tokens_within_s)

    follow(allow)

    async def index(request: web.Request) -> web.StreamResponse:
        if wants_page(request.headers.get("Accept", "")):
            return await page(request)
        return answer(200, {"name": "migctl", "version": __version__, "here": _INDEX})

    async def healthz(_: web.Request) -> web.StreamResponse:
        return answer(200, {"status": "ok"})

    async def readyz(_: web.Request) -> web.StreamResponse:
        found = ready() if ready is not None else readiness(now())
        return answer(200 if found.ready else 503, found)

    async def api_status(_: web.Request) -> web.StreamResponse:
        return answer(200, now())

    async def schema(_: web.Request) -> web.StreamResponse:
        return answer(200, json_schema())

    async def openapi(_: web.Request) -> web.StreamResponse:
        from migctl.server.openapi import document

        return answer(200, document(), as_is=True)

    async def metrics(_: web.Request) -> web.StreamResponse:
        return web.Response(
            body=scraped.page(), headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"}
        )

    def sources() -> SourcesStatus:
        of, at = now(), the_time()
        return sources_of(of.source, of.source_done, counts.producers.status(at), at)

    async def socket(request: web.Request) -> web.StreamResponse:
        if gateway is None:
            why = f"no WebSocket in mode {settings.mode}"
        elif gateway.switched_off:
            why = "the WebSocket is switched off for good"
        else:
            return await gateway.handle(request)
        return refusal(
            410, "gone", f"{why}; subscribe through Supabase Realtime: GET /api/transport?user=WHO says how"
        )

    app.router.add_get("/", index)
    app.router.add_post("/events", events.post)
    app.router.add_get("/events", events.get)
    app.router.add_get("/ws", socket)
    app.router.add_get("/openapi.json", openapi)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/api/status", api_status)
    app.router.add_get("/api/status/schema.json", schema)
    app.router.add_get("/metrics", metrics)
    if assignment is not None:
        app.router.add_get("/api/transport", assignment.get)
    if gateway is not None:
        app.router.add_routes(subscriber_routes(gateway.subscribers))
    app.router.add_routes(
        [*client_js_routes(), *dashboard_routes(), *tail_routes(journal, refusing), *source_routes(sources)]
    )
    app.router.add_routes([*admin, *flags])
    if stories is not None:
        app.router.add_routes(story_routes(stories, counts))
    return app


def _counting(counts: Counts) -> Middleware:
    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = mono()
        response = await handler(request)
        took_s = mono() - began
        method = request.method if request.method in METH_ALL else "other"
        client = request.headers.get(CLIENT)
        counts.answered(method, _route(request), response.status, took_s, client=client)
        log.debug(
            "request",
            method=request.method,
            path=request.path,
            status=response.status,
            peer=request.remote,
            ms=round(took_s * 1000, 1),
        )
        return response

    return count


def _route(request: web.Request) -> str:
    """The route as it is written, never an address that a stranger made up: each would be a series of its own."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"


@web.middleware
async def _json_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.content_type == "application/json":
            raise
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        code = error.reason.lower().replace(" ", "_")
        return refusal(error.status, code, _why(request, error), headers=headers)
    except web.RequestPayloadError as error:
        log.info(
            "request cut off",
            method=request.method,
            path=request.path,
            peer=request.remote,
            reason=_words(error),
        )
        return refusal(400, "encoding", f"the body can't be read: {_words(error)}")
    except ConnectionError as error:  # the client is gone: nobody is left to be answered
        return _cut(request, error)
    except Exception as error:
        log.exception("an error of ours", method=request.method, path=request.path)
        return refusal(500, "internal", f"an error of ours: {type(error).__name__}; see the log")


def _cut(request: web.Request, error: ConnectionError) -> web.Response:
    log.info(
        "request cut off", method=request.method, path=request.path, peer=request.remote, reason=_words(error)
    )
    return web.Response(status=CUT_OFF)


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _why(request: web.Request, error: web.HTTPException) -> str:
    if error.status == 404:
        return f"nothing is at {request.path}; GET / lists what is here"
    if error.status == 405:
        return f"{request.method} is not for {request.path}; GET / lists what is here"
    if error.status == 400 and request.path == "/ws":
        return "this is a WebSocket: connect with ws://, and Connection: Upgrade"
    return " ".join((error.text or error.reason).split())
