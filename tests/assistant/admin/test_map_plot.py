"""The map as a drawing."""

from xml.etree import ElementTree

from assistant.admin.map_plot import FAR, HEIGHT, WIDTH, counted, farthest, map_plot
from knowledge.document_map import DocumentMap, Placed, Question
from tests.assistant.test_drawing import SVG


def found(questions=12, all_passages=5000):
    passages = (Placed(0.0, 0.1, "b <1>.md"), Placed(0.2, 0.0, "a.md"), Placed(0.1, 0, "b <1>.md"))
    asked = tuple(
        Question(0.3 + n / 50, -0.2, f"=Is <{n}> it?", "a.md", n / 50) for n in range(questions)
    )
    return DocumentMap(passages, asked, all_passages, questions, 0.18)


def test_points_are_within_the_drawing_and_at_one_measure():
    root = ElementTree.fromstring(map_plot(found()).svg)
    dots = [(float(one.attrib["cx"]), float(one.attrib["cy"])) for one in root.iter(f"{SVG}circle")]
    assert len(dots) == 3
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in dots)
    other, first, second = dots  # by document: a.md stands before b
    # 0.2 to the right and 0.1 down; upwards is less
    assert abs((other[0] - first[0]) - 2 * (other[1] - first[1])) < 0.3
    groups = root.findall(f"{SVG}g")
    assert [one.find(f"{SVG}title").text for one in groups] == ["a.md", "b <1>.md"]
    assert second[0] < other[0]


def test_the_farthest_are_full_numbered_and_named():
    root = ElementTree.fromstring(map_plot(found()).svg)
    diamonds = root.findall(f"{SVG}polygon")
    assert [one.attrib["class"] for one in diamonds].count("far") == FAR
    assert len(diamonds) == 12 and diamonds[-1].attrib["class"] == "far"
    assert diamonds[-1][0].text == "=Is <0> it? (nearest: a.md, 0.00)"
    numbers = {one.text for one in root.findall(f"{SVG}text")}
    assert {"1", str(FAR)} <= numbers and str(FAR + 1) not in numbers


def test_its_numbers_are_all_of_them():
    plot = map_plot(found())
    assert len(plot.rows) == 15 and len(plot.rows[0]) == len(plot.head) == len(plot.rows[-1])
    assert plot.rows[0][:3] == ("question", 1, "=Is <0> it?")
    assert plot.rows[-1][:3] == ("passage", None, "b <1>.md")


def test_in_words():
    said = counted(found())
    assert "3 of 5,000 passages and 12 questions" in said and "show 18% of" in said
    shown = farthest(found())
    assert shown.count("<tr>") == FAR + 1
    assert "<td>1</td><td>=Is &lt;0&gt; it?</td><td>a.md</td><td>0.00</td>" in shown
    assert "No question is open." in farthest(found(questions=0))


def test_too_few_points_are_no_map():
    assert map_plot(DocumentMap((Placed(0, 0, "a"),), (), 1, 0, 0.0)).svg == ""
    same = tuple(Placed(0, 0, "a") for _ in range(3))
    ElementTree.fromstring(map_plot(DocumentMap(same, (), 3, 0, 0.0)).svg)
