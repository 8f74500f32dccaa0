"""Records are frozen, hashable, and survive JSON both ways; unknown fields are refused."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hauberk.core.encoding import canonical, decode_entry
from hauberk.core.evidence import (
    Checkpoint,
    Digest,
    Exhibit,
    Finding,
    Indicator,
    Location,
    Measurement,
    Provenance,
    Setting,
    Skipped,
    severity_rank,
)

text = st.text(max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
provenances = st.builds(
    Provenance,
    tool=text,
    version=text,
    recipe=text,
    time=text,
    settings=st.lists(st.builds(Setting, name=text, value=st.one_of(text, st.booleans(), st.none(), numbers))).map(
        tuple
    ),
    seed=st.none() | st.integers(-(2**63), 2**63 - 1),
    digests=st.lists(st.builds(Digest, name=text, value=text)).map(tuple),
)
locations = st.builds(Location, path=text, part=text, line=st.none() | st.integers(1, 9999), offset=st.none())
entries = st.one_of(
    st.builds(
        Finding,
        rule=text,
        severity=st.sampled_from(["info", "critical"]),
        confidence=st.sampled_from(["low", "high"]),
        location=locations,
        message=text,
        fix=text,
        provenance=provenances,
        trace=st.lists(text).map(tuple),
        references=st.lists(text).map(tuple),
    ),
    st.builds(
        Measurement,
        name=text,
        subject=text,
        value=numbers,
        low=numbers,
        high=numbers,
        level=numbers,
        method=st.just("wilson"),
        n=st.integers(0, 10**9),
        unit=text,
        better=st.just("higher"),
        provenance=provenances,
        indicators=st.lists(st.builds(Indicator, name=text, passed=st.none() | st.booleans(), detail=text)).map(tuple),
    ),
    st.builds(Skipped, subject=text, reason=text, provenance=provenances),
    st.builds(Checkpoint, step=text, part=st.integers(0, 99), state=text, provenance=provenances),
    st.builds(
        Exhibit,
        subject=text,
        threat=text,
        layout=st.just("chw"),
        shape=st.just((1, 2, 2)),
        bounds=st.just((0.0, 1.0)),
        clean=st.binary(max_size=16),
        adversarial=st.binary(max_size=16),
        label=text,
        predicted_clean=text,
        predicted_adversarial=text,
        distance=numbers,
        norm=st.just("linf"),
        provenance=provenances,
    ),
)


@given(entries)
def test_round_trip(entry):
    data = canonical(entry)
    back = decode_entry(data)
    assert back == entry
    assert hash(back) == hash(entry)
    assert canonical(back) == data


@given(entries)
def test_unknown_fields_are_refused(entry):
    raw = msgspec.json.decode(canonical(entry))
    raw["surprise"] = 1
    with pytest.raises(msgspec.ValidationError):
        decode_entry(msgspec.json.encode(raw))


def test_records_are_frozen():
    record = Digest(name="model", value="sha256:0")
    with pytest.raises(AttributeError):
        record.name = "other"


def test_wrong_types_are_refused_not_coerced():
    with pytest.raises(msgspec.ValidationError):
        decode_entry(b'{"type":"skipped","subject":1,"reason":"r","provenance":{}}')


def test_severities_are_ordered():
    assert [severity_rank(s) for s in ("info", "low", "medium", "high", "critical")] == [0, 1, 2, 3, 4]


def test_location_reads_as_a_place():
    assert str(Location(path="a.py", line=3)) == "a.py:3"
    assert str(Location(path="m.pt", part="archive/data.pkl", offset=12)) == "m.pt!archive/data.pkl@12"
