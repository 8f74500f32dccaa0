"""Pickles: one test a bypass of a known scanner, and the machine itself held against pickletools and the loader."""

from __future__ import annotations

import io
import pickle
import pickletools
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hauberk.core.limits import Limits
from hauberk.scanning.blobs import MemberBlob
from hauberk.scanning.formats.pickle_stream import PickleStream
from hauberk.scanning.pickle_ledger import Ledger
from hauberk.scanning.pickle_machine import OPCODES, Machine
from hauberk.scanning.pickle_values import Bag, Payload, Value
from hauberk.scanning.watch import Watch
from hauberk.scanning.window import Window

CALL = "model.pickle_call"


def machine(data: bytes) -> Machine:
    return Machine(Window(io.BytesIO(data), len(data)), Watch(Limits()), Ledger())


def called(data: bytes) -> list[str]:
    m = machine(data)
    m.run(0)
    return [call.callable for call in m.ledger.calls]


# --- the machine itself


def test_knows_exactly_the_opcodes_of_the_standard_library() -> None:
    assert {ord(opcode.code) for opcode in pickletools.opcodes} == OPCODES


def plain(value: Value) -> object:
    if isinstance(value, Bag):
        items = [plain(item) for item in value.items]
        if value.kind == "dict":
            return dict(zip(items[::2], items[1::2], strict=True))
        return {"list": list, "tuple": tuple, "set": frozenset}[value.kind](items)
    if isinstance(value, Payload):
        return value.head
    return value


SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=20) | st.binary(max_size=20)
TREES = st.recursive(
    SCALARS | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=5), inner, max_size=5)
        | st.frozensets(st.integers(0, 9), max_size=4)
    ),
    max_leaves=15,
)


@settings(max_examples=150, deadline=None)
@given(TREES, st.integers(4, 5))
def test_describes_what_the_pickler_wrote(tree: object, protocol: int) -> None:
    data = pickle.dumps(tree, protocol)
    m = machine(data)
    outcome = m.run(0)
    assert outcome.broken is None
    assert outcome.end == len(data)
    assert plain(outcome.value) == tree
    assert m.problems == []


@settings(max_examples=80, deadline=None)
@given(TREES, st.integers(0, 3))
def test_reads_the_old_protocols_to_their_end(tree: object, protocol: int) -> None:
    data = pickle.dumps(tree, protocol)
    outcome = machine(data).run(0)
    assert outcome.broken is None
    assert outcome.end == len(data)


def test_long_lines_of_protocol_0_are_passed_over() -> None:
    data = pickle.dumps(["x" * 300_000, "end"], 0)
    outcome = machine(data).run(0)
    assert outcome.broken is None
    assert outcome.end == len(data)


# --- calls, however they are made


def test_reduce(op) -> None:
    assert called(op.call("os", "system", op.text("id")) + b".") == ["os.system"]


def test_stack_global_takes_its_names_from_the_memo(op) -> None:
    data = (
        b"\x80\x04"
        + op.text("system")
        + b"\x940"
        + op.text("os")
        + b"\x940"
        + b"h\x01h\x00\x93"
        + op.text("id")
        + b"\x85R."
    )
    assert called(data) == ["os.system"]


def test_stack_global_after_decoys(op) -> None:
    data = b"\x80\x04" + op.text("os") + op.text("collections") + b"0" + op.text("system") + op.text("x") + b"0\x93)R."
    assert called(data) == ["os.system"]


def test_obj_whose_result_is_popped(op) -> None:
    assert called(b"(" + op.named("os", "system") + op.text("id") + b"o0N.") == ["os.system"]


def test_inst(op) -> None:
    assert called(b"(" + op.text("id") + b"ios\nsystem\n.") == ["os.system"]


def test_newobj_and_newobj_ex(op) -> None:
    assert called(op.named("subprocess", "Popen") + b")\x81.") == ["subprocess.Popen"]
    assert called(op.named("subprocess", "Popen") + b")}\x92.") == ["subprocess.Popen"]


