"""What the reference tokenizer says, as make_byte_bpe_fixture.py asked it."""

import json
import lzma
from pathlib import Path

import pytest

from tfr_listbert.text.byte_bpe_files import ByteBPEFiles


@pytest.fixture(scope="session")
def reference():
    return json.loads(lzma.decompress(Path(__file__).with_name("byte_bpe.json.xz").read_bytes()))


@pytest.fixture(scope="session")
def reference_files(reference):
    return ByteBPEFiles(reference["vocabulary"], [tuple(merge) for merge in reference["merges"]])
