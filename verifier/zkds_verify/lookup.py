"""Lookups: docs/specification/proof-system.md, section 6."""

from zkds_verify.field import ONE, ZERO, dot_integers, eq_at, eq_table, powers
from zkds_verify.layout import Piece, PiecesClaim
from zkds_verify.sumcheck import sumcheck
from zkds_verify.transcript import number, sized


class Range:
    """[0, 2^bits)"""

    width = 1

    def __init__(self, bits):
        self.bits, self.rows = bits, 1 << bits
        self.encoded = bytes([0, bits])
        self.order = (0, -self.rows)

    def extensions(self, first, z):
        """Of rows from `first` on, as many as z says."""
        value = ZERO + first
        for bit, coordinate in enumerate(z):
            value = value + coordinate * (1 << bit)
        return [value]


class Explicit:
    """Different rows of 1 to 3 numbers below 2^32."""

    def __init__(self, rows):
        self.columns = list(zip(*rows, strict=True))
        self.width, self.rows = len(self.columns), len(rows)
        entries = b"".join(entry.to_bytes(4, "little") for row in rows for entry in row)
        self.encoded = bytes([1, self.width]) + number(self.rows) + entries
        self.order = (1, -self.rows, self.encoded)

    def extensions(self, first, z):
        weights, end = eq_table(z), first + (1 << len(z))
        return [dot_integers(weights, column[first:end]) for column in self.columns]


def encode(lookups):
    """lookups: (table, primary column, secondary columns)"""
    encoded = [number(len(lookups))]
    for table, primary, secondary in lookups:
        encoded += [number(len(table.encoded)), table.encoded, sized(primary.encode()), number(len(secondary))]
        encoded += [sized(name.encode()) for name in secondary]
    return b"".join(encoded)


class Lookups:
    def __init__(self, lookups):
        self.lookups = lookups
        self.tables = sorted({table.encoded: table for table, _, _ in lookups}.values(), key=lambda table: table.order)
        self.tags = {table.encoded: g for g, table in enumerate(self.tables, 1)}
        self.rows = sum(table.rows for table in self.tables)
        self.variables = max(3, (self.rows - 1).bit_length())

    @property
    def width(self):
        return max(table.width for table in self.tables)

    def verify(self, channel, layout):
        """Claims on the vector."""
        cells = layout.checked_cells
        beta = channel.challenge("LogUp: beta", self.width * (cells + self.rows))
        alpha = channel.challenge("LogUp: alpha", cells + self.rows + 1)
        sides, claims, first = [], [], 0
        chunks, unused = chunks_of(cells)
        for n in chunks:
            root, _, c_q, z = tree(channel, n, lookup_side=True)
            sides.append(root)
            claims.append(self.chunk_claim(layout, first, n, z, c_q, alpha, beta))
            first += 1 << n
        table_root, c_p, c_q, z = tree(channel, self.variables, lookup_side=False)
        channel.equation("LogUp: denominators of the tables", c_q - self.denominators(z, alpha, beta))
        p, q = sides[0]
        for p_next, q_next in sides[1:]:
            p_sum, q_sum = channel.hidden("LogUp: sum", 2)
            first, second, both = p * q_next, p_next * q, q * q_next
            channel.equation("LogUp: numerator of the sum of the chunks", first + second - p_sum)
            channel.equation("LogUp: denominator of the sum of the chunks", both - q_sum)
            p, q = p_sum, q_sum
        p_t, q_t = table_root
        left, right, both = p * q_t, p_t * q, q * q_t
        channel.equation("LogUp: what is looked up is not what the tables hold", alpha * (left - right) - both * unused)
        used = (self.rows - 1).bit_length()
        scale = ONE
        for coordinate in z[used:]:
            scale = scale * (1 - coordinate)
        claims.append(PiecesClaim(column_pieces(layout, "multiplicities", z[:used], scale), c_p))
        return claims

    def denominators(self, z, alpha, beta):
        """The extension of those of the table side."""
        total, first = ONE, 0
        for g, table in enumerate(self.tables, 1):
            for start, m in subcubes(first, first + table.rows):
                values = table.extensions(start - first, z[:m])
                fingerprint = combine(beta, g, values)
                total = total + eq_at(z[m:], start >> m) * (alpha - fingerprint - 1)
            first += table.rows
        return total

    def chunk_claim(self, layout, first, n, z, c_q, alpha, beta):
        end = min(first + (1 << n), layout.checked_cells)
        pieces = [Piece(first + a, z[:m], eq_at(z[m:], a >> m)) for a, m in subcubes(0, end - first)]
        tags, powers_of_beta = ZERO, powers(beta, 4)
        by_column = {primary: (table, secondary) for table, primary, secondary in self.lookups}
        boxes = sorted(
            (box.offset, box.size, column, index)
            for column in by_column
            for index, box in enumerate(layout.boxes[column])
            if box.offset < first + (1 << n) and box.offset + box.size > first
        )
        for offset, size, column, index in boxes:
            table, secondary = by_column[column]
            start, stop = max(offset, first), min(offset + size, first + (1 << n))
            m = (stop - start).bit_length() - 1
            weight = eq_at(z[m:], start - first >> m)
            tags = tags + weight * self.tags[table.encoded]
            for j, name in enumerate(secondary, 1):
                place = layout.boxes[name][index].offset + start - offset
                pieces.append(Piece(place, z[:m], powers_of_beta[j + 1] * weight))
        return PiecesClaim(pieces, alpha - beta * tags - c_q)


