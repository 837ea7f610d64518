"""Exit codes of the recording process; its supervisor decides by them whether to restart it."""

STOPPED = 0
"""A signal, or the end of standard input, ended the recording."""
FAILED = 1
CANNOT_START = 2
"""Invalid arguments (as argparse has it), source or folder."""
END_OF_SOURCE = 3
"""The source has no more packets, as a file that is not looped: a restart would repeat it."""