def test_build_on_an_object_and_on_a_module_level_name(op) -> None:
    assert called(op.named("m", "C") + b")\x81}b.") == ["m.C", "m.C.__setstate__"]
    assert called(op.named("os", "environ") + b"}b.") == ["os.environ.__dict__.update"]


def test_item_assignment_on_a_global_is_a_call(op) -> None:
    assert called(op.named("os", "environ") + op.text("LD_PRELOAD") + op.text("/tmp/x.so") + b"s.") == [
        "os.environ.__setitem__"
    ]
    assert called(op.named("sys", "path") + op.text("/tmp") + b"a.") == ["sys.path.append"]


def test_extension_registry(op) -> None:
    assert called(b"\x80\x02\x82\x05)R.") == ["<extension>.5"]


def test_python_2_names(op) -> None:
    assert called(op.call("__builtin__", "apply") + b".") == ["builtins.apply"]
    assert called(op.call("commands", "getoutput") + b".") == ["subprocess.getoutput"]


def test_getattr_chain_is_followed(op) -> None:
    inner = op.call("builtins", "getattr", op.call("importlib", "import_module", op.text("os")), op.text("system"))
    assert called(inner + op.text("id") + b"\x85R.")[-1] == "os.system"


def test_resolve_name_is_followed(op) -> None:
    assert called(op.call("pkgutil", "resolve_name", op.text("os:system")) + b")R.")[-1] == "os.system"


def test_partial_map_and_methodcaller_are_followed(op) -> None:
    partial = op.call("functools", "partial", op.named("os", "system"), op.text("id"))
    assert called(partial + b")R.")[-1] == "os.system"
    assert "os.system" in called(op.call("builtins", "map", op.named("os", "system"), b"]") + b".")
    caller = op.call("operator", "methodcaller", op.text("system"), op.text("id"))
    assert called(caller + b"(" + op.call("builtins", "__import__", op.text("os")) + b"tR.")[-1] == "os.system"


def test_partial_whose_state_replaces_its_function(op) -> None:
    state = b"(" + op.named("os", "system") + b"(" + op.text("id") + b"t}Nt"
    assert called(op.call("functools", "partial", op.named("builtins", "int")) + state + b"b)R.")[-1] == "os.system"


def test_numpy_reconstruct_makes_its_first_argument(op) -> None:
    data = op.call("numpy.core.multiarray", "_reconstruct", op.named("subprocess", "Popen"), b")", op.text("b")) + b"."
    assert "subprocess.Popen" in called(data)


def test_names_made_at_load_time_are_dangerous(scan_bytes, op) -> None:
    joined = op.call("builtins", "str", op.text("system"))
    data = b"\x80\x04" + op.text("os") + joined + b"\x93" + op.text("id") + b"\x85R."
    assert "critical" in scan_bytes("m.pkl", data).severities(CALL)


def test_dotted_name_out_of_a_trusted_module(scan_bytes, op) -> None:
    data = b"\x80\x04" + op.stacked("torch.serialization", "os.system") + op.text("id") + b"\x85R."
    assert scan_bytes("m.pkl", data).severities(CALL) == {"critical"}


def test_submodule_of_a_dangerous_module(scan_bytes, op) -> None:
    assert scan_bytes("m.pkl", op.call("asyncio.unix_events", "_make_subprocess_transport") + b".").severities(
        CALL
    ) == {"critical"}


def test_gadget_on_no_list_is_at_least_suspicious(scan_bytes, op) -> None:
    found = scan_bytes("m.pkl", op.call("some_package.helpers", "launch", op.text("x")) + b".").of(CALL)
    assert [finding.severity for finding in found] == ["medium"]
    assert "some_package.helpers.launch('x')" in found[0].message


def test_method_of_something_inert(scan_bytes, op) -> None:
    path = op.call("pathlib", "Path", op.text("/etc/passwd"))
    data = op.call("builtins", "getattr", path, op.text("unlink")) + b")R."
    assert "critical" in scan_bytes("m.pkl", data).severities(CALL)


