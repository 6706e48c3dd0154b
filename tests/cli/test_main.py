"""What every command has in common."""

import subprocess
import sys

import pytest

from pointspider.cli.main import main


def test_help_lists_the_commands_without_heavy_imports():
    code = (
        "import sys\n"
        "from pointspider.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'pandas', 'scipy', 'torch', 'mitsuba'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("[]\n")
    assert "    render  " in result.stdout


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a YAML mapping of parameters"),
        (b"- a\n- b\n", "is not a YAML mapping of parameters"),
        (b"preset: caf\xe9\n", "cannot be read as YAML .*utf-8"),
        (b"preset: [\n", "cannot be read as YAML"),
        (None, "cannot be read as YAML .*No such file"),
    ],
)
def test_a_broken_configfile_is_one_line(tmp_path, content, message):
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemExit, match=rf"^pointspider: .*mine\.yaml: {message}") as error:
        main(["--configfile", str(path), "duplicates"])
    assert "\n" not in str(error.value)
