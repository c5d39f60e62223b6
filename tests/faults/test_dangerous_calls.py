"""No call that runs what data says (bar B30). Ruff's S rules look at the rest."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("assistant", "docs", "knowledge", "storage", "tuning")
FORBIDDEN = {
    *("eval", "exec", "os.system", "os.popen", "torch.load", "torch.hub.load", "joblib.load"),
    *("numpy.load", "np.load", "yaml.load", "yaml.unsafe_load"),
}
MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
FLAGS = {
    ("shell", True),
    ("trust_remote_code", True),
    ("allow_pickle", True),
    ("weights_only", False),
}


def dangers(tree: ast.AST) -> set[str]:
    """What a piece of source does that may run what data says."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.module or "").split(".")[0]} & MODULES
        elif isinstance(node, ast.Call):
            found |= {ast.unparse(node.func)} & FORBIDDEN
            given = {
                (word.arg, word.value.value)
                for word in node.keywords
                if isinstance(word.value, ast.Constant)
            }
            found |= {f"{name}={value}" for name, value in given & FLAGS}
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_the_house_does_none_of_it(room, tried):
    paths = sorted((ROOT / room).rglob("*.py"))
    assert paths
    for path in paths:
        tried("B30")
        assert not dangers(ast.parse(path.read_text())), path


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "torch.load(path)",
        "eval(text)",
        "yaml.load(text)",
        "subprocess.run(text, shell=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "np.load(path)",
    ],
)
def test_each_of_them_would_be_seen(line):
    assert dangers(ast.parse(line))
