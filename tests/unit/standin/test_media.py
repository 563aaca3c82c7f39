"""In which form rows are answered: what `Accept` asks for, or a refusal."""

from __future__ import annotations

import pytest

from migctl.stack.standin.rest.errors import RestError
from migctl.stack.standin.rest.media import Media, body_sql, negotiated


@pytest.mark.parametrize(
    ("accept", "media", "content_type"),
    [
        (None, Media(), "application/json"),
        ("*/*", Media(), "application/json"),
        ("text/html, application/json", Media(), "application/json"),
        ("application/json;q=0.1, Text/CSV", Media("csv"), "text/csv"),
        ("application/vnd.pgrst.object+json", Media("object"), "application/vnd.pgrst.object+json"),
        (
            "application/vnd.pgrst.object+json; nulls=stripped",
            Media("object", strips=True),
            "application/vnd.pgrst.object+json;nulls=stripped",
        ),
        (
            "application/vnd.pgrst.array+json;nulls=stripped",
            Media(strips=True),
            "application/vnd.pgrst.array+json;nulls=stripped",
        ),
    ],
)
def test_the_first_form_that_is_offered_is_taken(accept: str | None, media: Media, content_type: str) -> None:
    assert negotiated(accept) == media
    assert media.content_type == f"{content_type}; charset=utf-8"


@pytest.mark.parametrize("accept", ["application/geo+json", "application/vnd.pgrst.plan+json", "image/png"])
def test_what_is_not_offered_is_refused_by_name(accept: str) -> None:
    with pytest.raises(RestError) as told:
        negotiated(accept)
    assert told.value.message == f"None of these media types are available: {accept}"
    assert (told.value.status, told.value.code) == (406, "PGRST107")


def test_a_body_is_an_array_one_row_or_lines() -> None:
    assert body_sql(Media()) == "coalesce(json_agg(_postgrest_t), '[]')::text"
    assert (
        body_sql(Media(), scalar=True, single=True)
        == "coalesce(json_agg(_postgrest_t.pgrst_scalar)->0, 'null')::text"
    )
    assert (
        body_sql(Media("object", strips=True))
        == "coalesce(json_strip_nulls(json_agg(_postgrest_t)->0), 'null')::text"
    )
    assert "E'\\n'" in body_sql(Media("csv"))
