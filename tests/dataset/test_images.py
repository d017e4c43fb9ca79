"""Folders of images: which become bytes as torchvision's loader makes them, and which are refused by name."""

import struct
import zlib

import numpy as np
import pytest

from zkds.dataset.images import FORMATS, pixels, read_image
from zkds.errors import FileError

pytestmark = pytest.mark.any_kernels

image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(1)
RGB = RNG.integers(0, 256, (4, 6, 3), dtype=np.uint8)
GREY = RGB[..., 0]


def as_torchvision(path):
    """torchvision.datasets.folder.pil_loader, channels first."""
    with open(path, "rb") as file:
        return np.array(image.open(file).convert("RGB")).transpose(2, 0, 1)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, bits, colour, data=b""):
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def exif(orientation):
    data = image.Exif()
    data[0x112] = orientation
    return data


PALETTE = image.fromarray(RGB).quantize(8)
ACCEPTED = {
    "rgb.png": lambda path: image.fromarray(RGB).save(path),
    "rgb.jpg": lambda path: image.fromarray(RGB).save(path),
    "rgb.bmp": lambda path: image.fromarray(RGB).save(path),
    "rgb.ppm": lambda path: image.fromarray(RGB).save(path),
    "rgb.tif": lambda path: image.fromarray(RGB).save(path),
    "rgb.webp": lambda path: image.fromarray(RGB).save(path, lossless=True),
    "grey.png": lambda path: image.fromarray(GREY).save(path),
    "black and white.png": lambda path: image.fromarray(GREY).convert("1").save(path),
    "upright.jpg": lambda path: image.fromarray(RGB).save(path, exif=exif(1)),
    "palette.png": lambda path: PALETTE.save(path),
    "palette.gif": lambda path: PALETTE.save(path),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_images_are_what_torchvision_reads(tmp_path, name):
    """But for grey ones, which have one channel here."""
    ACCEPTED[name](tmp_path / name)
    found, expected = read_image(tmp_path / name), as_torchvision(tmp_path / name)
    assert found.shape == ((1, 4, 6) if name.startswith(("grey", "black")) else (3, 4, 6))
    assert found.dtype == np.uint8 and found.flags.c_contiguous and (found == expected).all()


def frames(path):
    image.fromarray(RGB).save(path, save_all=True, append_images=[image.fromarray(255 - RGB)])


def with_rest(path, image_format, rest):
    image.fromarray(RGB).save(path, format=image_format)
    path.write_bytes(rest(path.read_bytes()))


WIDE = (4 * 256 + GREY.astype(np.uint16)) * 3
REFUSED = {
    "alpha.png": (lambda path: image.fromarray(RGB).convert("RGBA").save(path), "has transparency"),
    "grey alpha.png": (lambda path: image.fromarray(GREY).convert("LA").save(path), "has transparency"),
    "see-through palette.png": (lambda path: PALETTE.save(path, transparency=0), "has transparency"),
    "see-through.gif": (lambda path: PALETTE.save(path, transparency=0), "has transparency"),
    "see-through rgb.png": (lambda path: image.fromarray(RGB).save(path, transparency=(1, 2, 3)), "has transparency"),
    "deep grey.png": (lambda path: image.fromarray(WIDE).save(path), "has more than 8 bits a channel"),
    "deep grey.tif": (lambda path: image.fromarray(WIDE).save(path), "has more than 8 bits a channel"),
    "deep rgb.png": (lambda path: path.write_bytes(png(2, 1, 16, 2, bytes(13))), "has more than 8 bits a channel"),
    "deep rgb.ppm": (lambda path: path.write_bytes(b"P6 2 1 65535\n" + bytes(12)), "has more than 8 bits a channel"),
    "deep grey.pgm": (lambda path: path.write_bytes(b"P5 2 1 1023\n" + bytes(4)), "has more than 8 bits a channel"),
    "floats.tif": (lambda path: image.fromarray(GREY.astype(np.float32)).save(path), "has more than 8 bits a channel"),
    "cmyk.jpg": (lambda path: image.fromarray(RGB).convert("CMYK").save(path), "neither grey nor RGB"),
    "lab.tif": (lambda path: image.fromarray(RGB).convert("LAB").save(path), "neither grey nor RGB"),
    "rotated.jpg": (lambda path: image.fromarray(RGB).save(path, exif=exif(6)), "EXIF data says that it is rotated"),
    "mirrored.png": (lambda path: image.fromarray(RGB).save(path, exif=exif(2)), "EXIF data says that it is rotated"),
    "frames.gif": (frames, "has several frames or pages"),
    "frames.png": (frames, "has several frames or pages"),
    "pages.tif": (frames, "has several frames or pages"),
    "large.png": (lambda path: path.write_bytes(png(2**12, 2**12, 8, 2)), "too large: a record holds 262144 bytes"),
    "bomb.png": (lambda path: path.write_bytes(png(2**30, 2**30, 8, 2)), "not an image that Pillow can read"),
    "half.png": (lambda path: with_rest(path, "PNG", lambda data: data[: len(data) // 2]), "not an image"),
    "half.jpg": (lambda path: with_rest(path, "JPEG", lambda data: data[:-20]), "not an image"),
    "postscript.png": (lambda path: with_rest(path, "EPS", bytes), "not an image"),
    "text.png": (lambda path: path.write_bytes(b"text"), "not an image"),
    "empty.png": (lambda path: path.touch(), "not an image"),
    "folder.png": (lambda path: path.mkdir(), "is a folder, expected a file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_take_a_choice_is_refused_by_name(tmp_path, name):
    write, reason = REFUSED[name]
    write(tmp_path / name)
    with pytest.raises(FileError, match=f"{name}: .*{reason}"):
        read_image(tmp_path / name)


def test_damaged_images_give_named_errors_only(tmp_path):
    for name in ("rgb.png", "rgb.jpg", "rgb.tif", "palette.gif", "rgb.webp"):
        ACCEPTED[name](tmp_path / name)
        data = (tmp_path / name).read_bytes()
        rng = np.random.default_rng(1)
        for _ in range(60):
            changed = bytearray(data)
            for place in rng.integers(0, min(len(data), 300), 3):
                changed[place] ^= 1 << int(rng.integers(8))
            (tmp_path / name).write_bytes(changed)
            try:
                assert read_image(tmp_path / name).dtype == np.uint8
            except FileError as error:
                assert name in str(error)


def test_images_in_memory_follow_the_same_rules():
    assert (pixels(image.fromarray(RGB)) == RGB.transpose(2, 0, 1)).all()
    with pytest.raises(ValueError, match="has transparency"):
        pixels(image.fromarray(RGB).convert("RGBA"))


def test_the_formats_are_those_of_the_suffixes():
    image.init()
    assert set(FORMATS) <= set(image.ID)
