"""What every command has in common."""

import subprocess
import sys


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
