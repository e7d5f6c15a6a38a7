"""Write golden/ten_steps.json: ten steps of every network and method on the shipped digits, seed 0.

    python tests/training/make_golden.py

The file says what the released arithmetic is. Regenerate it only together with a change that is
*meant* to alter trained weights (a formula, a rounding, the order of samples, the initial weights)
after the tests against the reference pass, and say so in the change log: from then on older runs
can no longer be reproduced. A difference that shows on one machine, instruction set or thread count
only is a defect, and regenerating hides it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden" / "ten_steps.json"
METHODS = ("standard", "wang2021", "efficient")


def golden_cases() -> dict[str, dict[str, object]]:
    """Return the overrides of the digits configuration by name, see `digits_run.digits_steps`."""
    from digits_run import CONV_NETS, RESIDUAL_NETS, RESIDUAL_RATE, conv_net

    dense = {method: {"method": method} for method in METHODS}
    dense["efficient, 8 bits"] = {"representation__gradient_bits": 8}
    conv = {
        f"conv {net}, {method}": {"method": method} | conv_net(net)
        for net in CONV_NETS
        for method in METHODS
    }
    residual = {
        f"conv {net}, {method}": {"method": method, "rate": RESIDUAL_RATE} | conv_net(net)
        for net in RESIDUAL_NETS
        for method in METHODS
    }
    return dense | conv | residual


def main() -> None:
    """Train and write."""
    from digits_run import digits_steps

    found = {}
    for name, overrides in golden_cases().items():
        steps = digits_steps(**overrides)
        found[name] = {
            "losses": steps.losses,
            "hits": steps.correct,
            "weights_sha256": steps.weights_sha256,
        }
    GOLDEN.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
