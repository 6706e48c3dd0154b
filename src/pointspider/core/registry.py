"""A registry of named implementations that finds the modules of its package by itself.

Adding an implementation is adding a module: the registry imports every module of its package when it is first
read, and each module registers what it defines.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from pointspider.core.errors import InputError

T = TypeVar("T")
Decorated = TypeVar("Decorated")


class Registry(Mapping[str, T]):
    """A read-only mapping from names to implementations, in the order of registration."""

    def __init__(self, package: str, kind: str):
        """Create an empty registry.

        Args:
            package: dotted name of the package whose modules register themselves.
            kind: what an entry is, for error messages ("source", "corruption").
        """
        self.package = package
        self.kind = kind
        self._entries: dict[str, T] = {}
        self._complete = self._loading = False

    def register(self, name: str) -> Callable[[Decorated], Decorated]:
        """Return a decorator that registers a class or function under `name`.

        Raises:
            ValueError: the name is taken.
        """

        def decorate(entry: Decorated) -> Decorated:
            self.add(name, entry)  # type: ignore[arg-type]  # a class also matches the protocol that it implements
            return entry

        return decorate

    def add(self, name: str, entry: T) -> None:
        """Register `entry` under `name`.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._entries:
            raise ValueError(f"{self.kind} '{name}' is registered twice")
        self._entries[name] = entry

    def remove(self, name: str) -> None:
        """Remove the entry `name`, for tests and notebooks."""
        del self._entries[name]

    def find(self, name: str, key: str = "") -> T:
        """Return the entry `name`.

        Args:
            name: what the user gave.
            key: where, for the message ("clouds.source").

        Raises:
            InputError: there is no such entry; the message gives the closest name.
        """
        if name in self:
            return self[name]
        close = difflib.get_close_matches(name, self, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"choose from {', '.join(self)}."
        raise InputError(f"{key}{': ' if key else ''}'{name}' is not a {self.kind}; {hint}")

    def _load(self) -> dict[str, T]:
        if not (self._complete or self._loading):
            self._loading = True  # a module may read the registry while it is imported
            try:
                for module in pkgutil.iter_modules(importlib.import_module(self.package).__path__):
                    importlib.import_module(f"{self.package}.{module.name}")
                self._complete = True
            finally:
                self._loading = False
        return self._entries

    def __getitem__(self, name: str) -> T:
        return self._load()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())
