"""The version of Seekpoint; the one place where it stands."""

VERSION = "0.1.0"
