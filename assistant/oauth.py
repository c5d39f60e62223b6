"""Log in by one's Hugging Face account: OpenID Connect, authorisation code with PKCE (RFC 7636).

The browser keeps a random verifier in a cookie; the state that travels is signed and names the
verifier's hash, so that a callback counts only in the browser that asked for it (RFC 6749, 10.12).
"""

import base64
import hashlib
import hmac
import secrets
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlite_utils import Database
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from assistant.login import local_path, logout_routes, open_session
from assistant.plain_pages import hub_login_page
from assistant.security import hash_password, identify, verify_password
from assistant.settings import Settings
from assistant.space import HubLogin, names_in
from storage.audit import audit
from storage.datadir import DataDir, read_secret
from storage.errors import ApprenticeError, NotFound, Refused
from storage.records import User
from storage.users import (
    create_user,
    folded,
    join,
    only_admins,
    password_hash,
    user_by_name,
)
from storage.workspaces import DEFAULT, workspace

if TYPE_CHECKING:
    from assistant.app import App

VERIFIER_COOKIE = "apprentice_oauth"
LOGIN_SECONDS = 600
"""How long somebody may take to log in at the Hub."""
TIMEOUT_S = 10.0
EVERYBODY = "*"


class HubLoginFailed(ApprenticeError):
    """The Hub did not say who somebody is."""


def oauth_routes(app: "App", hub: HubLogin) -> list[Route]:
    """`/login` with its way to the Hub and back, and `/logout`; there are no passwords here."""
    pages = _HubLoginPages(app, hub)
    with closing(app.db()) as db:
        only_admins(db, names_in(app.settings.admins))
    return [
        Route("/login", pages.show_login, methods=["GET"]),
        Route("/login/huggingface", pages.go_to_hub, methods=["GET"]),
        Route("/login/callback", pages.come_back, methods=["GET"]),
        *logout_routes(app),
    ]


def signed_in(
    db: Database, datadir: DataDir, settings: Settings, *, account: str, name: str
) -> User:
    """The user with the Hub's `account` id and `name`, made at the first login.

    Admin is who is on the list of admins, nobody else. A name may come to belong to another
    account: Refused then, because the conversations here are the first one's. Each user has a
    password that nobody knows, made from the account id, so that the two can be compared.
    """
    key = read_secret(datadir, "hub-accounts").encode()
    password = hmac.new(key, account.encode(), hashlib.sha256).hexdigest()
    try:
        user = user_by_name(db, name)
    except NotFound:
        user = create_user(db, name, hash_password(password), "member")
        audit(db, f"user:{user.id}", "user created by the Hub's login", f"user:{user.id}")
    if not verify_password(password, password_hash(db, user.id)):
        raise Refused(
            f"{name} is another account's name here: an admin has to delete that user first."
        )
    only_admins(db, names_in(settings.admins))
    members = names_in(settings.members)
    if EVERYBODY in members or folded(name) in map(folded, members):
        join(db, user.id, workspace(db, DEFAULT).id)
    audit(db, f"user:{user.id}", "logged in", f"user:{user.id}")
    return user_by_name(db, name)


