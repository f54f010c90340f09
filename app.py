"""The server: Streamlit pages, our own media routes, and a library that opens with the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st
from starlette.middleware import Middleware

from components import downloads, heaps, resources, shutdown
from components.access import login_is_set_up
from components.gate import Gate
from components.headers import middleware
from components.health import health_routes
from components.requests import NamedRequests
from components.routes import routes

heaps.share()
downloads.keep_for_a_while()


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Opens the library beside the first page, and closes it before the process ends."""
    shutdown.limit_open_requests()
    warming = asyncio.create_task(asyncio.to_thread(resources.warm))
    try:
        yield
    finally:
        shutdown.end_in_time()
        # Only waited for: if it failed, what it had opened must still be closed.
        await asyncio.wait([warming])
        await asyncio.to_thread(resources.close)


app = st.App(
    "pages/_frame.py",
    lifespan=lifespan,
    middleware=[
        Middleware(NamedRequests),
        *middleware(resources.settings, login_is_set_up),
        Middleware(Gate, resources.policy),
    ],
    routes=[
        *routes(resources.library, resources.links_of_nobody, resources.policy),
        *health_routes(resources.library, resources.settings),
    ],
)
