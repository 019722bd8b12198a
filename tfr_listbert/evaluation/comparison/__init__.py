"""Many losses under one budget: planned, run, judged by metrics, tested and reported."""
