"""Adapters that no gate may let through, each by name with the reason that must be given.

Works on shapes of any size, so that the same table serves the tests and the bench. Files are bytes; nothing is written.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from fakes.adapter_drafts import SPEC, Draft, Files, parted, weights

from node.core.adapter import CONFIG, WEIGHTS
from node.detect.adapter_config import MAX_CONFIG_BYTES
from node.detect.adapter_header import max_weights_bytes

Spoil = Callable[[Draft], Files]


@dataclass(frozen=True, slots=True)
class Malformed:
    """`spoil` makes the files out of an honest draft; `reason` is a part of what the refusal must say."""

    spoil: Spoil
    reason: str


def _files(change: Callable[[dict[str, bytes]], Files]) -> Spoil:
    return lambda draft: change(draft.files())


def _blob(change: Callable[[bytes], bytes]) -> Spoil:
    return _files(lambda files: {**files, WEIGHTS: change(files[WEIGHTS])})


def _text(change: Callable[[bytes], bytes]) -> Spoil:
    """Another header's text, its length and padding made to fit."""
    return _blob(lambda blob: weights(change(parted(blob)[0]), parted(blob)[1]))


def _spelled(old: bytes, new: bytes) -> Spoil:
    """Both patterns: `old` is a regular expression, found at least once; its first place is changed."""
    return _text(lambda text: _once(old, new, text))


def _once(old: bytes, new: bytes, text: bytes) -> bytes:
    changed, count = re.subn(old, new, text, count=1)
    assert count == 1
    return changed


def _first(**fields: Any) -> Spoil:
    def spoil(draft: Draft) -> Files:
        draft.first.update(fields)
        return draft.files()

    return spoil


def _entry(draft: Draft, entry: Any) -> Files:
    """Something else in place of the first tensor's entry."""
    draft.header[draft.names[0]] = entry
    return draft.files()


def _without(field: str) -> Spoil:
    def spoil(draft: Draft) -> Files:
        del draft.first[field]
        return draft.files()

    return spoil


def _moved(by_bytes: int, *, first: int = 0) -> Spoil:
    """All tensors from the one at `first` on lie elsewhere; the file is as long as it needs to be, within reason."""

    def spoil(draft: Draft) -> Files:
        for name in draft.names[first:]:
            entry = draft.header[name]
            entry["data_offsets"] = [offset + by_bytes for offset in entry["data_offsets"]]
        draft.data += bytes(max(0, min(by_bytes, 64)))
        return draft.files()

    return spoil


def _more(name: str, *, count: int = 4) -> Spoil:
    """One tensor more than agreed, well-formed."""

    def spoil(draft: Draft) -> Files:
        end = len(draft.data)
        draft.header[name] = {"dtype": "F32", "shape": [count], "data_offsets": [end, end + 4 * count]}
        draft.data += bytes(4 * count)
        return draft.files()

    return spoil


def _renamed(change: Callable[[str], str]) -> Spoil:
    def spoil(draft: Draft) -> Files:
        at = draft.names[0]
        draft.header = {change(name) if name == at else name: entry for name, entry in draft.header.items()}
        return draft.files()

    return spoil


def _value(place: Callable[[int], int], value: bytes) -> Spoil:
    """Another value in the data of float32; `place` is given the number of bytes."""

    def spoil(draft: Draft) -> Files:
        at = place(len(draft.data))
        draft.data = draft.data[:at] + value + draft.data[at + len(value) :]
        return draft.files()

    return spoil


def _half(dtype: str, value: bytes) -> Spoil:
    def spoil(draft: Draft) -> Files:
        half = Draft(draft.shapes, SPEC, dtype=dtype)
        return {**draft.files(), WEIGHTS: half.files()[WEIGHTS][: -len(value)] + value}

    return spoil


def _misaligned(draft: Draft) -> Files:
    """An odd number of float16 values, then float32."""
    start, end = draft.first["data_offsets"]
    saved = (end - start) // 2
    draft.first.update(dtype="F16", data_offsets=[start, end - saved])
    for name in draft.names[1:]:
        draft.header[name]["data_offsets"] = [offset - saved for offset in draft.header[name]["data_offsets"]]
    draft.data = draft.data[saved:]
    return draft.files()


