"""One visit: redirects, pace, and what was there before."""

import time

import pytest

from knowledge.fetching import Fetcher, NotFetched
from knowledge.robots import Forbidden
from knowledge.visiting import MOST_REDIRECTS, KnownPage, Left, Visitor
from tests.website import website


@pytest.fixture
def site():
    with website() as site:
        site.page("/", "Home")
        yield site


@pytest.fixture
def visitor(site):
    """`visitor(known=..., delay_s=...)` on the test's site."""
    with Fetcher([site.host]) as fetcher:
        yield lambda known=None, delay_s=0.0: Visitor(fetcher, {site.host}, delay_s, known or {})


def test_redirects_are_followed_to_an_end(site, visitor):
    for number in range(MOST_REDIRECTS):
        site.redirect(f"/r{number}", f"/r{number + 1}")
    site.page(f"/r{MOST_REDIRECTS}", "there")
    found = visitor().visit(f"{site.address}/r0")
    assert found.address.endswith(f"/r{MOST_REDIRECTS}") and found.moved_for_good
    site.redirect("/start", "/r0", 302)
    with pytest.raises(Left, match="without an end"):
        visitor().visit(f"{site.address}/start")


def test_each_step_of_a_redirect_is_checked(site, visitor):
    site.put("/robots.txt", "User-agent: *\nDisallow: /secret")
    site.redirect("/a", "/secret")
    site.redirect("/b", "https://other.example/")
    site.redirect("/c", "javascript:alert(1)")
    site.redirect("/d", "ftp://a.example/x")
    for path, kind, said in [
        ("/a", Forbidden, "does not allow .*/secret"),
        ("/b", Left, "add --host other.example"),
        ("/c", NotFetched, "gave no proper answer"),
        ("/d", Left, "leads to no web address"),
    ]:
        with pytest.raises(kind, match=said):
            visitor().visit(site.address + path)
    assert "/secret" not in site.paths


def test_a_page_that_is_known_is_read_from_its_copy_where_it_has_not_changed(
    site, visitor, tmp_path
):
    site.page("/", "Home", ETag='"1"')
    copy = tmp_path / "copy"
    copy.write_bytes(b"as it was kept")
    known = {f"{site.host}/": KnownPage(site.address, copy, ".html", etag='"1"')}
    found = visitor(known).visit(f"{site.address}/")
    assert (found.data, found.suffix, found.etag) == (b"as it was kept", ".html", '"1"')
    site.page("/", "New", ETag='"2"')
    assert b"New" in visitor(known).visit(f"{site.address}/").data


def test_the_pace_is_kept_and_robots_may_slow_it(site, visitor):
    def seconds(visits, delay_s):
        walker, begun = visitor(delay_s=delay_s), time.monotonic()
        for _ in range(visits):
            walker.visit(f"{site.address}/")
        return time.monotonic() - begun

    assert seconds(3, 0.1) >= 0.2
    site.put("/robots.txt", "User-agent: *\nCrawl-delay: 0.3")
    assert seconds(2, 0.0) >= 0.3


@pytest.mark.parametrize(
    "status, outcome", [(404, "gone"), (410, "gone"), (403, "skipped"), (500, "failed")]
)
def test_what_became_of_a_page_that_is_not_there(site, visitor, status, outcome):
    site.put("/x", b"", status)
    with pytest.raises(Left, match=str(status)) as left:
        visitor().visit(f"{site.address}/x")
    assert left.value.outcome == outcome
