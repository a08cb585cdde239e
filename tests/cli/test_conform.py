"""`kerbstone conform`: what it refuses, and its page. The rest is in tests/conform."""

import re
from pathlib import Path
from typing import Final

import pytest

from edge.conform.product import Product
from tests.kit.broker import free_port
from tests.kit.command import Command

ROOT: Final = Path(__file__).parents[2]
URL: Final = f"mqtt://127.0.0.1:{free_port()}"  # nobody listens there
PRODUCT: Final = 'name = "A"\nversion = "1"\nsite = "test"\ngateway = "gw-1"\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "name"),
        (f"{PRODUCT}nonsense = 1\n", "nonsense"),
        (f"{PRODUCT}reciept_s = 5\n", "the keys of a product file are name, version, site,"),
        (f"{PRODUCT}receipt_s = 0\n", "receipt_s"),
        (f'{PRODUCT}can = ["fly"]\n', "fly"),
        (PRODUCT.replace("gw-1", "gw/1"), "cannot be part of a topic"),
        ("name =", "product.toml"),
        ("#" * 70_000, "larger than"),
    ],
)
def test_a_product_file_that_is_none_is_exit_2(
    kerbstone: Command, tmp_path: Path, text: str, why: str
) -> None:
    path = tmp_path / "product.toml"
    path.write_text(text)
    said = kerbstone("conform", "--broker", URL, "--product", path)
    assert said.code == 2
    assert why in said.err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--product", "none.toml"], "No such file"),
        (["--report", "result.pdf"], "FILE.html or FILE.md"),
        (["--report", "there/is/none/x.md"], "no such folder"),
        (["--for", "0"], "no number"),
        (["--prefix", "x"], "unrecognized"),
    ],
)
def test_wrong_use_is_exit_2(
    kerbstone: Command, tmp_path: Path, words: list[str], why: str
) -> None:
    path = tmp_path / "product.toml"
    path.write_text(PRODUCT)
    said = kerbstone("conform", "--broker", URL, "--product", path, *words)
    assert said.code == 2
    assert why in said.err


def test_without_a_broker_it_is_exit_3(kerbstone: Command, tmp_path: Path) -> None:
    path = tmp_path / "product.toml"
    path.write_text(PRODUCT)
    said = kerbstone("conform", "--broker", URL, "--product", path)
    assert said.code == 3
    assert "cannot be reached" in said.err


def test_the_page_has_every_key_of_a_product_file() -> None:
    page = (ROOT / "docs/conform.md").read_text()
    table = page.partition("| key |")[2].partition("\n\n")[0]
    keys = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in table.splitlines() if "|" in row]
    assert {key for row in keys for key in row} == set(Product.__struct_fields__)
