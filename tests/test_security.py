"""Calls that would execute code in a file are not in the code."""

import ast
import re

FORBIDDEN = {
    r"\bpickle\.(load|loads|Unpickler)\b": "unpickles",
    r"\b(cloudpickle|dill|joblib|shelve|marshal)\b": "unpickles",
    r"allow_pickle\s*=\s*True": "unpickles arrays",
    r"weights_only\s*=\s*False": "unpickles checkpoints",
    r"yaml\.(load|full_load|unsafe_load)\(": "constructs objects",
    r"\b(eval|exec)\(": "executes text",
    r"shell\s*=\s*True": "runs a shell",
    r"\bextractall\(": "unpacks without limits",
}
#: Methods of PyTorch and Dr.Jit.
ALLOWED = re.compile(r"\.eval\(|dr\.eval\(")


def test_nothing_unpickles_or_executes_input(root):
    found = []
    for folder in ("src", "workflow", "benchmarks", "envs"):
        for path in [*(root / folder).rglob("*.py"), *(root / folder).rglob("*.smk")]:
            text = path.read_text(encoding="utf-8")
            text = ast.unparse(ast.parse(text)) if path.suffix == ".py" else text  # without comments
            text = ALLOWED.sub("", text)
            for pattern, problem in FORBIDDEN.items():
                found += [f"{path.relative_to(root)}: {problem}" for _ in re.finditer(pattern, text)]
            loads = re.findall(r"torch\.load\(.*", text)
            found += [
                f"{path.relative_to(root)}: {call}" for call in loads if "weights_only=True" not in call
            ]
    assert found == []