def _config(**fields: Any) -> Spoil:
    def spoil(draft: Draft) -> Files:
        draft.config.update(fields)
        return draft.files()

    return spoil


def _config_without(field: str) -> Spoil:
    def spoil(draft: Draft) -> Files:
        del draft.config[field]
        return draft.files()

    return spoil


def _config_text(change: Callable[[bytes], bytes]) -> Spoil:
    return _files(lambda files: {**files, CONFIG: change(files[CONFIG])})


def _header_room(draft: Draft) -> int:
    """The longest header that is read, but for a little."""
    return max_weights_bytes(draft.shapes) - 4 * sum(map(prod, draft.shapes.values())) - 16


F32 = struct.Struct("<f").pack

MALFORMED: dict[str, Malformed] = {}


def _table(reason: str, **rows: Spoil) -> None:
    for name, spoil in rows.items():
        words = name.replace("_", " ")
        assert words not in MALFORMED
        MALFORMED[words] = Malformed(spoil, reason)


_table(
    "it must consist of adapter_config.json and adapter_model.safetensors, not ",
    no_files=lambda _: {},
    no_configuration=_files(lambda files: {WEIGHTS: files[WEIGHTS]}),
    no_weights=_files(lambda files: {CONFIG: files[CONFIG]}),
    a_tokenizer_beside_them=_files(lambda files: {**files, "tokenizer.json": b"{}"}),
    a_program_beside_them=_files(lambda files: {**files, "modeling.py": b"import os"}),
    pickled_weights=_files(lambda files: {"adapter_model.bin": b"\x80\x02.", CONFIG: files[CONFIG]}),
    pickled_weights_beside_the_real_ones=_files(lambda files: {**files, "adapter_model.bin": b"\x80\x02."}),
    a_path_in_a_file_name=_files(lambda files: {f"../{WEIGHTS}": files[WEIGHTS], CONFIG: files[CONFIG]}),
    an_absolute_file_name=_files(lambda files: {f"/tmp/{WEIGHTS}": files[WEIGHTS], CONFIG: files[CONFIG]}),
    a_file_name_in_capitals=_files(lambda files: {WEIGHTS.upper(): files[WEIGHTS], CONFIG: files[CONFIG]}),
    a_file_name_with_terminal_codes=_files(lambda files: {**files, "\x1b[2J": b""}),
)
_table(
    "adapter_config.json has more than", an_endless_configuration=_config_text(lambda _: b"{" * MAX_CONFIG_BYTES * 2)
)
_table(
    "adapter_model.safetensors has more than",
    weights_far_too_large=lambda draft: {**draft.files(), WEIGHTS: bytes(max_weights_bytes(draft.shapes) + 1)},
)

# The header's length.
_table(
    "the header's length is not one that the file can have",
    empty_weights=_blob(lambda _: b""),
    seven_bytes=_blob(lambda _: b"\2\0\0\0\0\0\0"),
    a_length_and_nothing_else=_blob(lambda _: struct.pack("<Q", 2)),
    a_header_longer_than_the_file=_blob(lambda _: struct.pack("<Q", 999) + b"{}"),
    a_header_of_two_to_the_63_bytes=_blob(lambda blob: struct.pack("<Q", 2**63) + blob[8:]),
    a_header_of_two_to_the_64_bytes_less_one=_blob(lambda blob: struct.pack("<Q", 2**64 - 1) + blob[8:]),
    a_big_endian_length=_blob(lambda blob: blob[:8][::-1] + blob[8:]),
    a_header_padded_beyond_its_limit=lambda draft: {
        **draft.files(),
        WEIGHTS: weights(json.dumps({}).encode() + b" " * (_header_room(draft) + 16), b""),
    },
    a_zip_archive=_blob(lambda _: b"PK\x03\x04\x14\0\x08\x08" + bytes(60)),
    a_pickle_under_the_right_name=_blob(lambda _: b"\x80\x04\x95\x20\0\0\0\1" + bytes(60)),
    a_GGUF_file=_blob(lambda _: b"GGUF\3\0\0\1" + bytes(60)),
    a_page_of_HTML=_blob(lambda _: b"<html><body>404</body></html>" + bytes(60)),
)

