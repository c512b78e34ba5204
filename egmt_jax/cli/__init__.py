"""The subcommands of `egmt`, one module each.

A module has `add_arguments(parser)` and `run(arguments) -> exit code`. It imports nothing heavy at
its top, so that `egmt --help` and argument errors are fast.
"""
