"""The mathematics behind a verdict, in natural logarithms. Knows nothing of jobs, models or policies."""