def combine(beta, tag, values):
    """v0 + beta tag + beta^2 v1 + beta^3 v2"""
    result, power = values[0] + beta * tag, beta
    for value in values[1:]:
        power = power * beta
        result = result + power * value
    return result


def column_pieces(layout, column, point, scale):
    """Of a column of one dimension."""
    pieces = []
    for box in layout.boxes[column]:
        (start,), (a,) = box.starts, box.logs
        pieces.append(Piece(box.offset, point[:a], scale * eq_at(point[a:], start >> a)))
    return pieces


def subcubes(start, end):
    """The fewest aligned ones, (start, log2 of the size), in order."""
    found = []
    while start < end:
        m = (end - start).bit_length() - 1
        if start:
            m = min(m, (start & -start).bit_length() - 1)
        found.append((start, m))
        start += 1 << m
    return found


def chunks_of(cells):
    """log2 of the leaves of each chunk, and how many leaves of the last one are unused."""
    found, left, small = [], cells, 0
    while left > 0:
        u = max(10, (left - 1).bit_length())
        if left >= 1 << 26:
            found.append(26)
        else:
            small += 1
            last = 16 * ((1 << u) - left) <= cells or small == 4 or u == 10
            found.append(u if last else u - 1)
        left -= 1 << found[-1]
    return found, -left


def tree(channel, n, *, lookup_side):
    """The root (P, Q), the last claims, the point at which they are."""
    p, q, inverse = channel.hidden("LogUp: root", 3)
    channel.equation("LogUp: a denominator is zero", q * inverse - 1)
    c_p, c_q, z = p, q, []
    for k in range(1, n + 1):
        chi = channel.challenge("LogUp: lambda", 1)
        point, e = sumcheck(channel, "LogUp", k - 1, 2, c_p + chi * c_q, z)
        if lookup_side and k == n:
            q_0, q_1 = channel.hidden("LogUp: children", 2)
            p_0 = p_1 = ONE
            layer = q_0 + q_1 + chi * (q_0 * q_1)
        else:
            p_0, p_1, q_0, q_1 = channel.hidden("LogUp: children", 4)
            first, second, both = p_0 * q_1, p_1 * q_0, q_0 * q_1
            layer = first + second + chi * both
        channel.equation("LogUp: layer of the tree", layer - e)
        t = channel.challenge("LogUp: child", 1)
        c_p, c_q = p_0 + t * (p_1 - p_0), q_0 + t * (q_1 - q_0)
        c = min(3, k - 1)
        z = [*point[:c], t, *point[c:]]
    return (p, q), c_p, c_q, z
