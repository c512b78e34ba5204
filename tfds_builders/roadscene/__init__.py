"""RoadScene: builder, annotations and splits."""
