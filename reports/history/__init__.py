"""The history of many runs: a page with a chart for each series, a table for a terminal, CSV."""
