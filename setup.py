"""Build of the extension module; what else describes the package is in pyproject.toml."""

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

KERNELS = "kernels"
MODULE = f"{KERNELS}/_native.pyx"
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


def kernel_files(*suffixes: str) -> list[str]:
    """Return the files of all folders with one of the suffixes, sorted, relative to this folder."""
    files = (path for suffix in suffixes for path in Path(KERNELS).glob(f"*/*{suffix}"))
    return sorted(path.as_posix() for path in files)


def c_sources() -> list[str]:
    """Return the C sources that the target machine can compile."""
    machine = sysconfig.get_platform().rpartition("-")[2]
    foreign = [family for family, machines in FAMILIES.items() if machine not in machines]
    return [path for path in kernel_files(".c") if not Path(path).name.startswith(tuple(foreign))]


class BuildKernels(build_ext):
    """Compiles the sources side by side, and only those that are older than what they include."""

    def build_extension(self, ext: Extension) -> None:
        """Write what follows from the headers, translate, then compile and link as usual."""
        from Cython.Build import cythonize

        generated = Path(self.build_temp) / "generated"
        ext.depends += map(str, write(generated))
        ext.include_dirs.append(str(generated))
        options = {
            "include_path": [KERNELS, str(generated)],
            "compiler_directives": DIRECTIVES,
            "force": self.force,
        }
        translated = cythonize([ext], build_dir=self.build_temp, **options)[0]
        ext.sources = translated.sources
        compile_one = self.compiler.compile

        def compile_all(sources: list[str], **options: object) -> list[str]:
            with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
                return list(pool.map(lambda source: compile_source(source, options), sources))

        def compile_source(source: str, options: dict) -> str:
            (target,) = self.compiler.object_filenames([source], output_dir=options["output_dir"])
            if self.force or newer_group([source, *options["depends"]], target):
                binding = Path(source).stem == Path(MODULE).stem
                flags = [*options["extra_postargs"], *(BINDING_FLAGS if binding else [])]
                compile_one([source], **{**options, "extra_postargs": flags})
            return target

        self.compiler.compile = compile_all
        super().build_extension(ext)


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
    ext_modules=[
        Extension(
            "bnntrain.kernels._native",
            # The bindings first: they take longest.
            [MODULE, *c_sources()],
            include_dirs=[KERNELS],
            depends=[
                "setup.py",
                f"{KERNELS}/kernels.inc",
                *kernel_files(".h", ".inc", ".pyx", ".pxi", ".py"),
            ],
            extra_compile_args=FLAGS,
            extra_link_args=["-pthread"],
        )
    ],
    cmdclass={"build_ext": BuildKernels},
)