class _HubLoginPages:
    """The handlers."""

    def __init__(self, app: "App", hub: HubLogin) -> None:
        self._app = app
        self._hub = hub
        self._signer = URLSafeTimedSerializer(read_secret(app.datadir, "cookies"), salt="oauth")
        self._addresses: dict[str, Any] = {}

    def show_login(self, request: Request) -> Response:
        next_path = local_path(request.query_params.get("next", ""))
        if identify(request, self._app).kind == "user":
            return RedirectResponse(next_path or "/", 303)
        framed = request.headers.get("sec-fetch-dest") == "iframe"
        return hub_login_page(next_path, framed=framed)

    def go_to_hub(self, request: Request) -> Response:
        next_path = local_path(request.query_params.get("next", ""))
        verifier = secrets.token_urlsafe(48)
        asked = {
            "response_type": "code",
            "client_id": self._hub.client_id,
            "redirect_uri": self._hub.redirect_uri,
            "scope": self._hub.scopes,
            "state": self._signer.dumps({"next": next_path, "of": _challenge(verifier)}),
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        try:
            address = self._address("authorization_endpoint")
        except HubLoginFailed as error:
            return hub_login_page(next_path, error=str(error), status=502)
        answer = RedirectResponse(f"{address}?{urlencode(asked)}", 303)
        answer.set_cookie(
            VERIFIER_COOKIE,
            verifier,
            max_age=LOGIN_SECONDS,
            path="/login",
            httponly=True,
            secure=True,
            samesite="lax",  # strict ones are not sent when the Hub leads back
        )
        return answer

    async def come_back(self, request: Request) -> Response:
        return await run_in_threadpool(self._come_back, request)

    def _come_back(self, request: Request) -> Response:
        verifier = request.cookies.get(VERIFIER_COOKIE, "")
        state = self._state(request.query_params.get("state", ""), verifier)
        if state is None:
            text = "This login was begun in another browser or too long ago: log in again."
            return hub_login_page("", error=text, status=400)
        next_path, code = local_path(state["next"]), request.query_params.get("code", "")
        if not code:
            return hub_login_page(next_path, error="You were not logged in.", status=403)
        try:
            known = self._who(code, verifier)
            with closing(self._app.db()) as db:
                user = signed_in(db, self._app.datadir, self._app.settings, **known)
        except HubLoginFailed as error:
            return hub_login_page(next_path, error=str(error), status=502)
        except ApprenticeError as error:
            return hub_login_page(next_path, error=str(error), status=403)
        answer = open_session(self._app, request, user, next_path or "/", samesite="lax")
        answer.delete_cookie(VERIFIER_COOKIE, path="/login", secure=True, httponly=True)
        return answer

    def _state(self, text: str, verifier: str) -> dict[str, str] | None:
        """What was signed at the start, if this browser started it."""
        try:
            state = self._signer.loads(text, max_age=LOGIN_SECONDS)
        except BadSignature:
            return None
        same = hmac.compare_digest(state["of"], _challenge(verifier))
        return state if verifier and same else None

    def _who(self, code: str, verifier: str) -> dict[str, str]:
        """Account id and name of who comes with this code."""
        asked = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._hub.redirect_uri,
            "client_id": self._hub.client_id,
            "code_verifier": verifier,
        }
        key = (self._hub.client_id, self._hub.client_secret)
        token = self._ask("POST", self._address("token_endpoint"), data=asked, auth=key)
        bearer = {"Authorization": f"Bearer {token.get('access_token')}"}
        found = self._ask("GET", self._address("userinfo_endpoint"), headers=bearer)
        account, name = found.get("sub"), found.get("preferred_username")
        if not (isinstance(account, str) and account and isinstance(name, str) and name):
            raise HubLoginFailed("The Hub did not say who you are: try again.")
        return {"account": account, "name": name}

    def _address(self, name: str) -> str:
        """One of the provider's addresses, as its description says."""
        if name not in self._addresses:
            where = f"{self._hub.provider}/.well-known/openid-configuration"
            self._addresses = self._ask("GET", where)
        if not isinstance(self._addresses.get(name), str):
            raise HubLoginFailed(f"The Hub names no {name}: try again later.")
        return str(self._addresses[name])

    def _ask(self, method: str, address: str, **more: Any) -> dict[str, Any]:
        import httpx

        try:
            answer = httpx.request(method, address, timeout=TIMEOUT_S, **more)
            answer.raise_for_status()
            found = answer.json()
        except httpx.HTTPStatusError as error:
            code = error.response.status_code
            raise HubLoginFailed(f"The Hub refused the login (answer {code}): try again.") from None
        except (httpx.HTTPError, ValueError):
            raise HubLoginFailed("The Hub cannot be reached: try again later.") from None
        if not isinstance(found, dict):
            raise HubLoginFailed("The Hub did not say who you are: try again.")
        return found


def _challenge(verifier: str) -> str:
    """RFC 7636, 4.2: the verifier's sha256 in base64 without padding."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
