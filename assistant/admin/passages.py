"""How a document was cut: its passages, as answers may be shown them."""

from typing import TYPE_CHECKING

import gradio as gr

from assistant.admin.desk import Desk, Updates, binder
from assistant.chat_view import one_line
from assistant.security import may_administer
from storage.documents import chunks_of, document_by_name
from storage.errors import BadInput
from storage.records import Chunk

if TYPE_CHECKING:
    from assistant.app import App

PAGE = 20


class PassagesForm:
    """A page of the passages of the document that is chosen in `name`."""

    def __init__(self, app: "App", workspace: gr.Dropdown, name: gr.Dropdown) -> None:
        self.listed = gr.Markdown(elem_id="passages")
        self.start = gr.State(0)
        with gr.Row():
            self.earlier = gr.Button("Earlier", size="sm", visible=False)
            self.later = gr.Button("Later", size="sm", visible=False)
        self.outputs = {self.listed, self.start, self.earlier, self.later}
        self._bind = binder(app, may_administer, workspace, self.outputs)
        self._bind(self.earlier.click, self.before, name, self.start)
        self._bind(self.later.click, self.after, name, self.start)
        self._name = name

    def opened_by(self, button: gr.Button, fault: gr.Markdown) -> None:
        """`button` shows the first page; what is wrong is said at `fault`."""
        self._bind(button.click, self.show, self._name, fault=fault)

    def closed(self) -> Updates:
        """Nothing of any document."""
        hidden = gr.update(visible=False)
        return {self.listed: "", self.start: 0, self.earlier: hidden, self.later: hidden}

    def show(self, desk: Desk, name: str | None, start: int = 0) -> Updates:
        """PAGE passages from `start` on."""
        if not name:
            raise BadInput("Choose a document first.")
        known = document_by_name(desk.db, desk.workspace.id, name)
        page = chunks_of(desk.db, known.id, start=start, limit=PAGE)
        last = start + len(page)
        said = f"{known.name}: passages {start + 1} to {last} of {known.chunk_count}"
        return {
            self.listed: f"<h2>{one_line(said)}</h2>" + "".join(map(_passage, page)),
            self.start: start,
            self.earlier: gr.update(visible=start > 0),
            self.later: gr.update(visible=last < known.chunk_count),
        }

    def before(self, desk: Desk, name: str | None, start: int) -> Updates:
        """The page before this one."""
        return self.show(desk, name, max(0, start - PAGE))

    def after(self, desk: Desk, name: str | None, start: int) -> Updates:
        """The page after this one."""
        return self.show(desk, name, start + PAGE)


def _passage(chunk: Chunk) -> str:
    heading = f'<p class="note">{one_line(chunk.heading)}</p>' if chunk.heading else ""
    return f'{heading}<div class="passage">{one_line(chunk.text)}</div>'