def test_bound_method_of_an_estimator_is_not_loud(scan_bytes, op) -> None:
    made = op.call("collections", "OrderedDict")
    assert scan_bytes("m.pkl", op.call("builtins", "getattr", made, op.text("popitem")) + b".").of(CALL) == []
    dunder = op.call("builtins", "getattr", made, op.text("__class__")) + b"."
    assert "high" in scan_bytes("m.pkl", dunder).severities("model.unsafe_global_imported")


def test_slots_that_change_the_class(scan_bytes, op) -> None:
    made = op.call("collections", "OrderedDict")
    state = b"(N}(" + op.text("__class__") + op.named("my", "Net") + b"ut"
    assert "critical" in scan_bytes("m.pkl", made + state + b"b.").severities(CALL)


def test_dangerous_global_handed_to_something_inert(scan_bytes, op) -> None:
    data = op.call("collections", "defaultdict", op.named("os", "system")) + b"."
    assert "high" in scan_bytes("m.pkl", data).severities("model.unsafe_global_imported")


def test_function_made_of_the_files_own_code_and_called(scan_bytes, op) -> None:
    made = op.call("numba.cloudpickle.cloudpickle", "_make_function", op.data(b"code"))
    assert "critical" in scan_bytes("m.pkl", made + b")R.").severities(CALL)


def test_function_of_a_reviewed_framework_that_no_pickle_of_it_needs(scan_bytes, op) -> None:
    assert scan_bytes("m.pkl", op.call("pandas.io.clipboard", "copy") + b".").severities(CALL) == {"high"}
    assert scan_bytes("m.pkl", op.call("pandas._libs.new", "_unpickle_it") + b".").severities(CALL) == {"medium"}
    assert scan_bytes("m.pkl", op.call("pandas.core.new", "Frame") + b".").severities(CALL) == {"medium"}


# --- streams that break, go on, or are read in two ways


def test_stream_broken_after_the_payload(scan_bytes, op) -> None:
    result = scan_bytes("m.pkl", op.call("os", "system", op.text("id")) + b"\xffgarbage")
    assert result.severities(CALL) == {"critical"}
    assert result.of("model.malformed_pickle")


@pytest.mark.parametrize("line", [b"I010\n", b"I 7\n", b"F1_0\n", b"I99999999999999999999\n"])
def test_numbers_only_one_unpickler_takes_do_not_stop_the_reading(op, line: bytes) -> None:
    assert called(line + b"0" + op.call("os", "system") + b".") == ["os.system"]


@pytest.mark.parametrize("index", [b" 5", b"+5", b"1_0", b"0000000000000005"])
def test_memo_indices_as_loaders_take_them(op, index: bytes) -> None:
    assert called(b"Np" + index + b"\n0g" + index + b"\n0" + op.call("os", "system") + b".") == ["os.system"]


def test_second_stream_of_a_file(scan_bytes, op) -> None:
    data = pickle.dumps({"weights": [1, 2]}) + op.call("os", "system", op.text("id")) + b"."
    assert scan_bytes("m.pkl", data).severities(CALL) == {"critical"}


def test_memo_of_the_first_stream_is_still_there_in_the_second(op) -> None:
    first = op.named("os", "system") + b"q\x070N."
    data = first + b"\x80\x02h\x07" + op.text("id") + b"\x85R."
    blob = MemberBlob("m.pkl", "", data, Limits())
    artifact = PickleStream().parse(blob, Limits(), lambda name, data: ())
    assert [call.callable for call in artifact.calls] == ["os.system"]


def test_bytes_after_the_end_are_reported(scan_bytes) -> None:
    assert scan_bytes("m.pkl", pickle.dumps([1]) + b"\xfe\xff surplus").of("model.malformed_pickle")
    assert not scan_bytes("m.pkl", pickle.dumps([1]) + b"\x00" * 64).findings


