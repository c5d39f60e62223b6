"""Where the vectors are kept, by the settings: in a folder here, or on a Chroma server."""

from sqlite_utils import Database

from assistant.settings import Settings
from knowledge.chroma_place import ChromaPlace
from storage.house import install_id


def chroma_place(settings: Settings, db: Database) -> ChromaPlace | None:
    """The Chroma server; None for the folder. Raises BadInput for what cannot be used.

    This install gets its prefix here, where it has none.
    """
    if not settings.chroma_url.strip():
        return None
    return ChromaPlace(
        url=settings.chroma_url.strip(),
        prefix=settings.chroma_prefix.strip() or f"apprentice-{install_id(db)}",
        token=settings.chroma_token.get_secret_value().strip(),
        tenant=settings.chroma_tenant.strip(),
        database=settings.chroma_database.strip(),
    )
