"""Numbers for two videos, frame by frame, or for folders of them."""
