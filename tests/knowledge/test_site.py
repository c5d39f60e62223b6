"""A walk through a real website with everything that keeps walks from ending."""

from pathlib import Path

import pytest

from knowledge.fetching import MOST_BYTES, Fetcher
from knowledge.site import MOST_DEPTH, MOST_FAILURES, Crawl, LeftOut, Page
from knowledge.visiting import KnownPage
from storage.errors import BadInput
from tests.website import Reply, website


@pytest.fixture
def site():
    with website() as site:
        yield site


def walk(site, start="/", *, private=(), most=500, hosts=(), known=None):
    """Everything that a walk finds, by path: a Page, or why it was left out."""
    with Fetcher([site.host, *private]) as fetcher:
        crawl = Crawl(
            site.address + start, fetcher, hosts=hosts, max_pages=most, delay_s=0, known=known
        )
        found = {item.address.removeprefix(site.address): item for item in crawl}
    return found, crawl


def outcomes(found):
    return {
        path: item.outcome if isinstance(item, LeftOut) else "page" for path, item in found.items()
    }


def test_two_hundred_pages_with_loops_and_dead_ends(site):
    """A tree of 200 pages, each leading back to the first and on to what must not be taken."""
    traps = ["/gone", "/round1", "/inside", "/secret/plan", "/huge", "/film", "/month?n=1"]
    for number in range(200):
        children = [f"/p{2 * number + step}" for step in (1, 2) if 2 * number + step < 200]
        path = "/" if number == 0 else f"/p{number}"
        site.page(path, f"page {number}", "/", f"{path}#top", "/?utm_source=x", *children, *traps)
    site.redirect("/round1", "/round2", 302)
    site.redirect("/round2", "/round1", 302)
    site.redirect("/inside", "http://localhost:9/admin")
    site.put("/robots.txt", "User-agent: *\nDisallow: /secret/")
    site.put("/huge", b"x" * (MOST_BYTES + 1))
    site.put("/film", b"film", Content_Type="video/mp4")

    def calendar(path):
        number = path.partition("/month?n=")[2]
        if not number:
            return Reply(b"not here", 404)
        following = int(number) + 1
        return Reply(f'<p>Month {number}</p><a href="/month?n={following}">on</a>'.encode())

    site.other = calendar
    found, crawl = walk(site)
    assert sum(path == "/" or path.startswith("/p") for path in found) == 200
    left = {path: item for path, item in outcomes(found).items() if item != "page"}
    assert left == {
        "/gone": "gone",
        "/round1": "failed",
        "/inside": "skipped",
        "/secret/plan": "skipped",
        "/huge": "failed",
        "/film": "skipped",
    }
    assert "only 127.0.0.1" in found["/inside"].reason
    assert sum(path.startswith("/month") for path in found) == MOST_DEPTH
    assert len(site.paths) == len(set(site.paths)) + 4, "round1 and round2 go round, no other"
    assert not any(path.startswith("/secret") for path in site.paths)
    assert (crawl.progress, crawl.unvisited) == (1.0, 0)


def test_no_more_pages_than_asked_for_and_the_nearest_first(site):
    site.page("/", "home", "/a", "/b", "/c")
    site.page("/a", "a", "/deep")
    found, crawl = walk(site, most=3)
    assert list(found) == ["/", "/a", "/b"]
    assert (crawl.progress, crawl.unvisited) == (1.0, 2)


def test_what_robots_forbids_takes_no_room_unless_it_was_asked_for(site):
    site.put("/robots.txt", "User-agent: *\nDisallow: /secret")
    site.page("/", "home", "/secret/1", "/secret/2", "/leads", "/a")
    site.redirect("/leads", "/secret/3")
    site.page("/a", "a")
    found, _ = walk(site, most=2)
    assert outcomes(found) == {
        "/": "page",
        "/secret/1": "skipped",
        "/secret/2": "skipped",
        "/leads": "skipped",
    }
    assert "/a" in walk(site, most=3)[0]


def test_a_redirect_to_a_private_host_is_refused_although_its_host_was_named(site):
    site.page("/", "home", "/in")
    site.redirect("/in", "http://localhost:9/")
    found, _ = walk(site, hosts=["localhost:9"])
    assert found["/in"].outcome == "skipped"
    assert "localhost has the private address" in found["/in"].reason


def test_another_host_is_visited_where_it_was_named(site):
    with website() as other:
        site.page("/", "home", f"{other.address}/x")
        other.page("/x", "elsewhere")
        assert list(walk(site)[0]) == ["/"]
        found, _ = walk(site, hosts=[other.host], private=[other.host])
    assert isinstance(found[f"{other.address}/x"], Page)
    assert found[f"{other.address}/x"].name == f"{other.host}/x"


