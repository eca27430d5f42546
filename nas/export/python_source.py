"""Prints a tree of modules as PyTorch source that imports nothing of ours.

A module is exportable if it is one of torch.nn's, or if its class follows one rule: its source uses only the names
``torch``, ``nn``, ``F`` and ``Tensor`` and other exportable classes, and it keeps every argument of its constructor
as an attribute, or as a child module, of the same name.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import math
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from nas.core.errors import NotExportable

_WIDTH = 100
# where a module lies is not what it is; the others are torch's deprecated or private ones
_NOT_KEPT = {"self", "device", "dtype", "min_value", "max_value", "_weight", "_freeze"}


def print_source(model: nn.Module) -> str:
    """Print the classes that `model` needs, and a function ``build`` that makes it anew, without its weights.

    Raises:
        NotExportable: naming the module at fault.
    """
    _check_nothing_is_shared(model)
    expression = _print_call(model, "model", indent=4)
    classes = "\n\n\n".join(_find_source(kind)[0] for kind in list_classes(model))
    build = f'def build() -> nn.Module:\n    """The architecture, with new weights."""\n    return {expression}\n'
    return f"{classes}\n\n\n{build}" if classes else build


def list_classes(model: nn.Module) -> list[type[nn.Module]]:
    """The classes in a tree that are not torch's, each after those that it derives from, names or contains.

    Raises:
        NotExportable: naming the class whose source cannot be found or uses what is not torch's.
    """
    seen: set[type[nn.Module]] = set()
    ordered: list[type[nn.Module]] = []

    def visit(kind: type[nn.Module]) -> None:
        if kind in seen or _is_torchs(kind):
            return
        seen.add(kind)
        for needed in _find_source(kind)[1]:
            visit(needed)
        ordered.append(kind)

    for module in reversed(list(model.modules())):
        visit(type(module))
    return ordered


def check_names(source: str) -> None:
    """Refuse a file in which one name is bound twice at the top: two classes, or a class and what the file imports.

    Raises:
        NotExportable: naming the class at fault.
    """
    counts: Counter[str] = Counter()
    for node in ast.parse(source).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            counts[node.name] += 1
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            counts.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            counts.update(n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name))
    for name, count in counts.items():
        if count > 1:
            raise NotExportable(f"{name}: the exported file has this name {count} times; rename the class")


def _check_nothing_is_shared(model: nn.Module) -> None:
    """Refuse a layer that is used twice and tied weights: printed source would make two tensors of one."""
    places: dict[int, str] = {}
    parameters, buffers = model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)
    for path, tensor in (*parameters, *buffers):
        first = places.setdefault(id(tensor), path)
        if first != path:
            raise NotExportable(f"model.{path}: is the same as model.{first}")


def _is_torchs(kind: type[nn.Module]) -> bool:
    return kind.__module__.split(".")[0] == "torch"


def _find_source(kind: type[nn.Module]) -> tuple[str, list[type[nn.Module]]]:
    """A class's source, and the classes, not torch's, that it names."""
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except (OSError, TypeError) as error:
        raise NotExportable(f"{kind.__qualname__}: its source cannot be found") from error
    known = {"torch", "nn", "F", "Tensor", kind.__name__, *dir(builtins)}
    tree = ast.parse(source)
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    module = sys.modules[kind.__module__]
    named: dict[type[nn.Module], None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in known | bound:
            value: Any = getattr(module, node.id, None)
            module_class = isinstance(value, type) and issubclass(value, nn.Module)
            if not module_class or _is_torchs(value) or value.__name__ != node.id:
                raise NotExportable(f"{kind.__qualname__}: its source uses {node.id}, which is not torch's")
            named.setdefault(value)
    return source.rstrip(), list(named)


def _print_call(module: nn.Module, path: str, indent: int) -> str:
    """The constructor's call; nested modules go on lines of their own, four blanks deeper."""
    prefix = "nn." if _is_torchs(type(module)) else ""
    name = prefix + type(module).__name__
    if prefix and not hasattr(nn, type(module).__name__):
        raise NotExportable(f"{path}: {type(module).__qualname__} is not in torch.nn")
    if type(module) is nn.Sequential:
        if [*module._modules] != [str(i) for i in range(len(module))]:
            raise NotExportable(f"{path}: a Sequential whose children have names")
        children = [_print_call(child, f"{path}.{key}", indent + 4) for key, child in module.named_children()]
        return _lay_out_call(name, children, indent)
    return _lay_out_call(name, list(_print_arguments(module, path, indent + 4)), indent)


