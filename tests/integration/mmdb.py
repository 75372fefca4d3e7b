"""Writes country databases in MaxMind's DB format, version 2.0 of its specification
(https://maxmind.github.io/MaxMind-DB/): a binary tree over the bits of an address, a section of
values, and a map of metadata behind a marker.  Records are of 32 bits, the tree is of IPv6, with
IPv4 under ::/96.

    python3 mmdb.py FILE NETWORK=CC...          127.0.1.0/24=US 2001:db8::/32=DE
    python3 mmdb.py FILE                        SAMPLE, of tests/golden
"""
import ipaddress
import pathlib
import struct
import sys

SEPARATOR = 16  # bytes between the tree and the values
MARKER = b"\xab\xcd\xefMaxMind.com"
TEXT, UINT16, UINT32, MAP, UINT64, ARRAY = 2, 5, 6, 7, 9, 11


def head(kind, size):
    assert size < 29, "longer ones need bytes of their own, and nothing here is"
    return bytes([kind << 5 | size]) if kind <= 7 else bytes([size, kind - 7])


def number(kind, value):
    digits = value.to_bytes(8, "big").lstrip(b"\0")
    return head(kind, len(digits)) + digits


def value_of(value):
    """Texts, maps and lists."""
    if isinstance(value, bytes):
        return value  # encoded already
    if isinstance(value, dict):
        return head(MAP, len(value)) + b"".join(value_of(k) + value_of(v) for k, v in value.items())
    if isinstance(value, list):
        return head(ARRAY, len(value)) + b"".join(map(value_of, value))
    return head(TEXT, len(value.encode())) + value.encode()


def bits_of(network):
    network = ipaddress.ip_network(network)
    shift = 96 if network.version == 4 else 0
    return f"{int(network.network_address):0128b}"[:shift + network.prefixlen]


def country(code):
    """As GeoLite2 Country has it."""
    return {"country": {"iso_code": code}}


def encode(records, build_epoch=1796083200):
    """The bytes; records: a value by network, none inside another."""
    nodes, values, section = [[None, None]], {}, b""
    for network, record in records.items():
        data = value_of(record)
        if data not in values:
            values[data] = len(section)
            section += data
        at, bits = 0, bits_of(network)
        for bit in bits[:-1]:
            if nodes[at][int(bit)] is None:
                nodes[at][int(bit)] = len(nodes)
                nodes.append([None, None])
            at = nodes[at][int(bit)]
        nodes[at][int(bits[-1])] = ("value", values[data])

    def record_of(child):
        if child is None:
            return len(nodes)
        return child if isinstance(child, int) else len(nodes) + SEPARATOR + child[1]

    tree = b"".join(struct.pack(">II", *map(record_of, node)) for node in nodes)
    metadata = value_of({
        "binary_format_major_version": number(UINT16, 2),
        "binary_format_minor_version": number(UINT16, 0),
        "build_epoch": number(UINT64, build_epoch),
        "database_type": "Test-Country",
        "description": {"en": "of the tests"},
        "ip_version": number(UINT16, 6),
        "languages": ["en"],
        "node_count": number(UINT32, len(nodes)),
        "record_size": number(UINT16, 32),
    })
    return tree + bytes(SEPARATOR) + section + MARKER + metadata


SAMPLE = {  # the forms that are understood, and some that are not
    "192.0.2.0/24": country("DE"),
    "198.51.100.0/24": {"country_code": "FR", "country": "France"},
    "203.0.113.0/25": {"continent": {"code": "NA"}, "country": "US"},
    "203.0.113.128/25": {"continent": {"code": "EU"}},
    "100.64.0.0/10": country("ZZ"),
    "2001:db8::/32": country("SE"),
}


def write(path, countries, **options):
    """countries: codes by network.  Replaces the file as a whole."""
    aside = pathlib.Path(f"{path}.new")
    aside.write_bytes(encode({net: country(code) for net, code in countries.items()}, **options))
    aside.replace(path)
    return path


if __name__ == "__main__":
    if sys.argv[2:]:
        write(sys.argv[1], dict(one.split("=") for one in sys.argv[2:]))
    else:
        pathlib.Path(sys.argv[1]).write_bytes(encode(SAMPLE))
