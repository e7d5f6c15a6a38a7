"""Build of the extension modules; what else describes the package is in pyproject.toml."""

from __future__ import annotations

import os
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.modified import newer_group

sys.path.insert(0, str(Path(__file__).resolve().parent / "kernels" / "common"))

from generate import write

KERNELS, NATIVE = "kernels", "bnntrain/native"
SHARED = f"{KERNELS}/common"
BINDINGS = "_native.pyx"
# No -march: an instruction set is asked for by the file that needs it and chosen at run time. No
# contraction of a product and a sum into one rounding: the same bits have to come out everywhere.
FLAGS = [
    "-O3", "-std=gnu11", "-Wall", "-Wextra", "-pthread",
    "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math",
]  # fmt: skip
# The bindings are the largest file and run once per call: optimising them only costs build time.
BINDING_FLAGS = ["-O1", "-Wno-extra", "-Wno-unused-function"]
# Files whose names begin so are for these machines only.
FAMILIES = {"avx": ("x86_64", "amd64"), "neon": ("aarch64", "arm64")}
DIRECTIVES = {"language_level": "3", "boundscheck": False, "wraparound": False, "cdivision": True}


def files_of(folder: str, *suffixes: str) -> list[str]:
    """Return the files below a folder with one of the suffixes, sorted, relative to this one."""
    files = (path for suffix in suffixes for path in Path(folder).rglob(f"*{suffix}"))
    return sorted(path.as_posix() for path in files)


def c_sources(folder: str) -> list[str]:
    """Return the C sources below a folder that the target machine can compile."""
    machine = sysconfig.get_platform().rpartition("-")[2]
    foreign = tuple(family for family, machines in FAMILIES.items() if machine not in machines)
    return [path for path in files_of(folder, ".c") if not Path(path).name.startswith(foreign)]


def extension(package: str, folder: str) -> Extension:
    """Return a package's module ``_native``: of all below a folder, which may include `SHARED`."""
    suffixes = (".h", ".inc", ".pyx", ".pxi", ".py")
    return Extension(
        f"{package}._native",
        # The bindings first: they take longest.
        [f"{folder}/{BINDINGS}", *c_sources(folder)],
        include_dirs=list(dict.fromkeys([folder, KERNELS])),
        depends=["setup.py", *files_of(folder, *suffixes), *files_of(SHARED, *suffixes)],
        extra_compile_args=FLAGS,
        extra_link_args=["-pthread"],
    )


kernels, native = extension("bnntrain.kernels", KERNELS), extension("bnntrain.native", NATIVE)


class BuildNative(build_ext):
    """Compiles the sources side by side, and only those that are older than what they include."""

    def build_extensions(self) -> None:
        """Write what follows from the kernels' headers, then build as usual, but side by side."""
        generated = Path(self.build_temp) / "generated"
        kernels.depends += map(str, write(generated))
        kernels.include_dirs.append(str(generated))
        self._compile = self.compiler.compile
        self.compiler.compile = self._compile_all
        super().build_extensions()

    def build_extension(self, ext: Extension) -> None:
        """Translate, then compile and link as usual."""
        from Cython.Build import cythonize

        options = {
            "include_path": ext.include_dirs,
            "compiler_directives": DIRECTIVES,
            "force": self.force,
        }
        ext.sources = cythonize([ext], build_dir=self.build_temp, **options)[0].sources
        super().build_extension(ext)

    def _compile_all(self, sources: list[str], **options: object) -> list[str]:
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            return list(pool.map(lambda source: self._compile_one(source, options), sources))

    def _compile_one(self, source: str, options: dict) -> str:
        (target,) = self.compiler.object_filenames([source], output_dir=options["output_dir"])
        if self.force or newer_group([source, *options["depends"]], target):
            is_binding = Path(source).stem == Path(BINDINGS).stem
            flags = [*options["extra_postargs"], *(BINDING_FLAGS if is_binding else [])]
            self._compile([source], **{**options, "extra_postargs": flags})
        return target


setup(
    packages=[
        *find_packages(include=["bnntrain", "bnntrain.*"]),
        "bnntrain.kernels",
        "bnntrain.configs",
        "bnntrain.configs.models",
    ],
    package_dir={"bnntrain.kernels": KERNELS, "bnntrain.configs": "configs"},
    package_data={
        "bnntrain.configs": ["*.yaml"],
        "bnntrain.configs.models": ["*.yaml"],
        "bnntrain.data": ["*.npz", "*.md"],
    },
    include_package_data=False,
    ext_modules=[kernels, native],
    cmdclass={"build_ext": BuildNative},
)