def _lay_out_call(name: str, arguments: list[str], indent: int) -> str:
    line = f"{name}({', '.join(arguments)})"
    if "\n" not in line and len(line) + indent <= _WIDTH:
        return line
    blank = " " * (indent + 4)
    return f"{name}(\n" + "".join(f"{blank}{argument},\n" for argument in arguments) + " " * indent + ")"


def _print_arguments(module: nn.Module, path: str, indent: int) -> Iterator[str]:
    positional = True
    recurrent = isinstance(module, (nn.GRU, nn.LSTM))  # whose constructors only say that they take anything
    constructor = nn.RNNBase.__init__ if recurrent else type(module).__init__
    for parameter in inspect.signature(constructor).parameters.values():
        if recurrent and parameter.name == "mode":
            continue
        if parameter.name in _NOT_KEPT or parameter.kind is parameter.VAR_KEYWORD:
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            plain = type(module).__init__ is nn.Module.__init__ or isinstance(module, nn.Identity)
            if not plain or any(True for _ in module.children()):
                raise NotExportable(f"{path}: {type(module).__qualname__} takes *{parameter.name}")
            continue
        if not hasattr(module, parameter.name):
            raise NotExportable(f"{path}: {type(module).__qualname__} does not keep its argument {parameter.name}")
        value = getattr(module, parameter.name)
        if parameter.name == "bias" and (value is None or isinstance(value, Tensor)):
            value = value is not None
        value = _simplify(module, value, parameter.default)
        if parameter.default is not parameter.empty and _is_same(value, parameter.default):
            positional = False
            continue
        text = _print_value(value, f"{path}.{parameter.name}", indent)
        required = parameter.default is parameter.empty
        positional = positional and parameter.kind is not parameter.KEYWORD_ONLY and required
        yield text if positional else f"{parameter.name}={text}"


def _simplify(module: nn.Module, value: Any, default: Any) -> Any:
    """Torch stores (3, 3) or, of one dimension, (3,) for a kernel of 3; shapes of one's own stay as they are."""
    if not _is_torchs(type(module)) or isinstance(module, (nn.Unflatten, nn.LayerNorm)):
        return value
    repeated = isinstance(value, tuple) and len(set(value)) == 1
    return value[0] if repeated and not isinstance(default, tuple) else value


def _is_same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)


def _print_value(value: Any, path: str, indent: int) -> str:
    if isinstance(value, (nn.ModuleDict, dict)):
        items = [f"{key!r}: {_print_value(item, f'{path}.{key}', indent)}" for key, item in value.items()]
        return _lay_out_items("{", items, "}", indent)
    if isinstance(value, (nn.ModuleList, list)):
        return _lay_out_items(
            "[", [_print_value(item, f"{path}.{i}", indent) for i, item in enumerate(value)], "]", indent
        )
    if isinstance(value, nn.Module):
        return _print_call(value, path, indent)
    if isinstance(value, tuple):
        inner = ", ".join(_print_value(item, path, indent) for item in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    raise NotExportable(f"{path}: a {type(value).__name__} cannot be written as source")


def _lay_out_items(left: str, items: list[str], right: str, indent: int) -> str:
    line = f"{left}{', '.join(items)}{right}"
    if "\n" not in line and len(line) + indent <= _WIDTH:
        return line
    blank = " " * (indent + 4)
    # what was laid out for `indent` moves one level in
    moved = [item.replace("\n", "\n    ") for item in items]
    return f"{left}\n" + "".join(f"{blank}{item},\n" for item in moved) + " " * indent + right
