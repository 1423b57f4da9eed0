"""Signals and slots as in PythonQt: signatures as strings, surplus arguments dropped, exceptions not fatal."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import NamedTuple

from .qt_binding import QtCore, shiboken6
from .qt_members import QT_MEMBERS, Members, members_of
from .qt_versions import qt6_only

# Exceptions that nobody caught: in a slot, a timer or a VTK observer. Slicer prints them and goes on; a test has to
# find this list empty. Entries are what sys.exc_info() gives.
slot_errors: list[tuple] = []

MAX_SIGNAL_ARGUMENTS = 5

plain_get = QtCore.QObject.__getattribute__  # as it was before attributes.py replaced it


class Connection(NamedTuple):
    signature: str
    receiver: Callable
    handle: QtCore.QMetaObject.Connection


# Connections made here, by the address of the C++ sender: Python wrappers come and go, the sender stays.
_connections: dict[int, list[Connection]] = {}


def collect_uncaught_exceptions() -> None:
    """Let `slot_errors` receive every exception that reaches sys.excepthook; the hook in place still runs."""
    previous = sys.excepthook

    def collect(kind, error, traceback) -> None:
        slot_errors.append((kind, error, traceback))
        previous(kind, error, traceback)

    sys.excepthook = collect


def normalized(signature: str | bytes) -> str:
    """'2changed(const QString &)' or 'changed(QString)' -> 'changed(QString)'."""
    text = signature.decode() if isinstance(signature, bytes) else signature
    return bytes(QtCore.QMetaObject.normalizedSignature(text.lstrip("12"))).decode()


def guarded(receiver: Callable, argument_count: int = 0) -> Callable:
    """A function with exactly that many arguments that calls `receiver` with those it can take, as PythonQt does.

    PySide6 chooses the overload of a signal by the number of arguments, so *args will not do.
    """

    def call(*arguments) -> None:
        try:
            receiver(*arguments[: accepted_arguments(receiver)])
        except Exception:
            sys.excepthook(*sys.exc_info())

    return [
        lambda: call(),
        lambda a: call(a),
        lambda a, b: call(a, b),
        lambda a, b, c: call(a, b, c),
        lambda a, b, c, d: call(a, b, c, d),
        lambda a, b, c, d, e: call(a, b, c, d, e),
    ][argument_count]


def accepted_arguments(receiver: Callable) -> int | None:
    """How many arguments of a signal PythonQt passes on; None for all. It looks at plain functions and methods only."""
    function = receiver.__func__ if inspect.ismethod(receiver) else receiver
    if not inspect.isfunction(function) or function.__code__.co_flags & inspect.CO_VARARGS:
        return None
    return function.__code__.co_argcount - (1 if inspect.ismethod(receiver) else 0)


class Signal:
    """What `sender.clicked` is for code outside the host."""

    def __init__(self, sender: QtCore.QObject, signature: str) -> None:
        self._sender = sender
        self._signature = signature

    def connect(self, receiver: Callable) -> bool:
        return connect(self._sender, self._signature, receiver)

    def disconnect(self, receiver: Callable | None = None) -> bool:
        return disconnect(self._sender, self._signature, receiver)

    def emit(self, *arguments) -> None:
        _bound_signal(self._sender, self._signature).emit(*arguments)

    __call__ = emit


def signal_named(sender: QtCore.QObject, name: str) -> Signal | None:
    """The first signal of that name the class declares, which is the one PythonQt takes when there are overloads."""
    return next((Signal(sender, signature) for signature in _signatures(sender) if _name(signature) == name), None)


def connect(sender: QtCore.QObject, signature: str | bytes, *target) -> bool:
    """`target` is a callable, or a QObject and the signature of one of its slots.

    Raises ValueError where PythonQt prints a warning and returns False: no such signal, no such slot.
    """
    signature = normalized(signature)
    if signature not in _signatures(sender):
        raise ValueError(f"signal '{signature}' does not exist on {type(sender).__name__}")
    receiver = _receiver(*target)
    relay = guarded(receiver, _argument_count(signature))
    connection = Connection(signature, receiver, _bound_signal(sender, signature).connect(relay))
    _connections_of(sender).append(connection)
    return True


def disconnect(sender: QtCore.QObject, signature: str | bytes, *target) -> bool:
    """Undo `connect`; without target everything that was connected to that signal. True if something was found.

    Of several equal connections one is undone, as in PythonQt.
    """
    signature = normalized(signature)
    receiver = _receiver(*target) if target and target[0] is not None else None
    made_here = _connections_of(sender)
    found = [c for c in made_here if c.signature == signature and (receiver is None or c.receiver == receiver)]
    for connection in found[:1] if receiver is not None else found:
        QtCore.QObject.disconnect(connection.handle)
        made_here.remove(connection)
    return bool(found)


def _receiver(*target) -> Callable:
    if len(target) == 1 and callable(target[0]):
        return target[0]
    if len(target) == 2 and isinstance(target[0], QtCore.QObject) and isinstance(target[1], (str, bytes)):
        slot = normalized(target[1])
        if slot not in _slots(target[0]):
            raise ValueError(f"slot '{slot}' does not exist on {type(target[0]).__name__}")
        return plain_get(target[0], _name(slot))
    raise ValueError(f"not something a signal can be connected to: {target}")


def connected_senders() -> int:
    """How many living objects have been connected."""
    return len(_connections)


def _connections_of(sender: QtCore.QObject) -> list[Connection]:
    address = shiboken6.getCppPointer(sender)[0]
    if address not in _connections:
        _connections[address] = []
        plain_get(sender, "destroyed").connect(lambda: _connections.pop(address, None))
    return _connections[address]


def _bound_signal(sender: QtCore.QObject, signature: str) -> QtCore.SignalInstance:
    facts = getattr(type(sender), "stand_in_facts", None)
    if facts and signature in facts.signals:  # Python has no names for the types of C++ arguments
        return plain_get(sender, facts.signals[signature])
    arguments = signature[signature.index("(") + 1 : -1]
    return plain_get(sender, _name(signature))[arguments]


def _signatures(sender: QtCore.QObject) -> list[str]:
    facts = getattr(type(sender), "stand_in_facts", None)
    every = [*(facts.signals if facts else ()), *_qt_members(sender).signals]
    return [signature for signature in every if _name(signature) not in qt6_only(type(sender))]


def _slots(receiver: QtCore.QObject) -> list[str]:
    """A signal can be connected to a signal too."""
    facts = getattr(type(receiver), "stand_in_facts", None)
    return [*(facts.slots if facts else ()), *_qt_members(receiver).slots, *_signatures(receiver)]


def _qt_members(instance: QtCore.QObject) -> Members:
    """What Qt itself knows. The Python signals of a stand-in are left out, they have C++ signatures."""
    facts = getattr(type(instance), "stand_in_facts", None)
    if facts:
        return QT_MEMBERS[facts.qt_base]
    return QT_MEMBERS.get(type(instance)) or members_of(QtCore.QObject.metaObject(instance))


def _argument_count(signature: str) -> int:
    arguments = signature[signature.index("(") + 1 : -1]
    return arguments.count(",") + 1 if arguments else 0


def _name(signature: str) -> str:
    return signature.partition("(")[0]
