"""Tokens that prompts and answers have in common stand once, and nothing else is shared."""

from tuning.sentinel import Choice
from tuning.token_tree import trees


def paths(tree):
    """For each choice and option: its prompt's and answer's tokens, read back from the tree."""
    found = {}
    for place, options in zip(tree.places, tree.answers, strict=True):
        for number, edges in enumerate(options):
            first, node = tree.edges[edges[0]][0], tree.edges[edges[0]][0]
            prompt = []
            while node >= 0:
                prompt.insert(0, tree.ids[node])
                assert tree.parents[node] < node
                node = tree.parents[node]
            assert tree.positions[first] == len(prompt) - 1
            answer = [tree.edges[edge][1] for edge in edges]
            for edge, token in zip(edges[1:], answer, strict=False):
                at = tree.edges[edge][0]
                assert tree.ids[at] == token and tree.parents[at] == first
                first = at
            found[place, number] = (tuple(prompt), tuple(answer))
    return found


CHOICES = [
    Choice("a", "x", (1, 2, 3), ((7, 8, 9), (7, 8, 5), (6,))),
    Choice("b", "x", (1, 2, 4), ((7, 8, 9), (7,))),
    Choice("c", "x", (1, 2, 3, 5), ((1, 1), (2, 1))),
]


def test_every_option_is_there_whole():
    expected = {
        (place, number): (choice.prompt_ids, option)
        for place, choice in enumerate(CHOICES)
        for number, option in enumerate(choice.options)
    }
    for most in (1000, 8, 1):
        found = {}
        for tree in trees(CHOICES, most):
            found.update(paths(tree))
        assert found == expected


def test_common_tokens_stand_once():
    (tree,) = trees(CHOICES, 1000)
    # 1 2 3, 7 8 | 4, 7 8 | 5, 1, 2: last tokens of answers are asked for and not computed
    assert len(tree.ids) == 11
    assert len(tree.edges) == 5 + 3 + 4


def test_a_tree_ends_before_it_is_too_large():
    many = [Choice(str(n), "x", (1, 2, 100 + n), ((3, 4), (5, 6))) for n in range(50)]
    found = trees(many, 32)
    assert len(found) == 5
    assert all(len(tree.ids) <= 32 for tree in found)
    assert sorted(place for tree in found for place in tree.places) == list(range(50))
    assert len(trees(many[:1], 1)) == 1
