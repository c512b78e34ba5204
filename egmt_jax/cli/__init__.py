"""The subcommands of `egmt`, one module each.

A module has `add_arguments(parser)` and `run(arguments) -> exit code`, and imports nothing heavy
at its top: `egmt --help` and argument errors must answer at once.
"""
