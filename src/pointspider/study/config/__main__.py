"""Write the generated schema and reference page: `python -m pointspider.study.config` in a checkout."""

from pathlib import Path

from pointspider.core.files import write_text
from pointspider.study.config.reference import generate

for path, content in generate(Path()).items():
    write_text(path, content)
