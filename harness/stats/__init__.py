"""Intervals, significance, histograms, warm-up. Pure: numbers in, numbers out."""