def test_operand_over_the_end_of_its_frame_is_two_readings(scan_bytes) -> None:
    data = b"\x80\x04\x95" + struct.pack("<Q", 3) + b"\x8c\x05hello."
    assert any("frame" in finding.message for finding in scan_bytes("m.pkl", data).of("model.malformed_pickle"))


def test_length_beyond_the_end_of_the_file(scan_bytes) -> None:
    data = b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"abc"
    assert "announced" in scan_bytes("m.pkl", data).of("model.malformed_pickle")[0].message


def test_huge_memo_index(scan_bytes) -> None:
    data = b"\x80\x02Nr" + struct.pack("<I", (1 << 31) - 1) + b"."
    assert "allocate" in scan_bytes("m.pkl", data).of("model.malformed_pickle")[0].message


def test_exponential_sharing_is_told_and_not_walked(scan_bytes) -> None:
    data = (
        b"]q\x00"
        + b"".join(
            b"](" + b"h" + bytes([level]) + (b"h" + bytes([level])) * 15 + b"eq" + bytes([level + 1])
            for level in range(39)
        )
        + b"."
    )
    assert "expands" in scan_bytes("m.pkl", data).of("model.malformed_pickle")[0].message


def test_deep_nesting_costs_no_recursion(scan_bytes) -> None:
    data = b"]" * 400_000 + b"a" * 399_999 + b"."
    assert "nested" in scan_bytes("m.pkl", data).of("model.malformed_pickle")[0].message


# --- names and wrappings


@pytest.mark.parametrize(
    "name", ["weights.safetensors", "cat.png", "notes.txt", "data.json", "README", "x.onnx", "x.npy"]
)
def test_the_ending_does_not_decide(scan_bytes, op, name: str) -> None:
    result = scan_bytes(name, op.call("os", "system", op.text("id")) + b".")
    assert result.severities(CALL) == {"critical"}
    assert bool(result.of("model.content_mismatch")) == ("." in name)


def test_payload_behind_a_long_preamble_is_found_under_any_name(scan_bytes, op) -> None:
    data = b"V" + b"x" * 20_000 + b"\n0" + op.call("os", "system", op.text("id")) + b"."
    assert scan_bytes("weights.dat", data).severities(CALL) == {"critical"}


def test_bytes_that_reach_a_loader_are_read(scan_bytes, op) -> None:
    inner = op.call("os", "system", op.text("id")) + b"."
    outer = op.call("io", "BytesIO", op.data(inner))
    result = scan_bytes("m.pkl", op.call("torch", "load", outer) + b".")
    assert any("argument 1" in finding.location.part and "os.system" in finding.message for finding in result.of(CALL))


def test_bytes_of_protocol_2_that_reach_a_loader_are_read(scan_bytes, op) -> None:
    inner = "cos\nsystem\n(S'id'\ntR."
    coded = op.call("_codecs", "encode", op.text(inner), op.text("latin1"))
    result = scan_bytes("m.pkl", op.call("pickle", "loads", coded) + b".")
    assert any("os.system" in finding.message for finding in result.of(CALL))


def test_long_text_that_reaches_a_loader_is_read_as_its_bytes(scan_bytes, op) -> None:
    inner = b"\x80\x02X" + struct.pack("<I", 70_000) + b"a" * 70_000 + b"0" + op.call("os", "system") + b"."
    raw = inner.decode("latin-1").encode()
    coded = op.call("_codecs", "encode", b"X" + struct.pack("<I", len(raw)) + raw, op.text("latin1"))
    result = scan_bytes("m.pkl", op.call("pickle", "loads", coded) + b".")
    assert any("os.system" in finding.message for finding in result.of(CALL))


def test_the_name_of_an_encoding_is_no_payload(scan_bytes, op) -> None:
    inner = pickle.dumps([1], 2).decode("latin-1")
    coded = op.call("_codecs", "encode", op.text(inner), op.text("latin1"))
    result = scan_bytes("m.pkl", op.call("torch.storage", "_load_from_bytes", coded) + b".")
    assert result.loud == []


