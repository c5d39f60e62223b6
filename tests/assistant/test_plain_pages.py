"""The pages that are not Gradio's: what stands on them, and that nothing typed becomes markup."""

import pytest

from assistant.plain_pages import (
    login_page,
    logout_page,
    nothing_here_page,
    setup_closed_page,
    setup_page,
)

NASTY = "\"><script>alert('1')</script>"


def text(page) -> str:
    return page.body.decode()


@pytest.mark.parametrize(
    "page",
    [
        login_page(NASTY, name=NASTY, error=NASTY),
        setup_page(NASTY, name=NASTY, error=NASTY),
        logout_page(NASTY),
        nothing_here_page(NASTY),
    ],
)
def test_nothing_that_was_given_becomes_markup(page):
    assert "<script" not in text(page)
    assert "&lt;script&gt;" in text(page)


def test_pages_need_no_script_and_nothing_from_elsewhere():
    for page in (login_page("/"), setup_page("t"), setup_closed_page(), nothing_here_page("")):
        assert "http" not in text(page)
        assert "<script" not in text(page)


def test_an_error_is_announced():
    assert '<p class="error" role="alert">No.</p>' in text(login_page("/", error="No."))
    assert "role=" not in text(login_page("/"))


def test_nothing_here_offers_a_login_only_to_strangers():
    assert (nothing_here_page("").status_code, nothing_here_page("mo").status_code) == (404, 404)
    assert 'href="/login"' in text(nothing_here_page(""))
    assert 'href="/login"' not in text(nothing_here_page("mo"))
    assert 'href="/logout"' in text(nothing_here_page("mo"))
