import pytest

from knowledge.markup import fragment_parts, html_parts, markdown_parts
from knowledge.sections import Section, outline

LONG = "Words about the matter, long enough for a paragraph of prose in any tool. " * 4


def markdown(text: str) -> list[Section]:
    return outline(markdown_parts(text))


def html(text: str) -> list[Section]:
    return outline(html_parts(text))


def test_markdown_headings_of_both_kinds():
    assert markdown("Returns\n=======\n\nKeep it.\n\n## When *exactly* `now`\n30 days.") == [
        Section("Returns", "Keep it."),
        Section("Returns > When exactly now", "30 days."),
    ]


def test_markdown_body_stays_as_written():
    body = (
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n- one\n  - two\n\n```sql\n# no heading\nselect 1;\n```"
    )
    assert markdown(f"# Head\n\n{body}\n") == [Section("Head", body)]


def test_markdown_headings_in_quotes_and_lists_are_body():
    assert markdown("> # quoted\n\n- # listed\n") == [Section("", "> # quoted\n\n- # listed")]


def test_front_matter_is_body_and_no_heading():
    assert markdown("---\ntitle: Returns\n---\n# Head\nx") == [
        Section("", "title: Returns"),
        Section("Head", "x"),
    ]


def test_windows_line_ends():
    assert markdown("# A\r\nx\r\n\r\n## B\r\ny\r\n") == [Section("A", "x"), Section("A > B", "y")]


def test_a_short_page_is_taken_whole_but_its_frame():
    page = """<!doctype html><html><head><title>Shop</title><style>p {}</style></head><body>
    <nav><a href="/">Home</a></nav><div role="banner">Shop</div>
    <div role="dialog">We use cookies.</div><h1>Returns</h1><p>Send it <b>back</b>.</p>
    <script>alert(1)</script><p hidden>ignore me</p><p style="display: none">me too</p>
    <footer>Imprint</footer></body></html>"""
    assert html(page) == [Section("Returns", "Send it back.")]


def test_a_page_without_h1_has_its_title_above_all():
    page = "<title>Shop</title><h2>Returns</h2><p>Send it.</p>"
    assert html(page) == [Section("Shop > Returns", "Send it.")]


def test_lists_tables_line_breaks_and_code():
    page = """<h1>A</h1><ul><li>one</li><li>two <i>b</i></li></ul><p>x<br>y</p>
    <table><tr><th>Size</th><th>cm</th></tr><tr><td><p>S</p><p>small</p></td><td>84</td></tr></table>
    <pre>select *
      from t</pre>"""
    assert html(page) == [
        Section(
            "A",
            "- one\n- two b\n\nx\ny\n\nSize | cm\nS small | 84\n\nselect *\n      from t",
        )
    ]


def test_a_table_used_for_layout_keeps_its_headings():
    page = "<table><tr><td><h2>In a cell</h2><p>text</p></td></tr></table>"
    assert html(page) == [Section("In a cell", "text")]


@pytest.mark.parametrize("tag", ["main", "article"])
def test_marked_content_is_taken_whole_however_long(tag):
    sections = "".join(f"<h2>Part {n}</h2><p>{LONG}</p>" for n in range(20))
    page = f"<div>Buy now! {LONG}</div><{tag}><h1>Guide</h1>{sections}</{tag}>"
    found = html(page)
    assert [section.heading for section in found] == [f"Guide > Part {n}" for n in range(20)]
    assert "Buy now" not in str(found)


def test_headings_that_trafilatura_loses_are_kept():
    # 2.3.1 drops all of them when they stand directly in <body>
    sections = "".join(f"<h2>Part {n}</h2><p>{LONG}</p>" for n in range(12))
    found = html(f"<html><body><h1>Guide</h1>{sections}</body></html>")
    assert [section.heading for section in found] == [f"Guide > Part {n}" for n in range(12)]


def test_a_long_page_of_the_web_is_freed_from_what_surrounds_its_content():
    links = "".join(f"<li><a href='/{n}'>Offer {n}</a></li>" for n in range(40))
    text = "".join(f"<h2>Part {n}</h2><p>{LONG}</p>" for n in range(12))
    page = f"""<html><body><div class="sidebar menu"><ul>{links}</ul></div>
    <div class="content"><h1>Guide</h1>{text}</div></body></html>"""
    found = html(page)
    assert [section.heading for section in found] == [f"Guide > Part {n}" for n in range(12)]
    assert "Offer 7" not in str(found)


@pytest.mark.parametrize("page", ["", "   ", "<!-- nothing -->", "<html></html>", "<?xml ?>"])
def test_a_page_without_text_has_no_sections(page):
    assert html(page) == []


def test_a_page_that_declares_another_encoding_than_it_was_read_with():
    page = '<?xml version="1.0" encoding="latin-1"?><html><body><p>größer</p></body></html>'
    assert html(page) == [Section("", "größer")]


def test_what_another_program_made_is_kept_whole():
    assert outline(fragment_parts("<p>a</p><h1>B</h1><p>c</p>")) == [
        Section("", "a"),
        Section("B", "c"),
    ]
