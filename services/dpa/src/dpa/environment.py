"""Environment variables that a process must have before it imports torch or deepmd."""


def environment(threads: int = 1) -> dict[str, str]:
    """Variables for a child process that predicts or trains with `threads` CPU threads.

    With other processes on the same cores, more OpenMP threads than free cores made single steps up to
    20 times slower; small models gain nothing from a second thread. Data is decoded in the process itself.
    """
    return {
        "OMP_NUM_THREADS": str(threads),
        "DP_INTRA_OP_PARALLELISM_THREADS": str(threads),
        "DP_INTER_OP_PARALLELISM_THREADS": "1",
        "NUM_WORKERS": "0",
        "DP_LMDB_NUM_WORKERS": "0",
        # CUDA's own order begins with the fastest GPU, nvidia-smi's and NVML's with the first slot: the one that a
        # worker announces and measures is to be the one that it uses.
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        # Plain Python traces are for people; deepmd's banner and TensorFlow's hints are not.
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
