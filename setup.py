"""Hands the C extension to setuptools, and has its files compiled side by side; everything else is in pyproject.toml."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from setuptools import setup
from setuptools.command.build_ext import build_ext


class SideBySide(build_ext):
    """Compiles the files of an extension side by side. setuptools takes one after another, and one is most of the time."""

    def build_extensions(self) -> None:
        compile_files = self.compiler.compile

        def side_by_side(sources: list[str], *arguments: Any, **options: Any) -> list[str]:
            with ThreadPoolExecutor() as pool:
                made = pool.map(lambda source: compile_files([source], *arguments, **options), sources)
                return [name for names in made for name in names]

        self.compiler.compile = side_by_side
        super().build_extensions()


# The C core is compiled for the stable interface: one wheel for the oldest Python of pyproject.toml and all later ones.
STABLE = {"bdist_wheel": {"py_limited_api": "cp311"}}

setup(cffi_modules=["native/build.py:ffibuilder"], cmdclass={"build_ext": SideBySide}, options=STABLE)
