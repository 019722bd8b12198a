"""The architecture: which part may import which, and an import that prints nothing."""

import ast
import pathlib
import subprocess
import sys

import tfr_listbert

PACKAGE = pathlib.Path(tfr_listbert.__file__).parent
SERVING = PACKAGE.parent / "serving"
BASE = {"schema", "config", "registry", "folders", "cores"}
LEAVES = {"lists", "text", "encoders", "losses", "metrics"}
ALLOWED = {
    "schema": set(),
    "cores": set(),
    "registry": {"schema"},
    "folders": {"schema"},
    "config": {"schema", "registry"},
    "script": BASE,
    **{leaf: BASE for leaf in LEAVES},
    "rows": BASE | {"lists", "text"},
    "models": BASE | {"encoders", "metrics"},
    "training": BASE | LEAVES | {"rows", "models"},
    "evaluation": BASE | {"lists", "losses", "metrics", "rows", "training"},
    "distillation": BASE | {"lists", "metrics", "models", "training", "evaluation"},
    "export": BASE | {"lists", "text", "metrics", "models", "training", "evaluation", "distillation"},
}
"""Each part and those that it may import; every part may import itself."""


def find_part(module: str) -> str:
    """Returns the part of a module such as `tfr_listbert.lists.elwc`."""
    return module.removeprefix("tfr_listbert").removeprefix(".").split(".")[0]


def list_imports(path: pathlib.Path) -> set[str]:
    """Returns the parts of ours that a file imports."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by dots, which the rule does not follow"
            modules.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
        elif isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
    return {find_part(module) for module in modules if module and module.split(".")[0] == "tfr_listbert"} - {""}


def test_imports_point_one_way():
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        part = find_part(f"tfr_listbert.{module}")
        if part != "__init__":
            wrong += [f"{module} imports {other}" for other in list_imports(path) - ALLOWED[part] - {part}]
    assert not wrong


def test_local_server_clients_and_contract_need_no_package():
    """A machine that only serves, or asks, has no use for the training code."""
    files = [path for name in ("local", "remote", "contract") for path in (SERVING / name).rglob("*.py")]
    assert len(files) > 10
    assert not [path for path in files if "tfr_listbert" in path.read_text()]


def test_importing_the_package_prints_nothing():
    modules = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "__init__.py"
    ]
    code = f"import importlib\nfor name in {modules}: importlib.import_module(name)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert (done.stdout, done.stderr) == ("", "")
