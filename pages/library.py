"""Library: add videos, follow them in, see what they cost and what is there, remove."""

from __future__ import annotations

import streamlit as st

from components import resources
from components.add_videos import add_videos
from components.feedback import opened_library
from components.format import clock, count
from components.job_list import job_list
from components.labels import names_for_readers
from components.model_change import model_change
from components.spending import spending
from components.video_list import video_list

library = opened_library()
names_for_readers()
if resources.may("add"):
    add_videos(library, resources.links())
job_list(library)
if resources.may("model_change"):
    model_change(library)
if resources.may("spending"):
    spending(library)

videos = library.videos()
if videos:
    seconds = sum(video.duration or 0.0 for video in videos)
    st.subheader("Videos")
    st.caption(f"{count(len(videos), 'video')}, {clock(seconds)} in all")
    video_list(library, resources.links())
elif not library.queue().active:
    st.markdown(
        "No videos yet. Add an address or a file above, or load the samples on Search."
        if resources.may("add")
        else "No videos yet."
    )
