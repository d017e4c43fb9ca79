"""Images by Pillow: which become bytes, and which are refused because reading them would take a choice that nobody made.

    grey of 8 bits or less                    one channel
    RGB of 8 bits; palettes                   three channels, as `Image.open(file).convert("RGB")` gives them

That is what torchvision's ImageFolder reads, but that it makes grey images RGB as well. Refused are images that it changes, or
shows otherwise than a viewer does: transparency, CMYK and other colour spaces, more than 8 bits a channel, a rotation in EXIF,
several frames. Colour profiles and gamma are not applied. Other formats than those of FORMATS are not tried, whatever the name
of the file: some of Pillow's readers start programs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from zkds.dataset.schema import MAX_RECORD_BYTES
from zkds.errors import FileError
from zkds.input import open_regular
from zkds.native import U8

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
GREY, COLOUR = ("1", "L"), ("RGB", "P")
EXIF_ORIENTATION = 0x112
CONVERT = "convert it first, so that it is clear what the network sees"


def read_image(file: Path) -> U8:
    """(C, H, W) uint8. Raises OSError, or FileError naming the file and what is wrong with the image."""
    try:
        from PIL import Image
    except ImportError:
        raise ValueError("folders of images need Pillow: pip install 'zkds[images]', or give a .npz file") from None
    with open_regular(file) as stream:
        try:
            with warnings.catch_warnings():
                for category in (UserWarning, RuntimeWarning):  # Pillow's, of damage and of decompression bombs
                    warnings.simplefilter("error", category)
                with Image.open(stream, formats=FORMATS) as image:
                    return pixels(image)
        except MemoryError:
            raise
        except ImageRefused as error:
            raise FileError(f"{file}: {error}") from None
        except Exception:  # Pillow's readers raise what they please
            raise FileError(f"{file}: not an image that Pillow can read") from None


class ImageRefused(ValueError):
    """Why an image becomes no bytes; the message does not name it."""


def pixels(image: Any) -> U8:
    """A Pillow image -> (C, H, W) uint8. Raises ImageRefused; nothing is decoded then."""
    for wrong, reason in _OBSTACLES:
        if wrong(image):
            raise ImageRefused(reason)
    if image.mode in GREY:
        return np.array(image.convert("L"), dtype=np.uint8)[None]
    return np.ascontiguousarray(np.array(image.convert("RGB"), dtype=np.uint8).transpose(2, 0, 1))


def _is_large(image: Any) -> bool:
    width, height = image.size
    return bool(width * height * (1 if image.mode in GREY else 3) >= MAX_RECORD_BYTES)


def _is_transparent(image: Any) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa", "RGBX") or "transparency" in image.info


def _is_deep(image: Any) -> bool:
    """16 and 32 bits a channel: by mode, or RGB in a file of 16 bits, which Pillow would cut to 8 as its tiles tell."""
    if image.mode.startswith(("I", "F")):
        return True
    arguments = [tile[3] if isinstance(tile[3], tuple) else (tile[3],) for tile in getattr(image, "tile", ())]
    if image.format == "PPM":  # (raw mode, largest value)
        return any(largest > 255 for _, *numbers in arguments for largest in numbers)
    return any(";16" in str(mode) for mode, *_ in arguments)


def _is_rotated(image: Any) -> bool:
    return bool(image.getexif().get(EXIF_ORIENTATION) in range(2, 9))


_OBSTACLES: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (_is_large, f"too large: a record holds {MAX_RECORD_BYTES} bytes at most; make it smaller"),
    (_is_transparent, f"has transparency; {CONVERT}"),
    (_is_deep, f"has more than 8 bits a channel; {CONVERT}"),
    (lambda image: image.mode not in (*GREY, *COLOUR), f"neither grey nor RGB; {CONVERT}"),
    (lambda image: getattr(image, "n_frames", 1) != 1, "has several frames or pages; keep one of them"),
    (_is_rotated, f"its EXIF data says that it is rotated or mirrored, which torchvision ignores; {CONVERT}"),
)
