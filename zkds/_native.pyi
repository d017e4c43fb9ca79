"""The compiled C core (cffi, API mode)."""

from typing import Any

ffi: Any
lib: Any
