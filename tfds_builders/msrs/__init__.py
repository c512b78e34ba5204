"""MSRS: builder, annotations and splits."""
