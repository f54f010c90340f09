"""Who is here, and what they may do.

Login is Streamlit's own: OpenID Connect, set up by `[auth]` in secrets.toml. Whoever logged in has
the highest role that their claim or a list of addresses gives them, or none. Without login everybody
who reaches the server is an administrator, so it then listens to its own machine only.
"""

from __future__ import annotations

import ipaddress
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from core import ConfigurationError, SeekpointError, Settings
from core.audit import Who

logger = logging.getLogger(__name__)


class Role(IntEnum):
    """Each may do what those before it may."""

    NONE = 0
    VIEWER = 1
    ANALYST = 2
    ADMIN = 3

    def __str__(self) -> str:
        return self.name.lower()


# By their names in the library. What stands in no list, and so what is new, is for administrators.
_VIEWERS_MAY = """
    settings embedder capabilities collection version warning superseded
    videos segments media_file poster frame heat
    search fold why calibrate other_models model
    findings export load cut_clips
    queue jobs job
    searches searches.named searches.history searches.get searches.keep searches.keep_media
    searches.to_text searches.from_text
    basket basket.items basket.ids basket.exported basket.mark_exported
    explorer explorer.options explorer.overview explorer.scores explorer.vocabulary
    explorer.words_price explorer.words explorer.outliers explorer.duplicates explorer.trend
    explorer.coverage explorer.compare explorer.answer
"""
_ANALYSTS_MAY = """
    estimate review folder_files add wait uploads uploads.copy
    pause resume cancel retry retry_failed prioritise forget forget_all
    spending ledger ledger_csv
    searches.rename searches.forget searches.forget_history
    basket.add basket.note basket.tag basket.remove basket.clear
    explorer.set_vocabulary
"""
_OF_VIEWERS = frozenset(_VIEWERS_MAY.split())
_OF_ANALYSTS = frozenset(_ANALYSTS_MAY.split())


def role_for(action: str) -> Role:
    """The least role that may do what the library calls by this name, as in `searches.rename`."""
    if action in _OF_VIEWERS:
        return Role.VIEWER
    return Role.ANALYST if action in _OF_ANALYSTS else Role.ADMIN


class AccessDenied(SeekpointError):
    """Somebody asked for what their role may not do."""

    def __init__(self, role: Role, least: Role) -> None:
        super().__init__(
            f"This needs the role {least}; yours here is {role}.",
            "Ask whoever runs this Seekpoint for another role.",
        )


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody before the screen. `user` is what they logged in as, "" where nobody did."""

    user: str
    role: Role

    @property
    def who(self) -> Who:
        return Who(self.user, str(self.role) if self.user else "")

    def may(self, action: str) -> bool:
        return self.role >= role_for(action)

    def must(self, action: str) -> None:
        """Raises AccessDenied unless they may."""
        if not self.may(action):
            raise AccessDenied(self.role, role_for(action))


class Policy:
    """Gives everybody their role, as the settings say. `login` says whether there is any login, and
    `open_on` where the server listens to others without one, "" where it does not.

    Raises:
        ConfigurationError: the settings name roles, but there is no login that would ask for names.
    """

    def __init__(self, settings: Settings, *, login: bool) -> None:
        self.login = login
        self._claim = settings.role_claim
        self._lists = {
            Role.ADMIN: settings.admins,
            Role.ANALYST: settings.analysts,
            Role.VIEWER: settings.viewers,
        }
        given = bool(self._claim) or any(self._lists.values())
        if given and not login:
            raise ConfigurationError(
                "The settings give people roles, but there is no login.",
                "Set login up: [auth] in .streamlit/secrets.toml. Or take SEEKPOINT_ADMINS, "
                "_ANALYSTS, _VIEWERS and _ROLE_CLAIM out of the settings.",
            )
        if login and not given:
            logger.warning("there is login, but nobody has a role: set SEEKPOINT_ADMINS")
        # Read once: the server does not change its address.
        address = st.get_option("server.address") or "0.0.0.0"
        self.open_on = "" if login or _is_loopback(address) else address
        if self.open_on:
            logger.warning("anybody who reaches %s may do everything: no login", self.open_on)

    def visitor(self, claims: Mapping[str, Any]) -> Visitor:
        """Whom these claims are about. They must come from a login that was verified."""
        if not self.login:
            return Visitor("", Role.ADMIN)
        if claims.get("is_logged_in") is not True:
            return Visitor("", Role.NONE)
        # An address that its owner never proved is nobody's.
        proved = str(claims.get("email_verified", True)).lower() != "false"
        address = str(claims.get("email") or "").lower() if proved else ""
        return Visitor(
            address or str(claims.get("sub") or "unknown"),
            max(self._claimed(claims), self._listed(address)),
        )

    def visitor_with(self, cookies: Mapping[str, str]) -> Visitor:
        """The same for a request beside the pages, by the cookie of their login."""
        return self.visitor(_claims_in(cookies) if self.login else {})

    def _claimed(self, claims: Mapping[str, Any]) -> Role:
        """By the claim, which holds one role or a list with roles in it."""
        value = claims.get(self._claim) if self._claim else None
        names = [str(name).lower() for name in (value if isinstance(value, list) else [value])]
        return max((role for role in Role if str(role) in names), default=Role.NONE)

    def _listed(self, address: str) -> Role:
        name, _, domain = address.rpartition("@")
        wanted = {address, f"*@{domain}"} if name else set()
        roles = (role for role, listed in self._lists.items() if wanted & set(listed))
        return max(roles, default=Role.NONE)


def login_is_set_up() -> bool:
    """Whether secrets.toml has `[auth]`.

    Raises:
        ConfigurationError: there is such a file, but it cannot be read. To go on without login then
            would open what was closed.
    """
    if st.secrets.load_if_toml_exists():
        return "auth" in st.secrets
    there = [file for file in st.get_option("secrets.files") if Path(file).exists()]
    if there:
        raise ConfigurationError(
            f"The secrets file {there[0]} cannot be read.",
            "Mend it: it is TOML, and has to be readable for this user.",
        )
    return False


def login_providers() -> list[str]:
    """What can be logged in with: the names of the sections of `[auth]`, or "" for itself."""
    auth = st.secrets["auth"]
    if "client_id" in auth:
        return [""]
    return [name for name, section in auth.items() if isinstance(section, Mapping)]


def _claims_in(cookies: Mapping[str, str]) -> Mapping[str, Any]:
    """What Streamlit keeps of a login; nothing where the cookie is missing, old or not its own."""

    def read(name: str) -> bytes | None:
        value = cookies.get(name, "").encode("latin-1", errors="replace")
        return decode_signed_value(get_cookie_secret(), name, value)

    try:
        claims = json.loads(get_cookie_with_chunks(read, USER_COOKIE_NAME) or b"{}")
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}


def _is_loopback(address: str) -> bool:
    if address == "localhost" or address.startswith("unix://"):
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