def test_payload_in_the_state_of_a_buffer_is_read(scan_bytes, op) -> None:
    inner = op.call("os", "system", op.text("id")) + b"."
    buffer = op.named("_io", "BytesIO") + b")\x81(" + op.data(inner) + b"K\x00Ntb"
    result = scan_bytes("m.pkl", op.call("torch", "load", buffer) + b".")
    assert any("os.system" in finding.message for finding in result.of(CALL))


def test_array_bytes_are_not_taken_for_pickles(scan_bytes, op) -> None:
    np = pytest.importorskip("numpy")
    evil = op.call("os", "system", op.text("id")) + b"."
    assert scan_bytes("m.pkl", pickle.dumps(np.frombuffer(evil, dtype=np.uint8))).loud == []


def test_persistent_ids_are_recorded_and_no_call(scan_bytes) -> None:
    assert scan_bytes("m.pkl", b"\x80\x02X\x01\x00\x00\x00aQ.").of(CALL) == []
    assert called(b"Pabc\n.") == ["persistent_load"]


def test_joblib_array_is_passed_over_and_what_follows_is_read(scan_bytes, op) -> None:
    joblib, np = pytest.importorskip("joblib"), pytest.importorskip("numpy")
    stream = io.BytesIO()
    joblib.dump({"a": np.arange(50.0), "b": "x"}, stream)
    clean = stream.getvalue()
    assert scan_bytes("m.joblib", clean).loud == []
    evil = clean[:-1] + op.call("os", "system", op.text("id")) + b"."
    assert scan_bytes("m.joblib", evil).severities(CALL) == {"critical"}


def test_joblib_array_bytes_that_a_plain_unpickler_would_run(scan_bytes, op) -> None:
    joblib, np = pytest.importorskip("joblib"), pytest.importorskip("numpy")
    payload = op.call("os", "system", op.text("id")) + b"."
    stream = io.BytesIO()
    joblib.dump(np.frombuffer(payload.ljust(64, b"N"), dtype=np.uint8), stream)
    data = stream.getvalue()
    start = data.index(payload)
    shifted = data[: start - data[:start][::-1].index(b"b")] + payload + data[start + len(payload) :]
    result = scan_bytes("m.joblib", shifted)
    assert result.severities(CALL) == {"critical"}


def test_what_was_seen_before_a_limit_stays(scan_bytes, op) -> None:
    data = op.call("os", "system", op.text("id")) + b"0" + b"N0" * 5_000 + b"N."
    result = scan_bytes("m.pkl", data, Limits(nodes=1_000))
    assert result.severities(CALL) == {"critical"}
    assert [item.kind for item in result.skipped] == ["limit"]


def test_import_without_a_call(scan_bytes, op) -> None:
    result = scan_bytes("m.pkl", b"}" + op.text("hook") + op.named("os", "system") + b"s.")
    assert result.severities("model.unsafe_global_imported") == {"high"}


def test_text_files_are_no_pickles(scan_bytes) -> None:
    for text in (
        b"class Net:\n    pass\n",
        b"import os\nos.system('x')\n",
        b"N.B. this is prose.\n",
        b"cat\ndog\nfish\n",
        b'{"a": 1}',
    ):
        assert not [finding for finding in scan_bytes("a.txt", text).findings if finding.rule.startswith("model.")]


@pytest.mark.parametrize(
    ("name", "found"), [("../../secrets.npy", {"high"}), ("/etc/passwd", {"high"}), ("m.pkl_01.npy", set())]
)
def test_old_joblib_wrapper_reads_a_file_by_name(scan_bytes, op, name: str, found: set[str]) -> None:
    wrapper = b"\x80\x02" + op.named("joblib.numpy_pickle_compat", "NDArrayWrapper") + b")\x81"
    state = b"}(" + b"X\x08\x00\x00\x00filename" + b"X" + len(name).to_bytes(4, "little") + name.encode() + b"ub."
    assert scan_bytes("old.joblib", wrapper + state).severities("model.external_data") == found
