"""The films Seekpoint draws itself: every picture and sound is computed, nothing is loaded."""
