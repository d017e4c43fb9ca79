"""Canonical bytes, read from the front."""

from zkds_verify.rejection import Malformed


def malformed(what):
    raise Malformed(what)


def check(condition, what):
    if not condition:
        malformed(what)


class Bytes:
    """what: the name of what is read, for rejections"""

    def __init__(self, data, label, what="statement"):
        self.what = what
        check(data.startswith(label), f"{what}: label")
        self.rest = data[len(label) :]

    def take(self, count):
        check(count <= len(self.rest), f"{self.what}: length")
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def number(self):
        return int.from_bytes(self.take(8), "little")

    def numbers(self, count):
        data = self.take(8 * count)
        return [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]

    def text(self):
        data = self.take(self.number())
        check(data.isascii(), f"{self.what}: text")
        return data.decode("ascii")

    def list(self):
        return self.numbers(self.number())

    def sized(self):
        return self.take(self.number())

    def end(self):
        check(not self.rest, f"{self.what}: length")
