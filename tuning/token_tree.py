"""Prompts with several answers each, packed so that every common token is computed once. Pure.

All questions of a workspace begin alike, and the answers to one often do ("The capital of Italy
is"). Laid out as a tree, each such token stands once; a token sees its own path and nothing else,
so the figures are those of each prompt with each answer alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tuning.sentinel import Choice


@dataclass
class Tree:
    """Some choices as one sequence of token ids.

    `parents[i]` is the place of the token before token i, -1 for a first one; a parent always
    stands before its children. `edges` are (place, next token) whose likelihood is asked, and
    `answers[c][o]` the numbers of the edges that make option o of the choice `places[c]`.
    """

    ids: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    answers: list[list[list[int]]] = field(default_factory=list)


def trees(choices: Sequence[Choice], most_tokens: int) -> list[Tree]:
    """The choices packed into trees of about `most_tokens`; a longer choice has one of its own."""
    order = sorted(range(len(choices)), key=lambda place: choices[place].prompt_ids)
    grown: list[_Growing] = []
    for place in order:
        choice = choices[place]
        if not grown or grown[-1].size_with(choice) > most_tokens:
            grown.append(_Growing())
        grown[-1].add(place, choice)
    return [one.tree for one in grown]


class _Growing:
    """A tree while choices are added to it."""

    def __init__(self) -> None:
        self.tree = Tree()
        self._nodes: dict[tuple[int, int], int] = {}
        self._edges: dict[tuple[int, int], int] = {}

    def size_with(self, choice: Choice) -> int:
        """Tokens the tree has with this choice too, counting its options as if nothing of them
        were shared."""
        node, known = -1, 0
        for token in choice.prompt_ids:
            found = self._nodes.get((node, token))
            if found is None:
                break
            node, known = found, known + 1
        options = sum(len(option) - 1 for option in choice.options)
        return len(self.tree.ids) + len(choice.prompt_ids) - known + options

    def add(self, place: int, choice: Choice) -> None:
        """Adds what of the choice is not there yet."""
        at = self._grow(-1, choice.prompt_ids)
        self.tree.places.append(place)
        self.tree.answers.append([self._option(at, option) for option in choice.options])

    def _option(self, node: int, option: Sequence[int]) -> list[int]:
        numbers = []
        for index, token in enumerate(option):
            numbers.append(self._edge(node, token))
            if index < len(option) - 1:  # the last token is asked for, and answers nothing
                node = self._grow(node, (token,))
        return numbers

    def _edge(self, node: int, token: int) -> int:
        number = self._edges.setdefault((node, token), len(self.tree.edges))
        if number == len(self.tree.edges):
            self.tree.edges.append((node, token))
        return number

    def _grow(self, node: int, tokens: Sequence[int]) -> int:
        tree = self.tree
        for token in tokens:
            found = self._nodes.setdefault((node, token), len(tree.ids))
            if found == len(tree.ids):
                tree.ids.append(token)
                tree.parents.append(node)
                tree.positions.append(0 if node < 0 else tree.positions[node] + 1)
            node = found
        return node
