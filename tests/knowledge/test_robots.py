"""robots.txt by RFC 9309: what is allowed, how slowly, and what holds where there is none."""

import pytest

from knowledge.fetching import Fetcher, NotFetched
from knowledge.robots import Forbidden, Robots
from knowledge.web_address import PrivateAddress
from tests.website import website


@pytest.fixture
def site():
    with website() as site:
        yield site


@pytest.fixture
def robots(site):
    with Fetcher([site.host]) as fetcher:
        yield Robots(fetcher)


def allowed(robots, site, path):
    try:
        robots.check(site.address + path)
    except Forbidden as said:
        assert path in str(said) and "robots.txt does not allow" in str(said)
        return False
    return True


RULES = """
User-agent: *
Disallow: /private/
Allow: /private/open
Disallow: /*.pdf$
Crawl-delay: 2.5
Sitemap: https://example.com/map.xml
"""


def test_the_longest_rule_holds_and_wildcards_do(robots, site):
    site.put("/robots.txt", RULES, Content_Type="text/plain")
    verdicts = {
        path: allowed(robots, site, path)
        for path in ("/", "/private/a", "/private/open", "/a.pdf", "/a.pdf?x=1")
    }
    assert list(verdicts.values()) == [True, False, True, False, True]
    assert robots.delay_s(site.address) == 2.5
    assert robots.sitemaps(site.address) == ["https://example.com/map.xml"]
    assert site.paths == ["/robots.txt"], "it is read once"


def test_rules_for_us_by_name_come_before_those_for_all(robots, site):
    site.put("/robots.txt", "User-agent: *\nDisallow: /\n\nUser-agent: Apprentice\nDisallow: /x")
    assert allowed(robots, site, "/") and not allowed(robots, site, "/x")


@pytest.mark.parametrize("status, body", [(404, b"gone"), (403, b"no"), (200, b""), (200, b"\xff")])
def test_where_there_are_no_rules_all_is_allowed(robots, site, status, body):
    site.put("/robots.txt", body, status)
    assert allowed(robots, site, "/anything")
    assert robots.delay_s(site.address) == 0


def test_where_they_cannot_be_read_now_nothing_is(robots, site):
    site.put("/robots.txt", b"", 503)
    with pytest.raises(NotFetched, match="answers 503, so that no page may be visited"):
        robots.check(site.address)


def test_a_redirect_is_followed_but_to_no_private_host(robots, site):
    site.redirect("/robots.txt", "/rules", 302)
    site.put("/rules", "User-agent: *\nDisallow: /x")
    assert not allowed(robots, site, "/x")
    site.redirect("/robots.txt", "http://localhost:9/")
    with Fetcher([site.host]) as fetcher, pytest.raises(PrivateAddress):
        Robots(fetcher).check(site.address)
