"""An image file opened within bounds: the one way in for images of every kind, cached or streamed."""

from __future__ import annotations

import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from space.errors import InputError, reason

if TYPE_CHECKING:
    from PIL.Image import Image

# Pillow's formats that are read, and names that such files have; whichever of them the content is counts
FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
}
EXTENSIONS = tuple(name for names in FORMATS.values() for name in names)
HEAD = 16  # bytes that tell a format
STARTS = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|BM|RIFF.{4}WEBP|P[1-6][\s#]|"
    rb"II[*+]\x00|MM\x00[*+]|MM\*\x00|II\x00\*|GIF8[79]a",
    re.DOTALL,
)
ENDS = {b"\xff\xd8": b"\xff\xd9", b"\x89P": b"IEND"}  # by the first two bytes
TAIL, MOST_TAIL = 32, 1 << 25  # bytes at the end that it is looked for in
MOST_PIXELS = 1 << 28  # a phone's 200 megapixels are read; Pillow holds 4 bytes of each
MOST_BYTES = 2 << 30  # WebP's are in memory as a whole
BITS_PER_SAMPLE, COMPRESSION, PHOTOMETRIC, PLANES = 258, 259, 262, 284  # tags of TIFF


def is_image(head: bytes) -> bool:
    """Whether a file that starts so is of a format that is read."""
    return STARTS.match(head) is not None


def is_cut(handle: int, head: bytes, size: int) -> bool:
    """Whether a JPEG, PNG or WebP file lacks its end, as after a download or a copy that broke off."""
    if head.startswith(b"RIFF"):
        return int.from_bytes(head[4:8], "little") + 8 > size
    end = ENDS.get(head[:2])
    if end is None:
        return False
    # mostly the last bytes; some cameras and editors write more behind
    for most in (TAIL, MOST_TAIL):
        os.lseek(handle, max(0, size - most), os.SEEK_SET)
        if end in os.read(handle, most):
            return False
    return True


@contextmanager
def opened(file: str) -> Iterator[Image]:
    """An image that is not decoded yet, as Pillow's `Image.open`, in the formats above alone.

    Raises `InputError` that names the file, whatever is wrong with it while it is open.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        if Path(file).stat().st_size > MOST_BYTES:
            raise InputError(f"data: {file} is larger than {MOST_BYTES >> 30} GiB, no image that is read")
        with _BOUNDS, Image.open(file, formats=list(FORMATS)) as image:
            _refuse_large(file, image)
            yield image
    except InputError:
        raise
    except Image.DecompressionBombError:
        raise _too_large(file) from None
    except UnidentifiedImageError:
        raise InputError(f"data: {file} cannot be read as an image: damaged, or {_unread(file)}") from None
    except MemoryError:
        raise InputError(f"data: {file} cannot be read as an image: out of memory") from None
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError .. by format
        raise InputError(f"data: {file} cannot be read as an image: {reason(error)}") from None


def _unread(file: str) -> str:
    """What a whole file is that Pillow cannot identify."""
    with suppress(OSError), Path(file).open("rb") as content:
        if content.read(2) in (b"II", b"MM"):
            return "a TIFF of other channels or numbers than are read: save it grey or RGB, of 8 or 16 bits"
    return f"none of {', '.join(FORMATS)}"


class _Bounds:
    """Pillow's bound and warnings as they are here while any thread has an image open, then as before."""

    def __init__(self) -> None:
        self._lock, self._open = threading.Lock(), 0
        self._before: tuple[int | None, ExitStack] = None, ExitStack()

    def __enter__(self) -> None:
        from PIL import Image

        with self._lock:
            self._open += 1
            if self._open > 1:
                return
            stack = ExitStack()
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", module="PIL")  # of metadata, which nobody reads
            self._before = Image.MAX_IMAGE_PIXELS, stack
            # Pillow warns of more pixels than that, and refuses twice as many before it takes memory
            Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2

    def __exit__(self, *_: object) -> None:
        from PIL import Image

        with self._lock:
            self._open -= 1
            if not self._open:
                Image.MAX_IMAGE_PIXELS, stack = self._before
                stack.close()


_BOUNDS = _Bounds()


def _refuse_large(file: str, image: Image) -> None:
    if image.size[0] * image.size[1] > MOST_PIXELS:
        raise _too_large(file)


def _too_large(file: str) -> InputError:
    return InputError(
        f"data: {file} has more than {MOST_PIXELS / 1e6:.0f} million pixels, the most that an image may "
        "have; make it smaller, or leave it out"
    )


def as_rgb(image: Image) -> Image:
    """Any image as 8-bit RGB: transparency is dropped as timm does, 16 bits keep their upper 8.

    Raises `ValueError` for pixels whose range nothing tells, floating-point and 32-bit numbers, and for those
    that Pillow gets wrong.
    """
    tags = getattr(image, "tag_v2", {})
    raw = tags.get(COMPRESSION, 1) == 1 and tags.get(BITS_PER_SAMPLE, (8,))[0] > 8
    if raw and tags.get(PLANES) == 2 and len(image.getbands()) > 1:  # it takes them for 8 bits
        raise ValueError(
            "its channels of 16 bits lie one after the other; save it interleaved, or compressed"
        )
    if image.mode == "RGB":
        image.load()
        return image
    if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
        kind = "floating-point numbers" if image.mode == "F" else "integers of 32 bits or with a sign"
        raise ValueError(f"its pixels are {kind}, without a range; save them with 8 or 16 bits")
    if image.mode == "I" or image.mode.startswith("I;16"):
        image = _eight_bits(image)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns about the direct way
    return image.convert("RGB")


def _eight_bits(image: Image) -> Image:
    from PIL import Image as Pillow

    tags = getattr(image, "tag_v2", {})
    bits = tags.get(BITS_PER_SAMPLE, (16,))[0]  # 12-bit TIFF is in 16 as it is
    grey = (np.asarray(image) >> (bits - 8)).clip(0, 255).astype(np.uint8)
    # white is 0 in X-rays; Pillow turns that round in 8 bits alone
    return Pillow.fromarray(255 - grey if tags.get(PHOTOMETRIC) == 0 else grey)
