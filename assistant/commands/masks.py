"""`apprentice feedback unmask`: what looks private and is taught as it is written all the same."""

from collections.abc import Iterator
from contextlib import closing

from assistant.app import App
from assistant.commands.who import actor
from assistant.masks import free_values
from assistant.verbs import Event
from storage.errors import BadInput, NotFound
from storage.feedback import feedback
from storage.unmasked import mask_again
from storage.workspaces import workspace as workspace_named


def unmask(
    app: App, *, workspace: str, id: int, values: list[str], again: bool = False
) -> Iterator[Event]:
    """Let rounds learn `values` of the row `id`, in every row; without any, the row as it stands.

    `again` takes back all that was freed in the row. Raises BadInput for a value that is not
    masked there.
    """
    if again and values:
        raise BadInput("--again masks all of the row once more: leave --value out.")
    with closing(app.db()) as db:
        found = workspace_named(db, workspace)
        item = feedback(db, id)
        if item.workspace_id != found.id:
            raise NotFound(
                f"There is no feedback {id} in {found.name!r}: `feedback list` shows it."
            )
        if again:
            taken = mask_again(db, id, reviewer=actor())
            said = "is masked again" if taken else "had nothing freed"
            yield {"feedback": id, "unmasked": [], "said": said}
            return
        freed = free_values(db, found, item, values, reviewer=actor())
        said = "as it is written" if not values else "with " + ", ".join(values)
        yield {
            "feedback": id,
            "unmasked": [{"kind": one.kind, "text": one.text} for one in freed],
            "said": f"is taught {said}",
        }
