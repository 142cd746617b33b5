"""The commands of ``dynsal``, one module each: ``add_arguments(parser)`` and ``run(arguments)``."""
