"""Files that are somewhere else and can be read at any place, as a demuxer wants them."""

from __future__ import annotations

import io


class SeekableFile(io.RawIOBase):
    """A file of `size` bytes. `readinto` is its kind's: it reads at `_position` and moves it on."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position
