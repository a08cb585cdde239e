"""The collected facts about meters, where they lie beside this checkout: an opinion of others."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

FACTS = Path(__file__).parents[3] / "../shared/facts"
TYPES = {"uint16": "u16", "int16": "i16", "uint32": "u32", "int32": "i32", "float32": "f32",
         "uint64": "u64", "int64": "i64"}  # fmt: skip
WORDS = {"msw_first": "big", "lsw_first": "little"}
FILES = {  # our table -> their file
    "adl400": "acrel-dtsd1352-adl400",
    "adw300": "acrel-adw300",
    "b23": "abb-b23-b24",
    "em111": "cg-em111",
    "em24": "cg-em24-rs485",
    "em24_e1": "cg-em24-e1",
    "em340": "cg-em340",
    "iem3000": "schneider-iem3000",
    "janitza_b23": "janitza-b23",
    "pzem004t": "pzem-004t-v3",
    "sdm120": "eastron-sdm120",
    "sdm230": "eastron-sdm230",
    "sdm630": "eastron-sdm630-v2",
    "umg96rm": "janitza-umg96rm",
}
# Where the maker's own protocol says otherwise, which was looked up: it is the table that is right.
# EM24: 0x0030 is the demand of apparent power, the largest demand of power is at 0x0038.
CORRECTED = {("em24", 0x0030)}


def facts(name: str) -> dict[str, Any]:
    """What is known of the meter of this table. Skips without the collection."""
    if not FACTS.is_dir():
        pytest.skip("the collection of facts is not beside this checkout")
    return tomllib.loads((FACTS / "meters" / f"{FILES[name]}.toml").read_text("utf-8"))


def vectors() -> dict[str, dict[str, Any]]:
    """Published frames of Modbus, by their names. Skips without the collection."""
    if not FACTS.is_dir():
        pytest.skip("the collection of facts is not beside this checkout")
    doc = json.loads((FACTS / "vectors.json").read_text("utf-8"))
    return {one["id"]: one for one in doc["vectors"] if one.get("group") == "modbus"}
