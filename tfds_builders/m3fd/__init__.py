"""M3FD: builder, annotations and splits."""
