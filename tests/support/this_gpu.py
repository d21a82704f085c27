"""`python tests/support/this_gpu.py`: names the GPU that tests would run on, or says why there is none."""

import os
import sys
from importlib.metadata import version

from dpa.environment import environment

os.environ.update(environment())

import torch  # it reads the environment at import
from deepmd.pt.utils.env import DEVICE
from trainer.engine.capacity import why_no_gpu


def main() -> int:
    if DEVICE.type != "cuda":
        print(
            f"There is no GPU to run tests on: torch {torch.__version__} uses none here ({why_no_gpu()}).",
            file=sys.stderr,
        )
        return 1
    free, installed = torch.cuda.mem_get_info(DEVICE)
    print(
        f"{torch.cuda.get_device_name(DEVICE)}, {free / 1e9:.1f} of {installed / 1e9:.1f} GB free, torch "
        f"{torch.__version__} for CUDA {torch.version.cuda}, deepmd-kit {version('deepmd-kit')}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
