"""What a streaming handler of the chat page shows."""


def drive(stream) -> dict:
    """The last state of everything that a streaming handler showed."""
    shown: dict = {}
    for updates in stream:
        for part, update in updates.items():
            if isinstance(update, list):  # a value alone, as an update that says nothing else
                update = {"value": update}
            if isinstance(update, dict) and isinstance(shown.get(part), dict):
                update = {**shown[part], **update}
            shown[part] = update
    return shown
