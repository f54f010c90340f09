"""Library: add videos, follow them in, see what is there, remove."""

from __future__ import annotations

import streamlit as st

from components import resources
from components.add_videos import add_videos
from components.feedback import opened_library
from components.format import clock, count
from components.job_list import job_list
from components.video_list import video_list

library = opened_library()

with st.expander("Add videos", icon=":material/add:", expanded=not library.videos()):
    add_videos(library)
job_list(library)

videos = library.videos()
if videos:
    seconds = sum(video.duration or 0.0 for video in videos)
    st.caption(f"{count(len(videos), 'video')}, {clock(seconds)} in all")
    video_list(library, resources.links())
else:
    st.markdown("No videos yet. Add an address or a file above, or load the samples on Search.")
