"""What a website's robots.txt allows, by RFC 9309; read by Protego, which Scrapy uses."""

from protego import Protego

from knowledge.fetching import AGENT, Answer, Fetcher, NotFetched
from knowledge.web_address import origin_of, tidy_address
from storage.errors import ApprenticeError

MOST_REDIRECTS = 5
MOST_BYTES = 500 * 1024
"""Of a robots.txt that are read; RFC 9309 wants that many at least."""

_ALL = "User-agent: *\nDisallow:"


class Forbidden(ApprenticeError):
    """The site's robots.txt does not want a page to be visited."""


class Robots:
    """The rules of each host that is visited, asked for once."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._rules: dict[str, Protego] = {}

    def check(self, address: str) -> None:
        """Raises Forbidden where the rules say no, and what fetching them raises."""
        if not self._rules_for(address).can_fetch(address, AGENT):
            raise Forbidden(f"{origin_of(address)}/robots.txt does not allow {address}.")

    def delay_s(self, address: str) -> float:
        """Seconds that the site wants between two visits; 0 where it does not say."""
        return float(self._rules_for(address).crawl_delay(AGENT) or 0)

    def sitemaps(self, address: str) -> list[str]:
        """The sitemaps that it names."""
        return list(self._rules_for(address).sitemaps)

    def _rules_for(self, address: str) -> Protego:
        origin = origin_of(address)
        if origin not in self._rules:
            self._rules[origin] = Protego.parse(self._read(origin))
        return self._rules[origin]

    def _read(self, origin: str) -> str:
        """A site that has none allows all; one that cannot say now allows nothing."""
        answer = self._follow(f"{origin}/robots.txt")
        if answer is None or 400 <= answer.status < 500:
            return _ALL
        if answer.status != 200:
            raise NotFetched(
                f"{origin}/robots.txt answers {answer.status}, so that no page may be visited: "
                "try again later."
            )
        text = answer.data[:MOST_BYTES].decode("utf-8", "replace")
        return text if text.strip() else _ALL

    def _follow(self, address: str) -> Answer | None:
        """Its redirects lead to any public host: nothing but rules is taken from there."""
        for _ in range(MOST_REDIRECTS + 1):
            answer = self._fetcher.get(address)
            if answer.leads_to is None:
                return answer
            following = tidy_address(answer.leads_to, address)
            if following is None:
                return None
            address = following
        return None