# The header as JSON.
_table(
    "the header is not strict JSON: it does not begin with an object",
    a_header_of_no_bytes=_text(lambda _: b""),
    a_header_of_spaces=_text(lambda _: b" " * 16),
    a_list_as_header=_text(lambda text: b"[" + text + b"]"),
    a_text_as_header=_text(lambda _: b'"x"'),
    a_number_as_header=_text(lambda _: b"1"),
    a_header_behind_a_space=_text(lambda text: b" " + text),
    a_header_behind_a_byte_order_mark=_text(lambda text: b"\xef\xbb\xbf" + text),
    a_header_in_big_endian_UTF_16=_text(lambda text: text.decode().encode("utf-16-be")),
)
_table(
    "the header is not strict JSON: ",
    a_header_that_is_no_JSON=_text(lambda _: b"{not json}"),
    a_header_in_UTF_16=_text(lambda text: text.decode().encode("utf-16-le")),
    a_header_cut_in_the_middle=_text(lambda text: text[: len(text) // 2]),
    a_header_one_byte_short=_blob(lambda blob: struct.pack("<Q", len(parted(blob)[0]) - 1) + blob[8:]),
    a_header_that_reaches_into_the_data=_blob(
        lambda blob: struct.pack("<Q", struct.unpack("<Q", blob[:8])[0] + 8) + blob[8:]
    ),
    broken_UTF_8=_spelled(rb"base_model", b"base\xff"),
    UTF_8_that_is_longer_than_needed=_spelled(rb"base_model", b"base\xc0\xae"),
    a_surrogate_in_UTF_8=_spelled(rb"base_model", b"base\xed\xa0\x80"),
    text_after_the_headers_object=_text(lambda text: text + b"{}"),
    a_NUL_byte_after_the_header=_text(lambda text: text + b"\0"),
    a_trailing_comma=_text(lambda text: text[:-1] + b",}"),
    single_quotes=_text(lambda text: text.replace(b'"', b"'")),
    a_comment=_text(lambda text: text[:-1] + b"/**/}"),
    an_offset_in_hexadecimal=_spelled(rb"\[0, ", b"[0x0, "),
    an_offset_with_a_leading_zero=_spelled(rb"\[0, ", b"[00, "),
    an_offset_with_a_plus_sign=_spelled(rb"\[0, ", b"[+0, "),
    a_line_break_in_a_name=_spelled(rb"base_model", b"base\nmodel"),
    an_integer_of_4500_digits=_spelled(rb"\[0, ", b"[" + b"9" * 4500 + b", "),
)
_table(
    "a key appears twice",
    a_tensor_twice=_text(lambda text: _once(rb'(\{)("[^"]+": \{[^}]*\})', rb"\1\2, \2", text)),
    a_tensor_twice_in_two_spellings=_text(
        lambda text: _once(rb'(\{)"b([^"]+)": (\{[^}]*\})', rb'\1"b\2": \3, "\\u0062\2": \3', text)
    ),
    a_field_twice=_spelled(rb'"dtype": "F32"', b'"dtype": "I8", "dtype": "F32"'),
    metadata_twice=_text(lambda text: b'{"__metadata__": {}, "__metadata__": {}, ' + text[1:]),
    a_key_of_the_metadata_twice=_text(lambda text: b'{"__metadata__": {"format": "x", "format": "pt"}, ' + text[1:]),
    thousands_of_keys_and_one_twice=lambda draft: {
        **draft.files(),
        WEIGHTS: weights(
            b"{"
            + b",".join(b'"%d":0' % (at % (_header_room(draft) // 12)) for at in range(_header_room(draft) // 11))
            + b"}",
            draft.data,
        ),
    },
)
_table(
    "nested too deeply",
    brackets_without_end=lambda draft: {**draft.files(), WEIGHTS: weights(b'{"a":' + b"[" * _header_room(draft), b"")},
    objects_without_end=lambda draft: {
        **draft.files(),
        WEIGHTS: weights(b'{"":' * (_header_room(draft) // 4), draft.data),
    },
)
_table(
    "is none that belongs here",
    not_a_number_in_the_header=_spelled(rb"\[0, ", b"[NaN, "),
    infinity_in_the_header=_spelled(rb"\[0, ", b"[Infinity, "),
    negative_infinity_in_the_header=_spelled(rb"\[0, ", b"[-Infinity, "),
    an_offset_of_1e400=_spelled(rb"\[0, ", b"[1e400, "),
    an_offset_with_an_exponent=_spelled(rb"\[0, ", b"[0e0, "),
    a_fractional_offset=_spelled(rb"\[0, ", b"[0.0, "),
    a_fractional_dimension=_first(shape=[3.0, 5.0]),
)
_table(
    "the header is not padded with spaces to a multiple of 8 bytes",
    a_header_padded_to_an_odd_length=_blob(
        lambda blob: weights(blob[8 : -len(parted(blob)[1])] + b" ", parted(blob)[1], pad=b"")
    ),
    a_header_padded_with_line_breaks=_text(lambda text: text + b"\n" * 8),
    a_header_padded_with_tabs=_text(lambda text: text + b"\t" * 8),
)
_table(
    "the metadata says more than that PyTorch wrote the file",
    metadata_that_is_a_list=_text(lambda text: b'{"__metadata__": [], ' + text[1:]),
    metadata_that_is_null=_text(lambda text: b'{"__metadata__": null, ' + text[1:]),
    metadata_that_holds_a_number=_text(lambda text: b'{"__metadata__": {"format": 1}, ' + text[1:]),
    metadata_of_another_framework=_text(lambda text: b'{"__metadata__": {"format": "tf"}, ' + text[1:]),
    metadata_with_a_message=_text(lambda text: b'{"__metadata__": {"format": "pt", "to": "whom"}, ' + text[1:]),
    metadata_with_a_lone_surrogate=_text(lambda text: b'{"__metadata__": {"format": "\\ud800"}, ' + text[1:]),
)

# Which tensors.
_table(
    "tensors are missing",
    no_tensors=lambda draft: {**draft.files(), WEIGHTS: weights(b"{}", b"")},
    a_tensor_missing=_text(lambda text: _once(rb'"[^"]+": \{[^}]*\}, ', b"", text)),
    an_empty_tensor_too_many=_more("x", count=0),
    an_output_head=_more("base_model.model.lm_head.weight"),
    a_trained_output_head=_more("base_model.model.lm_head.lora_A.weight"),
    an_embedding=_more("base_model.model.model.embed_tokens.weight"),
    a_trained_embedding=_more("base_model.model.model.embed_tokens.lora_embedding_A"),
    a_module_to_save=_more("base_model.model.model.norm.modules_to_save.weight"),
    a_bias=_more("base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias"),
    a_bias_of_the_base_model=_more("base_model.model.model.layers.0.self_attn.q_proj.bias"),
    a_DoRA_magnitude=_more("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector"),
    a_layer_that_the_base_model_lacks=_more("base_model.model.model.layers.9999.self_attn.q_proj.lora_A.weight"),
    a_norm_among_the_projections=_more("base_model.model.model.layers.0.input_layernorm.weight"),
    a_tensor_without_a_name=_renamed(lambda _: ""),
    a_name_with_a_NUL_byte=_renamed(lambda name: name + "\0"),
    a_name_with_terminal_codes=_renamed(lambda _: "\x1b[2J"),
    a_name_with_a_lone_surrogate=_renamed(lambda name: name + "\ud800"),
    a_name_in_look_alike_letters=_renamed(lambda name: name.replace("a", "\u0430")),
    a_name_with_the_adapters_own_name_in_it=_renamed(lambda name: name.replace("weight", "default.weight")),
    a_name_without_PEFTs_prefix=_renamed(lambda name: name.removeprefix("base_model.model.")),
    a_name_in_capitals=_renamed(str.upper),
    a_name_of_a_megabyte_as_far_as_there_is_room=lambda draft: {
        **draft.files(),
        WEIGHTS: weights(b'{"%s": 0}' % (b"x" * (_header_room(draft) - 16)), draft.data),
    },
)

# How each is described.
_table(
    "is not described by dtype, shape and data_offsets alone",
    no_dtype=_without("dtype"),
    no_shape=_without("shape"),
    no_offsets=_without("data_offsets"),
    a_field_too_many=_first(requires_grad=True),
    a_tensor_that_is_a_list=lambda draft: _entry(draft, ["F32", [3, 5], [0, 60]]),
    a_tensor_that_is_null=lambda draft: _entry(draft, None),
    a_tensor_that_is_a_text=lambda draft: _entry(draft, "F32"),
)
_table(
    "is not stored as F32, BF16, F16",
    eight_bit_integers=_first(dtype="I8"),
    wide_integers=_first(dtype="I64"),
    truth_values=_first(dtype="BOOL"),
    double_precision=_first(dtype="F64"),
    eight_bit_floats=_first(dtype="F8_E4M3"),
    four_bit_floats=_first(dtype="F4"),
    complex_numbers=_first(dtype="C64"),
    a_dtype_in_lower_case=_first(dtype="f32"),
    a_dtype_in_PyTorchs_words=_first(dtype="torch.float32"),
    a_dtype_that_is_a_list=_first(dtype=["F32"]),
    a_dtype_that_is_null=_first(dtype=None),
    a_dtype_that_is_a_number=_first(dtype=0),
)
_table(
    "does not have the agreed shape",
    a_greater_rank=lambda draft: _entry(draft, {**draft.first, "shape": [draft.first["shape"][0] + 1, 5]}),
    a_transposed_shape=lambda draft: _entry(draft, {**draft.first, "shape": draft.first["shape"][::-1]}),
    a_flat_shape=lambda draft: _entry(draft, {**draft.first, "shape": [prod(draft.first["shape"])]}),
    a_third_dimension=lambda draft: _entry(draft, {**draft.first, "shape": [1, *draft.first["shape"]]}),
    the_shapes_of_two_tensors_exchanged=lambda draft: _entry(draft, draft.second),
    no_dimensions=_first(shape=[]),
    a_shape_of_zeros=_first(shape=[0, 0]),
    negative_dimensions=_first(shape=[-3, -5]),
    a_dimension_of_two_to_the_70=_first(shape=[2**70, 5]),
    dimensions_whose_product_overflows=_first(shape=[2**32, 2**32]),
    a_dimension_that_is_true=_first(shape=[True, 5]),
    a_dimension_that_is_a_text=_first(shape=["3", 5]),
    a_shape_that_is_a_text=_first(shape="3x5"),
    a_shape_that_is_null=_first(shape=None),
)
_table(
    "are not two byte positions",
    one_offset=_first(data_offsets=[0]),
    three_offsets=_first(data_offsets=[0, 60, 60]),
    no_numbers_as_offsets=_first(data_offsets=[]),
    offsets_that_are_a_text=_first(data_offsets="0-60"),
    offsets_that_are_null=_first(data_offsets=None),
    offsets_that_are_true_and_false=_first(data_offsets=[False, True]),
    offsets_that_are_an_object=_first(data_offsets={"0": 0}),
    a_negative_offset=_first(data_offsets=[-60, 0]),
)
_table(
    "has more or fewer bytes than its shape needs",
    offsets_in_reverse=lambda draft: _entry(draft, {**draft.first, "data_offsets": draft.first["data_offsets"][::-1]}),
    an_empty_span=_first(data_offsets=[0, 0]),
    one_byte_fewer=lambda draft: _entry(
        draft, {**draft.first, "data_offsets": [0, draft.first["data_offsets"][1] - 1]}
    ),
    one_byte_more=lambda draft: _entry(draft, {**draft.first, "data_offsets": [0, draft.first["data_offsets"][1] + 1]}),
    an_end_beyond_two_to_the_64=_first(data_offsets=[0, 2**64 + 60]),
    a_span_of_the_other_width=_first(dtype="F16"),
)

# Where they lie.
_table(
    "; the one before it ends at ",
    two_tensors_over_the_same_bytes=lambda draft: _moved(-draft.second["data_offsets"][0], first=1)(draft),
    two_tensors_that_overlap=_moved(-4, first=1),
    a_gap_between_tensors=_moved(4, first=1),
    a_gap_before_the_first_tensor=_moved(8),
    offsets_of_two_to_the_40=_moved(2**40),
    offsets_that_wrap_around_at_two_to_the_64=_moved(2**64, first=1),
)
_table("is not aligned to its values", single_precision_behind_an_odd_number_of_halves=_misaligned)
_table(
    "; its last tensor ends at ",
    no_data=lambda draft: {**draft.files(), WEIGHTS: weights(json.dumps(draft.header).encode(), b"")},
    a_tensor_beyond_the_end=_blob(lambda blob: blob[:-4]),
    a_byte_missing=_blob(lambda blob: blob[:-1]),
    a_byte_after_the_data=_blob(lambda blob: blob + b"\0"),
    an_archive_after_the_data=_blob(lambda blob: blob + b"PK\x05\x06" + bytes(18)),
)

# Values.
_table(
    "holds a value that is not finite, or larger than any trained one",
    not_a_number=_value(lambda _: 0, F32(float("nan"))),
    not_a_number_in_the_last_value=_value(lambda end: end - 4, F32(float("nan"))),
    a_signalling_not_a_number=_value(lambda _: 8, b"\1\0\x80\x7f"),
    not_a_number_with_a_sign=_value(lambda _: 8, b"\1\0\x80\xff"),
    infinity=_value(lambda _: 4, F32(float("inf"))),
    negative_infinity_in_the_last_value=_value(lambda end: end - 4, F32(float("-inf"))),
    the_largest_float=_value(lambda _: 4, F32(3.4e38)),
    a_value_of_two_to_the_17=_value(lambda _: 4, F32(-(2.0**17))),
    integers_in_place_of_floats=_value(lambda _: 0, struct.pack("<i", -1)),
    infinity_in_bfloat16=_half("BF16", b"\x80\x7f"),
    not_a_number_in_bfloat16=_half("BF16", b"\xc0\xff"),
    two_to_the_17_in_bfloat16=_half("BF16", b"\x00\x48"),
    infinity_in_float16=_half("F16", b"\x00\x7c"),
    not_a_number_in_float16=_half("F16", b"\x01\xfc"),
)

# What only the library minds.
_table("the safetensors library refuses it", an_offset_of_minus_zero=_spelled(rb"\[0, ", b"[-0, "))

# The configuration.
_table(
    "its configuration is not strict JSON: ",
    a_configuration_of_no_bytes=_config_text(lambda _: b""),
    a_configuration_that_is_no_JSON=_config_text(lambda _: b"{r: 3}"),
    a_configuration_that_is_a_list=_config_text(lambda text: b"[" + text + b"]"),
    a_configuration_behind_a_byte_order_mark=_config_text(lambda text: b"\xef\xbb\xbf" + text),
    a_configuration_in_UTF_16=_config_text(lambda text: text.decode().encode("utf-16")),
    a_configuration_in_broken_UTF_8=_config_text(lambda text: text.replace(b"LORA", b"LOR\xff")),
    a_configuration_that_says_two_ranks=_config_text(lambda text: text.replace(b'"r": ', b'"r": 999, "r": ')),
    a_configuration_with_text_after_it=_config_text(lambda text: text + b"{}"),
    a_configuration_nested_without_end=_config_text(lambda _: b'{"a":' + b"[" * 60_000),
    an_alpha_that_is_not_a_number=_config(lora_alpha=float("nan")),
    an_alpha_that_is_infinite=_config(lora_alpha=float("inf")),
    a_rank_of_5000_digits=_config_text(lambda text: _once(rb'"r": \d+', b'"r": ' + b"9" * 5000, text)),
    a_pickled_configuration=_config_text(lambda _: b"\x80\x04}."),
)
_table(
    "its configuration has r = ",
    no_rank=_config_without("r"),
    another_rank=_config(r=64),
    a_rank_that_is_a_text=_config(r="3"),
    a_rank_with_a_point=_config(r=3.0),
    a_rank_that_is_null=_config(r=None),
    a_negative_rank=_config(r=-3),
)
_table(
    "its configuration has lora_alpha = ",
    no_alpha=_config_without("lora_alpha"),
    another_alpha=_config(lora_alpha=32),
    an_alpha_of_zero=_config(lora_alpha=0),
    an_alpha_of_1e308=_config(lora_alpha=1e308),
    an_alpha_with_a_point=_config(lora_alpha=16.0),
)
_table(
    "its configuration has target_modules = ",
    no_targets=_config_without("target_modules"),
    an_empty_list_of_targets=_config(target_modules=[]),
    another_target=_config(target_modules=["v_proj"]),
    the_output_head_among_the_targets=lambda draft: _config(
        target_modules=[*draft.config["target_modules"], "lm_head"]
    )(draft),
    a_target_twice=lambda draft: _config(target_modules=[*draft.config["target_modules"] * 2])(draft),
    targets_by_a_pattern=_config(target_modules="(a+)+b"),
    all_linear_layers_as_targets=_config(target_modules="all-linear"),
    targets_that_are_numbers=_config(target_modules=[1]),
    targets_with_terminal_codes=_config(target_modules=["\x1b[2J"]),
)
_table(
    "its configuration has peft_type = ",
    no_kind_of_adapter=_config_without("peft_type"),
    another_kind_of_adapter=_config(peft_type="LOHA"),
    a_soft_prompt=_config(peft_type="PROMPT_TUNING"),
)
_table(
    "its configuration has task_type = ",
    no_task=_config(task_type=None),
    another_task=_config(task_type="SEQ_CLS"),
)
_table(
    "which is not plain LoRA",
    DoRA=_config(use_dora=True),
    DoRA_by_the_number_one=_config(use_dora=1),
    DoRA_by_a_text=_config(use_dora="false"),
    rank_stabilised_scaling=_config(use_rslora=True),
    QALoRA=_config(use_qalora=True),
    an_activated_LoRA=_config(alora_invocation_tokens=[1, 2]),
    trained_biases=_config(bias="all"),
    biases_of_LoRA_alone=_config(bias="lora_only"),
    a_bias_by_another_field=_config(lora_bias=True),
    other_ranks_by_a_pattern=_config(rank_pattern={"q_proj": 64}),
    other_alphas_by_a_pattern=_config(alpha_pattern={"q_proj": 64}),
    modules_to_save_in_the_configuration=_config(modules_to_save=["lm_head"]),
    trained_tokens=_config(trainable_token_indices=[0]),
    parameters_as_targets=_config(target_parameters=["experts.weight"]),
    modules_left_out=_config(exclude_modules=["q_proj"]),
    some_layers_only=_config(layers_to_transform=[0]),
    replicated_layers=_config(layer_replication=[[0, 1], [0, 1]]),
    weights_transposed=_config(fan_in_fan_out=True),
    an_initialisation_that_changes_the_base_model=_config(init_lora_weights="pissa"),
    a_quantised_initialisation=_config(loftq_config={"loftq_bits": 4}),
    a_library_to_import=_config(auto_mapping={"base_model_class": "system", "parent_library": "os"}),
    another_module_for_Megatron=_config(megatron_core="os"),
    a_revision=_config(revision="refs/pr/1"),
    a_base_model_that_is_no_name=_config(base_model_name_or_path=["a", "b"]),
    dropout_of_everything=_config(lora_dropout=1),
    a_dropout_that_is_true=_config(lora_dropout=True),
    a_field_that_PEFT_does_not_have=_config(trust_remote_code=True),
    a_field_with_terminal_codes=lambda draft: _config(**{"\x1b[2J": 1})(draft),
)
