"""Documentation of installed packages, as ingestion would read it; shared by the benchmarks."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from core.config import cache_folder
from core.index.model_files import resolve_tokenizer
from core.library.extract import ReadRequest, extract
from core.library.packages import find_environment, find_package
from core.library.reexports import is_private, public_names
from core.model import DocumentContent


def read_packages(names: Sequence[str]) -> list[DocumentContent]:
    """Every document of the packages in this environment that has passages."""
    environment = find_environment(sys.executable, Path.cwd(), {})
    tokenizer = resolve_tokenizer(cache_folder())
    contents = []
    for name in names:
        package = find_package(environment, name)
        public = public_names(package.modules)
        for module, path in package.modules.items():
            if is_private(module) and module not in public:
                continue
            request = ReadRequest(
                path=path,
                root=package.location,
                module=module,
                language="python",
                library=package.name,
                version=package.version,
                tokenizer=tokenizer,
                public_names=public.get(module) if is_private(module) else None,
            )
            contents.append(extract(request).content)
    return [content for content in contents if content.passages]
