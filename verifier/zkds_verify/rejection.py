"""Why a proof is not accepted."""


class Rejected(Exception):
    """reason: the name of the check; expected and actual: texts, or None"""

    def __init__(self, reason, expected=None, actual=None):
        super().__init__(reason)
        self.reason, self.expected, self.actual = reason, expected, actual


class Malformed(Rejected):
    """A statement that no prover makes."""


class NotAProof(Exception):
    """No proof of this version at all, or files and arguments that cannot be used."""


def require(condition, reason, expected=None, actual=None):
    if not condition:
        raise Rejected(reason, expected, actual)


def sound(condition, what):
    """What has to hold for a circuit to prove what it should; `what`: the tensor or identity."""
    require(condition, "statement: no sound circuit", None, what)
