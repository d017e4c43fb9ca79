"""Kernels are chosen by every CPU flag that they are compiled with, and only a little-endian machine builds them."""

import re
import shutil
import subprocess

import pytest

from tests.harness.shell import HANGS, ROOT

pytestmark = pytest.mark.any_kernels

NATIVE = ROOT / "native"
COMPILER = shutil.which("gcc") or shutil.which("cc")
IN_EVERY_X86_64 = {"sse", "sse2", "mmx", "fxsr"}
NO_INSTRUCTIONS_OF_OURS = {"crc32", "xsave"}  # never chosen for C: they stand in intrinsics only, which the kernels don't use


def preprocess(*arguments, source=""):
    command = [COMPILER, "-E", *arguments, "-x", "c", "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True, timeout=HANGS)


def features(*flags):
    """The instruction sets that the compiler may use under these flags, by the macros that it defines."""
    defined = re.findall(r"^#define __([A-Z0-9_]+)__ 1$", preprocess("-dM", *flags).stdout, re.MULTILINE)
    return {name.lower().replace("sse4_", "sse4.") for name in defined}


def targets(name):
    (flags,) = set(re.findall(r'target\("([^"]+)"\)', (NATIVE / f"isa_{name}.c").read_text()))
    return flags.split(",")


def asked(name):
    """The flags that `zkds_best_isa` asks the processor for before it returns this set."""
    body = re.search(r"int zkds_best_isa\(void\) \{(.*?)\n\}", (NATIVE / "runtime.c").read_text(), re.DOTALL)[1]
    end = body.index("ZKDS_AVX512;" if name == "avx512" else "return ZKDS_PORTABLE")
    return set(re.findall(r'HAS\("([^"]+)"\)', body[:end]))


def machine():
    return subprocess.run([COMPILER, "-dumpmachine"], capture_output=True, text=True).stdout if COMPILER else ""


@pytest.mark.skipif(not machine().startswith("x86_64"), reason="kernels of x86-64, named by its compiler")
@pytest.mark.parametrize("name", ["avx2", "avx512"])
def test_every_instruction_set_that_kernels_are_compiled_with_is_tested(name):
    used = features(*(f"-m{flag}" for flag in targets(name))) - features()
    assert set(targets(name)) <= used, "the compiler knows them by these names"
    relevant = {flag for flag in used if re.fullmatch(r"(s?sse|avx|bmi|popcnt|fma|f16c|lzcnt|crc32|xsave).*", flag)}
    assert relevant - IN_EVERY_X86_64 - NO_INSTRUCTIONS_OF_OURS <= asked(name)


@pytest.mark.skipif(COMPILER is None, reason="needs the compiler that built the extension")
def test_a_big_endian_machine_is_refused_by_name():
    big = ["-U__BYTE_ORDER__", "-D__BYTE_ORDER__=__ORDER_BIG_ENDIAN__", f"-I{NATIVE}"]
    refused = preprocess(*big, source='#include "runtime.h"\n')
    assert refused.returncode != 0 and "little-endian" in refused.stderr
    assert preprocess(f"-I{NATIVE}", source='#include "runtime.h"\n').returncode == 0
