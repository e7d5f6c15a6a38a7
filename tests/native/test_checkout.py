"""Python started in a source checkout takes what is compiled from the installed package."""

import shutil
import subprocess
import sys
from pathlib import Path

import bnntrain

PACKAGE = Path(bnntrain.__file__).parent


def test_the_compiled_module_comes_from_the_installed_package(tmp_path):
    checkout, installed = tmp_path / "checkout", tmp_path / "installed"
    for name in ("__init__.py", "native/__init__.py"):
        (checkout / "bnntrain" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGE / name, checkout / "bnntrain" / name)
    installed.mkdir()
    (installed / "bnntrain").symlink_to(PACKAGE)
    code = (
        f"import sys; sys.path[:0] = [{str(checkout)!r}, {str(installed)!r}]\n"
        "import bnntrain.native\n"
        "print(bnntrain.native.__file__, bnntrain.native._native.__file__, sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    package, module = done.stdout.splitlines()
    assert Path(package).is_relative_to(checkout)
    assert Path(module).is_relative_to(installed)
