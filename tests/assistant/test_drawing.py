"""Pieces of SVG: whole files that any XML reader takes."""

from xml.etree import ElementTree

from assistant.drawing import bar, diamond, drawing, legend, line, said, scale, text

SVG = "{http://www.w3.org/2000/svg}"


def test_a_drawing_is_a_file_of_its_own_with_its_colours_on_white():
    inside = text(1, 2, "Tom & <b>Jerry</b>", "end") + bar("good", 0, 0, 3, 4, 'a "title"')
    root = ElementTree.fromstring(drawing("loss", 10, 20, "one <two>", inside))
    assert (root.tag, root.attrib["viewBox"], root.attrib["aria-label"]) == (
        *(f"{SVG}svg", "0 0 10 20", "one <two>"),
    )
    paper, words, drawn = root
    assert (paper.attrib["fill"], paper.attrib["width"], paper.attrib["height"]) == (
        *("#ffffff", "10.0", "20.0"),
    )
    assert words.text == "Tom & <b>Jerry</b>" and words.attrib["text-anchor"] == "end"
    assert drawn.attrib["fill"].startswith("#") and drawn[0].text == 'a "title"'
    assert all(one.attrib["class"] for one in root)


def test_what_no_xml_may_hold_is_left_out():
    assert said("a\x00b\x1bc\ufffe d\n\n e") == "abc d e"
    ElementTree.fromstring(drawing("map", 1, 1, "\x07", diamond("far", 1, 1, 5, "\x0b\ud800 x")))


def test_a_scale_goes_either_way_and_takes_equal_values():
    assert scale(0, 10, 100, 200)(5) == 150
    assert scale(0, 1, 100, 0)(1) == 0
    assert scale(3, 3, 7, 9)(3) == 7


def test_a_title_only_where_there_are_words():
    assert "<title>" not in line("grid", 0, 0, 1, 1)
    assert "<title>x</title>" in line("grid", 0, 0, 1, 1, "x")


def test_a_legend_stands_side_by_side():
    root = ElementTree.fromstring(drawing("x", 1, 1, "", legend([("good", "good"), ("bad", "no")])))
    first, second = (float(one.attrib["x"]) for one in root.findall(f"{SVG}rect")[1:])
    assert first + 40 < second