def test_a_page_is_taken_once_whatever_leads_to_it(site):
    site.page("/", "home", "/old", "/print?p=1", "/twin", "/away")
    site.redirect("/old", "/new")
    site.page("/new", "new")
    site.page("/print?p=1", "print", head='<link rel="canonical" href="/own">')
    site.page("/own", "own")
    site.page("/twin", "home", "/old", "/print?p=1", "/twin", "/away")
    site.page("/away", "away", head='<link rel="canonical" href="https://other.example/">')
    assert outcomes(walk(site)[0]) == {
        "/": "page",
        "/old": "gone",
        "/new": "page",
        "/print?p=1": "gone",
        "/twin": "skipped",  # the same bytes as the first
        "/away": "page",  # a canonical address elsewhere is not one of this site
        "/own": "page",
    }


def test_what_asks_not_to_be_kept_still_leads_on(site):
    site.page("/", "home", "/a", head='<meta name="robots" content="noindex">')
    site.page("/a", "a", "/b", X_Robots_Tag="noindex, nofollow")
    site.page("/b", "b")
    assert outcomes(walk(site)[0]) == {"/": "gone", "/a": "gone"}


def test_sitemaps_name_pages_that_nothing_leads_to(site):
    maps = "".join(f"Sitemap: {site.address}/map{number}.xml\n" for number in (1, 2))
    site.put("/robots.txt", maps)
    more = f"<sitemap><loc>{site.address}/map3.xml</loc></sitemap>"
    site.put("/map1.xml", f"<sitemapindex>{more}</sitemapindex>")
    locations = "".join(
        f"<url><loc>{address}</loc></url>"
        for address in (f"{site.address}/alone", "https://other.example/x")
    )
    site.put("/map3.xml", f"<urlset>{locations}</urlset>")
    site.page("/", "home")
    site.page("/alone", "alone")
    found, _ = walk(site)
    assert outcomes(found) == {"/": "page", "/alone": "page"}


def known_pages(site, folder: Path, *paths: str, **more: str):
    """Pages as they were taken in before."""
    known = {}
    for path in paths:
        copy = folder / path.strip("/")
        copy.write_bytes(site.pages[path].body)
        name = f"{site.host}{path}"
        known[name] = KnownPage(site.address + path, copy, ".html", **more)
    return known


def test_known_pages_are_asked_for_only_if_changed_and_their_links_still_lead_on(site, tmp_path):
    site.page("/", "home", "/a")
    site.page("/a", "a", "/b", ETag='"1"')
    site.page("/b", "b")
    known = known_pages(site, tmp_path, "/a", etag='"1"')
    found, _ = walk(site, known=known)
    assert list(found) == ["/", "/a", "/b"]
    assert found["/a"].data == site.pages["/a"].body and found["/a"].etag == '"1"'
    asked = {path: headers for path, headers in site.asked}
    assert asked["/a"]["If-None-Match"] == '"1"' and "If-None-Match" not in asked["/b"]


def test_known_pages_that_nothing_leads_to_any_more_are_looked_after_too(site, tmp_path):
    for path in ("/", "/alone", "/vanished"):
        site.page(path, path)
    known = known_pages(site, tmp_path, "/alone", "/vanished")
    del site.pages["/vanished"]
    assert outcomes(walk(site, known=known)[0]) == {
        "/": "page",
        "/alone": "page",
        "/vanished": "gone",
    }


@pytest.mark.parametrize("status, outcome", [(302, []), (308, ["gone"])])
def test_only_what_has_moved_for_good_is_gone(site, status, outcome):
    """A site that is being mended sends all readers to one page for an hour."""
    site.page("/", "home", "/a")
    site.redirect("/a", "/mended", status)
    site.page("/mended", "mended")
    found, _ = walk(site)
    assert [item.outcome for item in found.values() if isinstance(item, LeftOut)] == outcome
    assert isinstance(found["/mended"], Page)


def test_a_server_that_goes_away_is_left_alone(site):
    site.page("/", "home", *(f"/p{number}" for number in range(20)))
    for number in range(20):
        site.put(f"/p{number}", b"", 500)
    found, crawl = walk(site)
    assert sum(item == "failed" for item in outcomes(found).values()) == MOST_FAILURES
    assert crawl.unvisited == 20 - MOST_FAILURES


@pytest.mark.parametrize(
    "start, said",
    [
        ("", "is no address of a website"),
        ("www.example.com", "is no address of a website"),
        ("http://nowhere.invalid/", "The host nowhere.invalid is not known"),
        ("http://localhost:9/", "The host localhost has the private address"),
        ("http://127.0.0.1:1/", "does not answer"),
        ("SITE/secret", "robots.txt does not allow"),
        ("SITE/gone", r"is not there \(404\)"),
        ("SITE/login", r"without a login \(401\)"),
        ("SITE/elsewhere", "add --host www.example.com if it is yours"),
        ("SITE/film", "is no text"),
    ],
)
def test_a_first_page_that_cannot_be_had_gets_a_sentence(site, start, said):
    site.put("/robots.txt", "User-agent: *\nDisallow: /secret")
    site.put("/login", b"", 401)
    site.redirect("/elsewhere", "https://www.example.com/")
    site.put("/film", b"", Content_Type="video/mp4")
    with Fetcher([site.host, "127.0.0.1:1"]) as fetcher, pytest.raises(BadInput, match=said):
        address = start.replace("SITE", site.address)
        list(Crawl(address, fetcher, max_pages=5, delay_s=0))
