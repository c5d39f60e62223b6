"""When a workspace says that its documents do not say."""

import re

from sqlite_utils import Database

from assistant.app import App
from assistant.decoding import format_check
from assistant.likeliest import NEAR_FROM
from assistant.retrieval import Found, approved_near
from storage.records import Workspace

SILENT = "No passage of the documents matched this question."
"""Said under an answer that the model gives without them."""

_GREETING = re.compile(
    r"(?:hi|hello|hey|good (?:morning|afternoon|evening|day)|thanks|thank you|bye|goodbye)"
    r"(?: there| again| very much| a lot| so much| everybody| all)?"
)


def decline(app: App, db: Database, workspace: Workspace, question: str, found: Found) -> str:
    """What is said instead of an answer, with the nearest documents; "": the model is asked.

    It is asked where the workspace declines nothing, for a greeting, for what holds no word that
    could be looked up, and for what a person has approved an answer to, or to a near question.
    """
    said = workspace.settings.decline
    if not said or _is_talk(app, db, workspace, question):
        return ""
    near = approved_near(app, db, workspace, question)
    if any(similarity >= NEAR_FROM for _, similarity in near):
        return ""
    names = list(dict.fromkeys(passage.document for passage in found.nearest))
    if format_check(workspace.settings):  # it may be JSON itself, for the program that reads it
        return said
    return f"{said}\n\nNearest: {', '.join(names)}." if names else said


def _is_talk(app: App, db: Database, workspace: Workspace, question: str) -> bool:
    bare = " ".join(re.findall(r"\w+", question.casefold()))
    if _GREETING.fullmatch(bare):
        return True
    return not app.lexical.rarity(db, workspace.id, question)
