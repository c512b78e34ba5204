"""TNO: builder, annotations and splits."""
