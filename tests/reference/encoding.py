"""Canonical bytes, read from the front."""


class Bytes:
    def __init__(self, data, label):
        assert data.startswith(label)
        self.rest = data[len(label) :]

    def take(self, count):
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def number(self):
        return int.from_bytes(self.take(8), "little")

    def numbers(self, count):
        return [self.number() for _ in range(count)]

    def text(self):
        return self.take(self.number()).decode("ascii")

    def list(self):
        return self.numbers(self.number())
