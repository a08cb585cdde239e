"""What others say of meters, out of `tests/vectors`: lists of registers, and frames of Modbus."""

from pathlib import Path
from typing import Any, Final

from tests.kit.vectors import FOLDER, everything, vector_file

LISTS: Final[Path] = FOLDER / "meters"
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


def register_list(file: str) -> dict[str, Any]:
    """One list, by the name of its file."""
    return vector_file(f"meters/{file}")


def facts(name: str) -> dict[str, Any]:
    """What is known of the meter of this table."""
    return register_list(FILES[name])


def vectors() -> dict[str, dict[str, Any]]:
    """Published frames of Modbus, by their names."""
    return {one["id"]: one for one in everything() if one["group"] == "modbus"}
