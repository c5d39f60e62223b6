"""All that a server does in a small house, so that somebody can watch what it connects to.

python tests/faults/whole_use.py FOLDER BASE [round]
"""

import sys
import time
from contextlib import closing
from pathlib import Path

import httpx

from assistant.app import App, open_app
from assistant.settings import read_settings
from storage.keys import create_key
from storage.rounds import tuning_round
from storage.workspaces import set_workspace, workspace
from tests.assistant.command_line import run_verb, write_rows
from tests.serving import served

DIALS = {"method": "lora", "epochs": 1, "rank": 2, "replay_share": 0, "learned_loss": 0}


def use(app: App, folder: Path) -> None:
    """Documents, pages, a question, a judgement, the health of it."""
    (folder / "returns.md").write_text("# Returns\n\nGoods go back within 30 days.")
    run_verb(app, "ingest", workspace="default", paths=[str(folder / "returns.md")])
    with closing(app.db()) as db:
        key = create_key(db, "all", workspace_id=None, actor="test")[1]
        set_workspace(db, "default", "access", "public")
    with served(app) as url, httpx.Client(base_url=url, timeout=120) as client:
        for page in ("/", "/admin", "/healthz"):
            assert client.get(page, follow_redirects=True).status_code == 200, page
        client.headers["Authorization"] = f"Bearer {key}"
        asked = [{"role": "user", "content": "When may goods be returned?"}]
        body = {"model": "default", "messages": asked, "max_tokens": 4}
        answer = client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        judged = {"message_id": answer.json()["id"], "correction": "Within 30 days."}
        assert client.post("/v1/feedback", json=judged).status_code == 200


def teach(app: App, folder: Path) -> None:
    """A round to its end."""
    from assistant.rounds import start_round

    rows = [
        {"question": f"{ask} {need}?", "correction": f"Answer {need}.", "group": f"need {need}"}
        for need in range(4)
        for ask in ("What is", "Tell me about", "Please explain")
    ]
    path = write_rows(folder / "rows.jsonl", *rows)
    run_verb(app, "feedback import", workspace="default", file=str(path), approve=True)
    with closing(app.db()) as db:
        made = start_round(app, workspace(db, "default"), dials=DIALS, actor="user:1")
        while tuning_round(db, made.id).state in ("queued", "running"):
            time.sleep(0.1)
        assert tuning_round(db, made.id).state == "done", tuning_round(db, made.id).error


if __name__ == "__main__":
    folder, base = Path(sys.argv[1]), sys.argv[2]
    with open_app(read_settings(data=folder / "data", base_model=base, threads=1)) as app:
        use(app, folder)
        if sys.argv[3:]:
            teach(app, folder)
    print("used")
