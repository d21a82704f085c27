"""Pictures of a verdict as SVG, drawn from the numbers of its report: the same report, the same bytes."""
