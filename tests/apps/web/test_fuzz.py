"""The API against its own description: it answers any request as described, and never fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from helpers.web_server import MOVING, Site, running
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

TOKEN = "a-token-for-tests"
ENDLESS = "/streams/{name}/mjpeg"


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory, quick_model: None) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("kept"), MOVING, web={"token": TOKEN}) as found:
        cookie = found.get(f"/?token={TOKEN}").headers["set-cookie"].split(";")[0]
        found.headers = {"Cookie": cookie}  # a session: the wrong tokens below make tokens of this address wait
        yield found


@pytest.mark.slow
def test_every_request_is_answered_as_the_description_says(site: Site) -> None:
    schema = schemathesis.openapi.from_url(f"{site.address}openapi.json", headers=site.headers)
    operations = [found.ok() for found in schema.exclude(path=[ENDLESS, "/api/session"]).get_all_operations()]
    assert len(operations) > 12
    for operation in operations:

        @settings(max_examples=15, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy())
        def answers(case: schemathesis.Case) -> None:
            # the description does not hold which words are known: a 422 or 404 is a proper answer to a proper request
            case.call_and_validate(headers=site.headers, excluded_checks=[positive_data_acceptance], timeout=60)
            refused = case.call(headers={"Authorization": "Bearer wrong"}, timeout=60)
            assert refused.status_code in ((200,) if case.path == "/healthz" else (401, 429))

        answers()
